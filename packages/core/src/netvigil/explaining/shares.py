"""`reconstruction-shares`: which features make up a flow's reconstruction error, exactly.

Nothing is estimated: the encoder's own error is a sum over features, and this is the sum. It says
what was reconstructed badly, which is why the flow scored high where the score grows with the
error; a scorer that looks at something else besides is not explained by it, and the check against
random features then says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import Explanation, WindowGraphs
from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.explaining import faithful
from netvigil.explaining.copies import Perturbed, each_flow
from netvigil.parts import NoConfig
from netvigil.protocols import FeatureErrors, Scoring


class ReconstructionShares:
    """Takes the reconstruction error apart; the columns of one category are added up.

    Amounts are parts of the error and add up to it; none is negative.
    """

    def __init__(self, config: NoConfig) -> None:
        del config

    def check(self, scoring: Scoring, windows: WindowGraphs) -> None:
        """Refuse an encoder that does not tell its error by feature."""
        del windows
        if not isinstance(scoring.encoder, FeatureErrors):
            msg = "The encoder does not tell its reconstruction error by feature."
            raise IncompatiblePartsError(msg, do="Use --explainer permutation.")

    def explain(
        self, scoring: Scoring, windows: WindowGraphs, rows: NDArray[np.int64]
    ) -> list[Explanation]:
        """Take the error of each of these flows apart."""
        self.check(scoring, windows)
        assert isinstance(scoring.encoder, FeatureErrors)
        errors = scoring.encoder.feature_errors(windows)
        if errors.shape != windows.flow_x.shape:
            msg = f"The encoder gives errors {errors.shape} for features {windows.flow_x.shape}."
            raise ContractError(
                msg, do="`feature_errors` has a row per flow, a column per feature."
            )
        score = scoring.score(windows)
        found = []
        for window, row, first in each_flow(windows, rows):
            own = errors[first + row].astype(np.float64)
            amounts = {name: own[list(k)].sum() for name, k in scoring.groups.items()}
            listed = faithful.contributions(amounts)
            flow = Perturbed(scoring, window, row, float(score[first + row]))
            rng = faithful.generator(scoring, int(window.flow_id[row]))
            check = faithful.of_features(scoring, flow, listed, rng)
            found.append(Explanation(tuple(listed), check))
            scoring.advance(1)
        return found
