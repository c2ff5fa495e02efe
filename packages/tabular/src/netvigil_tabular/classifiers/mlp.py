"""`mlp`: a feed-forward network, trained on shuffled rows by a short seeded loop.

Rows are drawn anew in every epoch, from a generator of the seed alone. The last epoch's weights
count, as in the notebook; nothing is held out to choose among them.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from netvigil.errors import BundleError, TrainingError
from netvigil.protocols import State, Watch
from netvigil.torch.captured import Captured
from netvigil.torch.device import device_name, resolve_device, threads_for
from netvigil.torch.generators import build, generator
from netvigil.torch.parallel import block_flows
from netvigil.torch.rows import RowBatch
from netvigil_tabular.classifiers.configs import NetworkConfig
from netvigil_tabular.classifiers.models import Weight, X, Y, in_blocks
from netvigil_tabular.classifiers.network import Network, cross_entropy, probabilities

_WEIGHTS, _ROWS = range(2)  # the streams of random numbers of one seed


class Mlp:
    """A network behind the protocol of models; `watch` is told each epoch's loss."""

    def __init__(self, config: NetworkConfig) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.watch = Watch()
        self.network: Network | None = None

    @property
    def accelerator(self) -> str | None:
        """The GPU that the network is on, for receipts."""
        return device_name(self.device)

    def learn(self, x: X, y: Y, weight: Weight, *, classes: int, seed: int) -> Self:
        """Train for all epochs.

        Raises:
            TrainingError: Fewer than two rows, or a loss that is not finite.
        """
        if len(x) < 2:
            msg = f"A network cannot be trained on {len(x)} labelled flows."
            raise TrainingError(msg, do="Give training a larger part.")
        network = build(
            lambda: self._make(x.shape[1], classes), generator(seed, _WEIGHTS), self.device
        )
        rows = torch.from_numpy(np.array(x, np.float32)).to(self.device)
        code = torch.from_numpy(y).to(self.device)
        own = np.ones(len(y)) if weight is None else weight
        each = torch.from_numpy(own.astype(np.float32)).to(self.device)
        with threads_for(self.config.batch, self.device), torch.enable_grad():
            self._train(network, rows, code, each, seed)
        self.network = network.eval()
        return self

    def share(self, x: X) -> NDArray[np.float64]:
        """Ask the network."""
        if self.device.type == "cpu":
            return in_blocks(self._ask, x)
        size = block_flows(self.device, len(x))
        firsts = range(0, max(len(x), 1), size)
        return np.concatenate([self._ask(x[first : first + size]) for first in firsts])

    def state(self) -> State:
        """Return the weights."""
        weights = self._fitted().state_dict()
        return State(arrays={name: tensor.cpu().numpy() for name, tensor in weights.items()})

    def restore(self, state: State, *, classes: int, features: int) -> Self:
        """Take over weights.

        Raises:
            BundleError: Weights of another network.
        """
        with torch.device("meta"):  # default initialisation would draw from the global generator
            network = self._make(features, classes)
        names = network.state_dict().keys()
        weights = {name: torch.from_numpy(a.copy()) for name, a in state.arrays.items()}
        try:
            network.load_state_dict({n: weights[n] for n in names}, assign=True)
        except (RuntimeError, KeyError) as error:
            msg = "This is not a state of 'mlp' with these settings."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.") from error
        self.network = network.to(self.device).eval()
        return self

    def _make(self, features: int, classes: int) -> Network:
        c = self.config
        return Network(
            features,
            classes,
            hidden=c.hidden,
            norm=c.norm == "batch",
            activation=c.activation,
        )

    def _train(
        self,
        network: Network,
        rows: torch.Tensor,
        code: torch.Tensor,
        each: torch.Tensor,
        seed: int,
    ) -> None:
        c, on_gpu = self.config, self.device.type == "cuda"
        optimizer = torch.optim.Adam(
            network.parameters(),
            lr=c.learning_rate,
            weight_decay=c.weight_decay,
            eps=1e-7,
            capturable=on_gpu,
        )

        def step(batch: RowBatch) -> torch.Tensor:
            x, y, own = batch.columns
            loss = cross_entropy(network(x), y, own)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return loss.detach()

        unused = generator(seed, device=self.device)  # steps draw nothing
        take = Captured(step, unused) if on_gpu else step
        order = generator(seed, _ROWS)
        network.train()
        for epoch in range(c.epochs):
            losses, weights = [], []
            shuffled = torch.randperm(len(rows), generator=order).to(self.device)
            for here in _batches(shuffled, c.batch):
                losses.append(take(RowBatch((rows[here], code[here], each[here]))))
                weights.append(len(here))
            means = torch.stack(losses).double().cpu().numpy()
            self._report(epoch, float(np.average(means, weights=weights)), seed)
            self.watch.advance(len(rows))

    def _report(self, epoch: int, loss: float, seed: int) -> None:
        if not math.isfinite(loss):
            msg = f"'mlp' cannot train on: its loss is {loss}."
            do = "Lower learning_rate, or look for extreme values in the features."
            raise TrainingError(msg, where=f"epoch {epoch}, seed {seed}", do=do)
        self.watch.write(
            event="epoch",
            encoder="mlp",
            seed=seed,
            epoch=epoch,
            train={"total": loss},
            validation=None,
        )

    @torch.no_grad()
    def _ask(self, x: X) -> NDArray[np.float64]:
        network = self._fitted()
        with threads_for(len(x), self.device):
            logits = network(torch.from_numpy(np.array(x, np.float32)).to(self.device))
        found: NDArray[np.float64] = probabilities(logits.cpu()).numpy()
        return found

    def _fitted(self) -> Network:
        assert self.network is not None
        return self.network


def _batches(order: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Cut an order into batches; a last one of a single row, which has no spread, joins another."""
    pieces: list[Any] = list(torch.split(order, size))
    if len(pieces) > 1 and len(pieces[-1]) == 1:
        pieces[-2:] = [torch.cat(pieces[-2:])]
    return pieces
