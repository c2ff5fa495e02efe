"""`shap`: Shapley values of a flow's leading features, by KernelSHAP (Lundberg and Lee 2017).

The extra `netvigil[shap]` brings the library. With many features its estimate draws coalitions from
NumPy's global generator; so the features that `permutation` finds leading are told apart, all
others count as one, and every coalition is looked at: the values are exact for the background at
hand, and the same on every run. They add up to the score's distance from the background's mean.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import Contribution, Explanation, WindowGraphs
from netvigil.errors import IncompatiblePartsError
from netvigil.explaining import faithful
from netvigil.explaining.config import FEWEST, ShapConfig
from netvigil.explaining.copies import Perturbed, each_flow
from netvigil.explaining.permutation import falls, require_background
from netvigil.protocols import Scoring


class Shap:
    """Exact Shapley values of the leading features; see the module.

    Raises:
        IncompatiblePartsError: The library is not installed.
    """

    def __init__(self, config: ShapConfig) -> None:
        if find_spec("shap") is None:
            msg = "The explainer 'shap' needs the library of that name, which is not installed."
            do = (
                "pip install 'netvigil[shap]', or use --explainer permutation, which needs nothing."
            )
            raise IncompatiblePartsError(msg, do=do)
        self.config = config

    def check(self, scoring: Scoring, windows: WindowGraphs) -> None:
        """Refuse a pipeline that kept no train flows."""
        del windows
        require_background(scoring)

    def explain(
        self, scoring: Scoring, windows: WindowGraphs, rows: NDArray[np.int64]
    ) -> list[Explanation]:
        """Share the score of each of these flows out among its leading features."""
        self.check(scoring, windows)
        score = scoring.score(windows)
        found = []
        for window, row, first in each_flow(windows, rows):
            flow = Perturbed(scoring, window, row, float(score[first + row]))
            background, features, remarks = self._size(scoring, flow)
            listed = self._listed(scoring, flow, background, features)
            rng = faithful.generator(scoring, int(window.flow_id[row]))
            check = faithful.of_features(scoring, flow, listed, rng)
            found.append(Explanation(tuple(listed), check, remarks))
            scoring.advance(1)
        return found

    def _size(
        self, scoring: Scoring, flow: Perturbed
    ) -> tuple[NDArray[np.float32], int, tuple[str, ...]]:
        """Return the background and how many features to tell apart, within the budget."""
        background = scoring.background[: self.config.rows]
        features, remarks = self.config.features, []
        if flow.flows * len(background) * 2**features > self.config.budget and flow.flows > 1:
            background = scoring.median[None]
            remarks.append("the train median stands in for train flows, as the window is large")
        while flow.flows * len(background) * 2**features > self.config.budget and features > FEWEST:
            features -= 1
        if features < self.config.features:
            remarks.append(f"{features} features are told apart, as the window is large")
        return background, features, tuple(remarks)

    def _listed(
        self, scoring: Scoring, flow: Perturbed, background: NDArray[np.float32], features: int
    ) -> list[Contribution]:
        fall = falls(scoring.groups, flow, background)
        leading = sorted(fall, key=lambda name: -abs(fall[name]))[:features]
        players = [list(scoring.groups[name]) for name in leading]
        others = [k for name, own in scoring.groups.items() if name not in leading for k in own]
        values = _shapley(flow, background, [*players, others] if others else players)
        amounts = dict(zip(leading, values.tolist(), strict=False))
        listed = faithful.contributions(amounts)
        if others:
            listed.append(Contribution("rest", float(values[-1])))
        return sorted(listed, key=lambda each: -each.amount)


def _shapley(
    flow: Perturbed, background: NDArray[np.float32], players: list[list[int]]
) -> NDArray[np.float64]:
    """Return each player's Shapley value; a player is columns that come and go together."""
    from shap import KernelExplainer

    def worth(present: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score the flow, mean over the background, with the columns of absent players from it."""
        x = np.repeat(background[None], len(present), axis=0)
        for player, columns in enumerate(players):
            x[np.flatnonzero(present[:, player])[:, None], :, columns] = flow.x[columns][:, None]
        score = flow.scores(x.reshape(-1, x.shape[2])).reshape(len(present), len(background))
        return np.asarray(score.mean(axis=1))

    count = len(players)
    explainer = KernelExplainer(worth, np.zeros((1, count)))
    # As many samples as there are coalitions: all are looked at, and none is drawn.
    values = explainer.shap_values(
        np.ones((1, count)), nsamples=max(2**count - 2, 1), l1_reg=False, silent=True
    )
    return np.asarray(values, np.float64).reshape(count)
