"""`permutation`: how far the score falls on average where a feature is as in some train flow.

For any encoder and scorer. Each feature of a flow (the columns of a category together) is replaced
by its values in a background sample of train flows, one feature at a time; the mean fall of the
score is the feature's amount. Features that only matter together are not told apart by this: each
alone may change nothing. KernelSHAP (`shap`) sees those, and takes longer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import Explanation, WindowGraphs
from netvigil.errors import IncompatiblePartsError
from netvigil.explaining import faithful
from netvigil.explaining.config import PermutationConfig
from netvigil.explaining.copies import Perturbed, each_flow
from netvigil.protocols import Scoring


class Permutation:
    """Replaces each feature by those of train flows; see the module."""

    def __init__(self, config: PermutationConfig) -> None:
        self.config = config

    def check(self, scoring: Scoring, windows: WindowGraphs) -> None:
        """Refuse a pipeline that kept no train flows."""
        del windows
        require_background(scoring)

    def explain(
        self, scoring: Scoring, windows: WindowGraphs, rows: NDArray[np.int64]
    ) -> list[Explanation]:
        """Measure each feature of each of these flows."""
        require_background(scoring)
        score = scoring.score(windows)
        found = []
        for window, row, first in each_flow(windows, rows):
            flow = Perturbed(scoring, window, row, float(score[first + row]))
            background, remarks = self._background(scoring, flow)
            listed = faithful.contributions(falls(scoring.groups, flow, background))
            rng = faithful.generator(scoring, int(window.flow_id[row]))
            check = faithful.of_features(scoring, flow, listed, rng)
            found.append(Explanation(tuple(listed), check, remarks))
            scoring.advance(1)
        return found

    def _background(
        self, scoring: Scoring, flow: Perturbed
    ) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Return as many train flows as the budget allows, the median alone where it allows none.

        The windows of a graph method are scored anew for each value, which is what costs.
        """
        wanted = min(self.config.rows, len(scoring.background))
        rows = min(wanted, self.config.budget // (flow.flows * len(scoring.groups)))
        if rows >= wanted:
            return scoring.background[:wanted], ()
        if rows == 0:
            words = "the train median stands in for train flows, as the window is large"
            return scoring.median[None], (words,)
        words = f"{rows} of {wanted} train flows stand in, as the window is large"
        return scoring.background[_even(len(scoring.background), rows)], (words,)


def require_background(scoring: Scoring) -> None:
    """Refuse a pipeline that kept no train flows to compare with."""
    if not len(scoring.background):
        msg = "The bundle keeps no train flows to compare with."
        raise IncompatiblePartsError(msg, do="It is of an older version: run the experiment again.")


def falls(
    groups: Mapping[str, tuple[int, ...]], flow: Perturbed, background: NDArray[np.float32]
) -> dict[str, float]:
    """Return the mean fall of a flow's score where one feature is as in the background.

    Shapes:
        background: float32 [rows, features]
    """
    sets, weights, owners = [], [], []
    for number, columns in enumerate(groups.values()):
        chosen = list(columns)
        # A value that several train flows have is scored once.
        values, count = np.unique(background[:, chosen], axis=0, return_counts=True)
        x = np.repeat(flow.x[None], len(values), axis=0)
        x[:, chosen] = values
        sets.append(x)
        weights.append(count / len(background))
        owners.append(np.full(len(values), number))
    fall = flow.score - flow.scores(np.concatenate(sets))
    mean = np.bincount(np.concatenate(owners), np.concatenate(weights) * fall, len(groups))
    return dict(zip(groups, mean.tolist(), strict=True))


def _even(count: int, rows: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, rows).astype(np.int64)
