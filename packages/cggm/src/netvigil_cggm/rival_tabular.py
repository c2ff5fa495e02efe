"""`Tvae` and `Ctgan` (Xu et al. 2019, arXiv 1907.00503): rows with mode-specific normalisation.

| paper | here |
|---|---|
| section 4.2, mode-specific normalisation | `modes.py` |
| section 4.3, training-by-sampling | `rival_rows.Classes` |
| section 4.4, generator and packed critic | `Maker`, `Packed` |
| section 4.5, encoder and decoder | `Encoder`, `Decoder` |

Both learn single rows: no links, and no neighbours (see `rival_rows.py`).

Differences from the paper: the class is the only discrete column, and the condition is always the
class. A row keeps the class that was asked for, whichever one CTGAN's own class column holds. TVAE
is not conditional there; here encoder and decoder see the class, and rows are drawn as for CTGAN,
so that rare classes are learnt. The noise of a column has a spread between .01 and 1. Running
averages, and not the batch, normalise what is made, so that a row does not depend on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, leaky_relu, one_hot

from netvigil.errors import ConfigError
from netvigil.torch.generators import build, generator
from netvigil_cggm import losses
from netvigil_cggm.modes import Coded, Modes
from netvigil_cggm.rival_rows import Classes, RowRival, RowSettings
from netvigil_cggm.rivals import Rows
from netvigil_cggm.steps import Norm, descend, drop, gumbel_softmax, normal, play


@dataclass(frozen=True)
class TvaeSettings(RowSettings):
    """How `Tvae` learns; numbers are those of the paper or its code, but for the steps."""

    hidden: int = 128
    latent: int = 128
    modes: int = 10
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class CtganSettings(RowSettings):
    """How `Ctgan` learns; numbers are those of the paper or its code, but for the steps.

    Raises:
        ConfigError: A batch that does not divide into packs.
    """

    hidden: int = 256
    noise: int = 128
    modes: int = 10
    pac: int = 10
    critic_steps: int = 1
    penalty: float = 10.0
    temperature: float = 0.2
    learning_rate: float = 2e-4

    def __post_init__(self) -> None:
        if self.pac < 1 or self.batch % self.pac:
            msg = f"A batch of {self.batch} rows does not divide into packs of {self.pac}."
            raise ConfigError(msg, where="pac", do="Take a batch that is a multiple of pac.")


class Slots(nn.Module):
    """Turns the numbers for all modes of all columns into one row of choices per column."""

    used: Tensor

    def __init__(self, used: NDArray[np.bool_]) -> None:
        super().__init__()
        self._used = used
        self.columns, self.many = len(used), int(used.sum())
        self.register_buffer("used", torch.zeros(used.shape, dtype=torch.bool))

    def initialise(self, rng: torch.Generator) -> None:
        """Say which modes there are."""
        del rng
        self.used.copy_(torch.tensor(self._used))

    def open(self, flat: Tensor) -> Tensor:
        """Lead [rows, slots] to [rows, columns, modes], -inf where there is no mode."""
        dense = flat.new_full((len(flat), *self.used.shape), -torch.inf)
        dense[:, self.used] = flat
        return dense

    def shut(self, dense: Tensor) -> Tensor:
        """Lead [rows, columns, modes] to [rows, slots]."""
        return dense[:, self.used]


class Encoder(nn.Module):
    """A row and its class to where its noise lies."""

    def __init__(self, width: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, hidden)
        self.centre, self.log_square = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the logarithm of the variance, [rows, latent] each."""
        h = self.second(self.first(row).relu()).relu()
        return self.centre(h), self.log_square(h)


class Decoder(nn.Module):
    """Noise and a class to places, modes, and how far places scatter in each column."""

    def __init__(self, latent: int, classes: int, hidden: int, slots: Slots) -> None:
        super().__init__()
        self.slots = slots
        self.first, self.second = nn.Linear(latent + classes, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, slots.columns + slots.many)
        self.scatter = Scatter(slots.columns)

    def forward(self, noise: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return places [rows, columns] and logits of modes [rows, columns, modes]."""
        h = self.second(self.first(torch.cat([noise, label], 1)).relu()).relu()
        place, mode = self.last(h).split([self.slots.columns, self.slots.many], 1)
        return place.tanh(), self.slots.open(mode)


class Scatter(nn.Module):
    """The spread of places in each column, learnt."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.zeros(columns))

    def initialise(self, rng: torch.Generator) -> None:
        """Start from a tenth."""
        del rng
        self.log.fill_(float(np.log(0.1)))

    def forward(self) -> Tensor:
        """Return the spreads, [columns]."""
        return self.log.clamp(np.log(0.01), 0).exp()


class Tvae(RowRival):
    """A conditional variational autoencoder of rows."""

    def __init__(self, settings: TvaeSettings | None = None) -> None:
        self.settings = settings or TvaeSettings()
        super().__init__(self.settings)
        self.modes_: Modes | None = None
        self.network_: Decoder | None = None
        self._classes = 0

    def _learn(self, x: Rows, label: NDArray[np.int64], classes: int, seed: int) -> None:
        s, device = self.settings, self._device
        self.modes_, self._classes = Modes.of(x, most=s.modes, seed=seed), classes
        used = self.modes_.used
        width = used.shape[0] + int(used.sum()) + classes
        rng, dice = generator(seed, 0), generator(seed, 1, device=device)
        encoder = build(lambda: Encoder(width, s.hidden, s.latent), rng, device)
        decoder = build(lambda: Decoder(s.latent, classes, s.hidden, Slots(used)), rng, device)
        lesson = Lesson.of(self.modes_.into(x, np.random.default_rng(seed)), label, classes, device)
        draw = Classes(label, device)
        optimizer = torch.optim.Adam(
            [*encoder.parameters(), *decoder.parameters()], lr=s.learning_rate, weight_decay=1e-5
        )

        def step() -> dict[str, float]:
            part = lesson.take(draw.rows(s.batch, dice))
            row = torch.cat([part.place, decoder.slots.shut(part.one_hot(used.shape[1]))], 1)
            centre, log_square = encoder(torch.cat([row, part.label], 1))
            noise = centre + (log_square / 2).exp() * normal(tuple(centre.shape), dice)
            place, mode = decoder(noise, part.label)
            rebuild = unlikely(part, place, mode, decoder.scatter())
            prior = (centre**2 + log_square.exp() - 1 - log_square).sum(1).mean() / 2
            descend(rebuild + prior, optimizer)
            return {"rebuild": float(rebuild.detach()), "prior": float(prior.detach())}

        play(step, s.steps, name="tvae", seed=seed, watch=self._watch)
        self.network_ = decoder.eval()

    def _give(self, label: Tensor, dice: torch.Generator) -> Rows:
        assert self.network_ is not None
        assert self.modes_ is not None
        noise = normal((len(label), self.settings.latent), dice)
        place, mode = self.network_(noise, one_hot(label, self._classes).float())
        place = place + self.network_.scatter() * normal(tuple(place.shape), dice)
        # The largest entry of a Gumbel softmax is a draw by these chances.
        chosen = gumbel_softmax(mode, 1.0, dice).argmax(2)
        return self.modes_.back(coded(place.clamp(-1, 1), chosen))


class Lesson(NamedTuple):
    """Rows as networks take them.

    Shapes:
        place: float32 [rows, columns]; mode: int64 [rows, columns]
        label: float32 [rows, classes], one-hot
    """

    place: Tensor
    mode: Tensor
    label: Tensor

    @staticmethod
    def of(rows: Coded, label: NDArray[np.int64], classes: int, device: torch.device) -> Lesson:
        """Take rows to a device."""
        known = one_hot(torch.tensor(label, device=device), classes).float()
        return Lesson(
            torch.tensor(rows.place, device=device), torch.tensor(rows.mode, device=device), known
        )

    def take(self, rows: Tensor) -> Lesson:
        """Return some rows."""
        return Lesson(self.place[rows], self.mode[rows], self.label[rows])

    def one_hot(self, modes: int) -> Tensor:
        """Return modes as float32 [rows, columns, modes]."""
        return one_hot(self.mode, modes).float()


def coded(place: Tensor, mode: Tensor) -> Coded:
    """Bring back what a network made."""
    return Coded(place.cpu().numpy(), mode.cpu().numpy())


def unlikely(rows: Lesson, place: Tensor, mode: Tensor, scatter: Tensor) -> Tensor:
    """Return the negative logarithm of the rows' density, less a constant, the mean over rows.

    Shapes:
        place: [rows, columns]; mode: logits [rows, columns, modes]; scatter: [columns]
    """
    far = ((rows.place - place) / scatter) ** 2 / 2 + scatter.log()
    wrong = cross_entropy(mode.flatten(0, 1), rows.mode.flatten(), reduction="sum")
    return far.sum(1).mean() + wrong / len(place)


class Maker(nn.Module):
    """CTGAN's generator: noise and a class to places, nearly one-hot modes, and a class column."""

    def __init__(self, noise: int, classes: int, hidden: int, slots: Slots) -> None:
        super().__init__()
        self.slots, self.classes = slots, classes
        width = noise + classes
        self.first, self.norm = nn.Linear(width, hidden), Norm(hidden)
        self.second, self.renorm = nn.Linear(width + hidden, hidden), Norm(hidden)
        self.last = nn.Linear(width + 2 * hidden, slots.columns + slots.many + classes)

    def forward(
        self, noise: Tensor, label: Tensor, temperature: float, dice: torch.Generator
    ) -> Fake:
        """Make rows, `label` one-hot [rows, classes]."""
        h = torch.cat([noise, label], 1)
        h = torch.cat([h, self.norm(self.first(h)).relu()], 1)
        h = torch.cat([h, self.renorm(self.second(h)).relu()], 1)
        place, mode, own = self.last(h).split(
            [self.slots.columns, self.slots.many, self.classes], 1
        )
        modes = gumbel_softmax(self.slots.open(mode), temperature, dice)
        return Fake(place.tanh(), modes, gumbel_softmax(own, temperature, dice), own)


class Fake(NamedTuple):
    """What CTGAN's generator makes.

    Shapes:
        place: [rows, columns]; mode: [rows, columns, modes]; label, logits: [rows, classes]
    """

    place: Tensor
    mode: Tensor
    label: Tensor
    logits: Tensor


class Packed(nn.Module):
    """CTGAN's critic: judges several rows of a pack at once, so that too like ones stand out."""

    def __init__(self, width: int, hidden: int, pac: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(pac * width, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 1)

    def forward(self, packs: Tensor, dice: torch.Generator) -> Tensor:
        """Score packs [packs, pac, width] as [packs]."""
        h = drop(leaky_relu(self.first(packs.flatten(1)), 0.2), 0.5, dice)
        h = drop(leaky_relu(self.second(h), 0.2), 0.5, dice)
        score: Tensor = self.last(h)[:, 0]
        return score


class Ctgan(RowRival):
    """A conditional WGAN of rows, with gradient penalty and packs."""

    def __init__(self, settings: CtganSettings | None = None) -> None:
        self.settings = settings or CtganSettings()
        super().__init__(self.settings)
        self.modes_: Modes | None = None
        self.network_: Maker | None = None

    def _learn(self, x: Rows, label: NDArray[np.int64], classes: int, seed: int) -> None:
        self.modes_ = Modes.of(x, most=self.settings.modes, seed=seed)
        rows = self.modes_.into(x, np.random.default_rng(seed))
        game = Duel(
            Lesson.of(rows, label, classes, self._device),
            Classes(label, self._device),
            self.modes_.used,
            self.settings,
            seed=seed,
        )
        play(game.step, self.settings.steps, name="ctgan", seed=seed, watch=self._watch)
        self.network_ = game.maker.eval()

    def _give(self, label: Tensor, dice: torch.Generator) -> Rows:
        assert self.network_ is not None
        assert self.modes_ is not None
        known = one_hot(label, self.network_.classes).float()
        noise = normal((len(label), self.settings.noise), dice)
        made = self.network_(noise, known, self.settings.temperature, dice)
        return self.modes_.back(coded(made.place, made.mode.argmax(2)))


class Duel:
    """CTGAN's generator against its critic; `step` moves both."""

    def __init__(
        self,
        lesson: Lesson,
        draw: Classes,
        used: NDArray[np.bool_],
        settings: CtganSettings,
        *,
        seed: int,
    ) -> None:
        s, classes, device = settings, lesson.label.shape[1], lesson.place.device
        rng = generator(seed, 0)
        self.maker = build(lambda: Maker(s.noise, classes, s.hidden, Slots(used)), rng, device)
        width = used.shape[0] + int(used.sum()) + 2 * classes
        self.critic = build(lambda: Packed(width, s.hidden, s.pac), rng, device)
        self._lesson, self._draw, self._settings = lesson, draw, s
        self._dice = generator(seed, 1, device=device)
        self._move_maker, self._move_critic = (
            torch.optim.Adam(
                part.parameters(), lr=s.learning_rate, betas=(0.5, 0.9), weight_decay=decay
            )
            for part, decay in ((self.maker, 1e-6), (self.critic, 0.0))
        )

    def step(self) -> dict[str, float]:
        """Let the critic learn `critic_steps` times and the generator once."""
        for _ in range(self._settings.critic_steps):
            found = self._teach_critic()
        return found | self._teach_maker()

    def _batch(self) -> tuple[Lesson, Fake]:
        part = self._lesson.take(self._draw.rows(self._settings.batch, self._dice))
        noise = normal((self._settings.batch, self._settings.noise), self._dice)
        return part, self.maker(noise, part.label, self._settings.temperature, self._dice)

    def _packs(self, place: Tensor, mode: Tensor, own: Tensor, asked: Tensor) -> Tensor:
        rows = torch.cat([place, self.maker.slots.shut(mode), own, asked], 1)
        return rows.view(-1, self._settings.pac, rows.shape[1])

    def _teach_critic(self) -> dict[str, float]:
        with torch.no_grad():
            part, fake = self._batch()
        modes = part.one_hot(fake.mode.shape[2])
        real = self._packs(part.place, modes, part.label, part.label)
        made = self._packs(fake.place, fake.mode, fake.label, part.label)
        score = self.critic(real, self._dice), self.critic(made, self._dice)
        wide = losses.critic_loss(*score, "wgan-gp")
        share = torch.rand(len(real), 1, 1, generator=self._dice, device=real.device)
        at = (share * real + (1 - share) * made).requires_grad_()
        steep = losses.gradient_penalty(self.critic(at, self._dice), at)
        descend(wide + self._settings.penalty * steep, self._move_critic)
        return {"critic": float(wide.detach()), "steep": float(steep.detach())}

    def _teach_maker(self) -> dict[str, float]:
        part, fake = self._batch()
        packs = self._packs(fake.place, fake.mode, fake.label, part.label)
        adversarial = losses.generator_loss(self.critic(packs, self._dice), "wgan-gp")
        wrong = cross_entropy(fake.logits, part.label.argmax(1))
        descend(adversarial + wrong, self._move_maker)
        return {"adversarial": float(adversarial.detach()), "class": float(wrong.detach())}
