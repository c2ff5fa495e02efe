"""What is usual for a trained autoencoder: residuals of features, and where codes lie.

Both are learnt from the train range after training, in one streamed pass without labels. Residuals
are those of the flows held out, because those of flows that were trained on are smaller than any to
come; where nothing was held out they are of all train flows. Codes are of all train flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SAMPLE = 4_096  # train codes that `knn` searches: each costs 16 products per flow
FLOOR = 0.01  # of the median feature's residual, below which no feature's counts
RIDGE = 1e-3  # of the mean variance of codes, added to each: a collapsed dimension is not rare

Residuals = Callable[[NDArray[np.float32]], tuple[Tensor, Tensor]]
"""Gives codes [flows, dim] and squared residuals [flows, features] of some flows."""


@dataclass(frozen=True)
class Usual:
    """What `standardised`, `mahalanobis` and `knn` compare a flow with.

    Shapes:
        residual: float32 [features], mean squared residual, no less than the floor
        centre: float32 [dim]; whiten: float32 [dim, dim], makes train codes uncorrelated with
            variance 1
        sample: float32 [up to SAMPLE, dim], whitened codes of train flows
    """

    residual: Tensor
    centre: Tensor
    whiten: Tensor
    sample: Tensor

    @staticmethod
    def learn(
        blocks: Iterable[NDArray[np.float32]],
        residuals: Residuals,
        *,
        flows: int,
        held_out: int,
        seed: int,
    ) -> Usual:
        """Learn from the train range in blocks, in time order.

        Shapes:
            blocks: [flows, features] each; flows: of all of them; held_out: first flow whose
                residual counts
        """
        dice = np.random.default_rng([seed, SAMPLE])
        chosen = np.sort(dice.choice(flows, min(flows, SAMPLE), replace=False))
        sums = _Sums()
        picked, first = [], 0
        for x in blocks:
            code, squared = residuals(x)
            sums.add(code.double(), squared[max(held_out - first, 0) :].double())
            low, high = np.searchsorted(chosen, (first, first + len(x)))
            picked.append(code[torch.from_numpy(chosen[low:high] - first).to(code.device)])
            first += len(x)
        centre, whiten = sums.codes()
        centre, whiten = centre.float(), whiten.float()
        sample = (torch.cat(picked) - centre) @ whiten
        return Usual(floored(sums.residual()).float(), centre, whiten, sample)

    def to(self, device: torch.device) -> Self:
        """Return the same on a device."""
        return type(self)(*(getattr(self, f.name).to(device) for f in fields(self)))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return arrays by name, for a state."""
        return {f.name: getattr(self, f.name).cpu().numpy() for f in fields(self)}

    def whitened(self, code: Tensor) -> Tensor:
        """Return codes as far from the centre as they are unusual, [flows, dim]."""
        return (code - self.centre) @ self.whiten

    def distance(self, whitened: Tensor, neighbours: int) -> Tensor:
        """Return each flow's distance to its nth nearest train code, float32 [flows].

        Of fewer train codes than neighbours it is the farthest one's.
        """
        sample = self.sample
        wanted = min(neighbours, len(sample))
        # |a - b|^2 = |a|^2 - 2 ab + |b|^2 finds the nearest, and loses digits for the very near.
        apart = torch.addmm(sample.square().sum(1), whitened, sample.T, alpha=-2)
        near = torch.topk(apart, wanted, dim=1, largest=False).indices
        return (sample[near] - whitened[:, None]).square().sum(2).amax(1).sqrt()


def floored(residual: Tensor) -> Tensor:
    """Raise mean squared residuals to 1 % of the median of those above 0, or 1 where none are.

    A feature that never varies in the train range is reconstructed to rounding: divided by that,
    the first flow that differs in it would outweigh everything else.
    """
    above = residual[residual > 0]
    floor = FLOOR * float(above.median()) if len(above) else 1.0
    return residual.clamp(min=max(floor, float(np.finfo(np.float32).tiny)))


class _Sums:
    """Sums in float64 over blocks of codes and squared residuals."""

    def __init__(self) -> None:
        self._code: Tensor | float = 0.0
        self._product: Tensor | float = 0.0
        self._squared: Tensor | float = 0.0
        self._codes = self._residuals = 0

    def add(self, code: Tensor, squared: Tensor) -> None:
        self._code = self._code + code.sum(0)
        self._product = self._product + code.T @ code
        self._squared = self._squared + squared.sum(0)
        self._codes += len(code)
        self._residuals += len(squared)

    def residual(self) -> Tensor:
        """Return the mean squared residual of each feature."""
        return torch.as_tensor(self._squared) / max(self._residuals, 1)

    def codes(self) -> tuple[Tensor, Tensor]:
        """Return the mean of codes and the matrix that whitens them."""
        centre = torch.as_tensor(self._code) / self._codes
        spread = torch.as_tensor(self._product) / self._codes - torch.outer(centre, centre)
        mean = float(spread.diagonal().mean())
        own = torch.eye(len(centre), dtype=torch.float64, device=centre.device)
        # Codes that are all alike, as of one flow, have no scale of their own.
        spread = spread + own * (RIDGE * mean) if mean > 0 else own
        return centre, torch.linalg.inv(torch.linalg.cholesky(spread)).T.contiguous()
