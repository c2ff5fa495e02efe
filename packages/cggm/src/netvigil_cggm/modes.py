"""Mode-specific normalisation (Xu et al., arXiv 1907.00503, section 4.2).

A number becomes one of up to ten modes of its column, and where it lies in that mode. Columns are
taken to lie in [0, 1] already, so that one smallest spread suits them all. Beyond the paper: a
place outside [-1, 1] is cut off, since the generators' tanh gives no other, and modes of less than
half a percent of the rows are left out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
LEAST = 0.005  # share of rows of a mode that is kept
FITTED = 5_000  # rows that modes are sought in
WIDTH = 4  # spreads from a mode's centre to a place of 1, as published


class Coded(NamedTuple):
    """Numbers as modes.

    Shapes:
        place: float32 [rows, columns], within [-1, 1]; mode: int64 [rows, columns]
    """

    place: Rows
    mode: NDArray[np.int64]


@dataclass(frozen=True)
class Modes:
    """The modes of each column; those of weight 0 are not used.

    Shapes:
        centre, spread, weight: float64 [columns, modes]
    """

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which modes there are, bool [columns, modes]."""
        return self.weight > 0

    @staticmethod
    def of(x: Rows, *, most: int = 10, seed: int) -> Modes:
        """Learn the modes of each column of [rows, columns], within [0, 1]."""
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(9,)))
        if len(x) > FITTED:
            x = x[np.sort(rng.choice(len(x), FITTED, replace=False))]
        shape = (x.shape[1], most)
        modes = Modes(np.zeros(shape), np.ones(shape), np.zeros(shape))
        for number, column in enumerate(x.T.astype(np.float64)):
            centre, spread, weight = _mixture(column, most, int(rng.integers(2**31)))
            here = (number, slice(len(centre)))
            modes.centre[here], modes.spread[here], modes.weight[here] = centre, spread, weight
        return modes

    def into(self, x: Rows, rng: np.random.Generator) -> Coded:
        """Draw a mode for each number by its chance, and say where in it the number lies."""
        place, mode = np.empty(x.shape, np.float32), np.empty(x.shape, np.int64)
        for number, column in enumerate(x.T):
            kept = np.flatnonzero(self.used[number])
            centre, spread = self.centre[number, kept], self.spread[number, kept]
            away = (column[:, None] - centre) / spread
            chance = np.log(self.weight[number, kept] / spread) - away**2 / 2
            drawn = (chance + rng.gumbel(size=chance.shape)).argmax(1)
            mode[:, number] = kept[drawn]
            place[:, number] = away[np.arange(len(column)), drawn] / WIDTH
        return Coded(np.clip(place, -1, 1), mode)

    def back(self, coded: Coded) -> Rows:
        """Undo `into`, but for what lay more than four spreads from its mode."""
        column = np.arange(len(self.centre))
        centre, spread = self.centre[column, coded.mode], self.spread[column, coded.mode]
        return (centre + WIDTH * spread * coded.place).astype(np.float32)


def _mixture(
    column: NDArray[np.float64], most: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return centre, spread and weight of a column's modes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    mixture = BayesianGaussianMixture(
        n_components=min(most, len(np.unique(column))),
        weight_concentration_prior=1e-3,  # small: modes that are not needed lose their weight
        init_params="k-means++",
        random_state=seed,
    )
    # A mixture that still moves a little after a hundred rounds is as good a code as any.
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        mixture.fit(column[:, None])
    kept = mixture.weights_ > LEAST
    weight = mixture.weights_[kept]
    return (
        mixture.means_[kept, 0],
        np.sqrt(mixture.covariances_[kept, 0, 0]),
        weight / weight.sum(),
    )
