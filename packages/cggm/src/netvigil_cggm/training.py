"""The adversarial training of CGGM, batched over snapshots, from seeded generators.

It sees the train snapshots alone. In each step the critic learns `critic_steps` times, then the
generator once; the generator is conditioned on the labels of the very snapshots that its features
are compared with, since without that L1 would draw every node to one median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from netvigil.errors import TrainingError
from netvigil.protocols import Watch
from netvigil.torch.device import resolve_device, threads_for
from netvigil.torch.generators import build, generator
from netvigil_cggm import losses
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.network import Critic, Generator, Made, draw_noise, normalised

LARGEST = 1e6  # a critic's score beyond this never came back in any fit that was tried
TELL_EVERY = 50  # steps


@dataclass(frozen=True)
class Data:
    """Train snapshots as tensors.

    Shapes:
        x: float32 [snapshots, nodes, features], within [0, 1]; label: int64 [snapshots, nodes]
        links: float32 [snapshots, nodes, nodes], `normalised`; edges: int64 [snapshots]
    """

    x: Tensor
    label: Tensor
    links: Tensor
    edges: Tensor

    def take(self, rows: Tensor) -> Data:
        """Return some snapshots."""
        return Data(self.x[rows], self.label[rows], self.links[rows], self.edges[rows])


class Losses(NamedTuple):
    """The losses of one step; `critic` is that of the critic's last one."""

    critic: float
    adversarial: float
    rebuild: float
    latent: float


class Game:
    """Generator against critic; `step` moves both."""

    def __init__(self, data: Data, classes: int, config: CggmConfig, *, seed: int) -> None:
        device, features = data.x.device, data.x.shape[2]
        rng = generator(seed, 0)
        self.generator = build(lambda: Generator(features, classes, config), rng, device)
        self.critic = build(lambda: Critic(features, classes, config), rng, device)
        self._data, self._config = data, config
        self._dice = generator(seed, 1, device=device)
        self._move_generator = _optimizer(self.generator, config, config.learning_rate)
        self._move_critic = _optimizer(self.critic, config, config.rate_of_critic)
        self._weights: list[Tensor] = list(self.critic.parameters())
        self._clip()

    def step(self) -> Losses:
        """Let the critic learn `critic_steps` times and the generator once."""
        for _ in range(self._config.critic_steps):
            critic = self._teach_critic()
        return self._teach_generator(critic)

    def _batch(self) -> tuple[Data, Made]:
        many, nodes, features = self._data.x.shape
        size = min(self._config.batch, many)
        rows = torch.randint(many, (size,), generator=self._dice, device=self._dice.device)
        return self._data.take(rows), draw_noise(size, nodes, features, self._dice)

    def _teach_critic(self) -> float:
        batch, noise = self._batch()
        with torch.no_grad():
            fake = self.generator(batch.label, batch.edges, noise)
        # Real and fake side by side: one pass through the critic, not two.
        judged = self.critic(
            torch.cat([batch.x, fake.x]),
            batch.label.repeat(2, 1),
            torch.cat([batch.links, normalised(fake.links)]),
        )
        real, made = judged.score.chunk(2)
        loss = losses.critic_loss(real, made, self._config.adversary)
        if self._config.adversary == "wgan-gp":
            share = torch.rand(len(real), 1, 1, generator=self._dice, device=self._dice.device)
            at = (share * batch.x + (1 - share) * fake.x).requires_grad_()
            score = self.critic(at, batch.label, batch.links).score
            loss = loss + self._config.penalty * losses.gradient_penalty(score, at)
        self._move_critic.zero_grad()
        torch.autograd.backward(loss)
        self._move_critic.step()
        self._clip()
        return _checked(critic=loss, score=judged.score.detach().abs().max())["critic"]

    def _teach_generator(self, critic: float) -> Losses:
        config, (batch, noise) = self._config, self._batch()
        fake = self.generator(batch.label, batch.edges, noise)
        with torch.no_grad():
            real = self.critic(batch.x, batch.label, batch.links)
        judged = self.critic(fake.x, batch.label, normalised(fake.links))
        adversarial = losses.generator_loss(judged.score, config.adversary)
        rebuild = losses.rebuild_loss(batch.x, fake.x)
        field = "embedding" if config.l2_on == "embedding" else "logit"
        latent = losses.latent_loss(getattr(real, field), getattr(judged, field))
        loss = config.adversarial_weight * adversarial + config.task_weight * (rebuild + latent)
        self._move_generator.zero_grad()
        torch.autograd.backward(loss)
        self._move_generator.step()
        return Losses(critic, **_checked(adversarial=adversarial, rebuild=rebuild, latent=latent))

    def _clip(self) -> None:
        if self._config.adversary == "wgan-clip":
            with torch.no_grad():
                torch._foreach_clamp_min_(self._weights, -self._config.clip)
                torch._foreach_clamp_max_(self._weights, self._config.clip)


def train(data: Data, classes: int, config: CggmConfig, *, seed: int, watch: Watch) -> Game:
    """Play all steps, of which `watch.advance` counts each.

    Raises:
        TrainingError: A loss that is not finite, or a critic whose scores explode; says the step.
    """
    game = Game(data, classes, config, seed=seed)
    size = min(config.batch, len(data.x)) * data.x.shape[1]
    with threads_for(size, data.x.device):
        for number in range(config.steps):
            try:
                found = game.step()
            except _Explodes as error:
                msg = f"'cggm': {error} in step {number + 1} of {config.steps}."
                do = 'Take a smaller learning_rate and critic_rate, or adversary = "wgan-clip".'
                raise TrainingError(msg, where=f"seed {seed}", do=do) from error
            watch.advance(1)
            if number % TELL_EVERY == 0 or number == config.steps - 1:
                watch.write(event="step", step=number, **found._asdict())
    return game


def device_of(config: CggmConfig) -> torch.device:
    """Return the device of the settings; refuses one that is not there."""
    return resolve_device(config.device)


class _Explodes(Exception):  # noqa: N818 - reads as what happened
    """Which number left its bounds."""


def _checked(*, score: Tensor | None = None, **values: Tensor) -> dict[str, float]:
    found = {name: float(value.detach()) for name, value in values.items()}
    for name, value in found.items():
        if not math.isfinite(value):
            msg = f"the loss '{name}' is {value}"
            raise _Explodes(msg)
    if score is not None and not float(score) <= LARGEST:
        msg = f"the critic's scores reach {float(score):.3g}"
        raise _Explodes(msg)
    return found


def _optimizer(network: nn.Module, config: CggmConfig, rate: float) -> torch.optim.Optimizer:
    """RMSprop for clipped critics, as WGAN has it; Adam with a short memory otherwise."""
    if config.adversary == "wgan-clip":
        return torch.optim.RMSprop(network.parameters(), lr=rate)
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.9))
