"""`weighted-terms`: a weighted sum of an encoder's error terms, each scaled by its own spread.

AutoGraphAD's alpha, beta and gamma are the weights of its terms `feature`, `structure` and `kl`.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import EncodedFlows, ScoreTable
from netvigil.errors import BundleError, ConfigError, ContractError, NotFittedError, nearest
from netvigil.parts import PartConfig
from netvigil.protocols import State

# A negative weight would make a larger error look more usual.
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class WeightedTermsConfig(PartConfig):
    """Settings of `weighted-terms`."""

    weights: dict[str, Weight] = Field(
        default_factory=dict,
        description="Weight of each term, zero or more; terms that are not named weigh 1.",
    )


class WeightedTerms:
    """Sum over terms of weight * (term - median) / IQR, with both taken from the train range.

    A term without IQR is scaled by its standard deviation, and one that never varies by 1.

    Shapes:
        encoded.terms: name -> float32 [flows], higher is worse
        score: float64 [flows], higher means more anomalous, about 0 for a usual flow

    Raises:
        NotFittedError: If `score` or `get_state` comes before `fit`.
        ConfigError: A weight of a term the encoder does not emit, or no weight above zero.
        ContractError: No terms, no flows to fit on, or other terms than in training.

    Example:
        >>> import numpy as np
        >>> from netvigil.contracts import EncodedFlows
        >>> terms = {"feature": np.array([0, 1, 2, 9], np.float32)}
        >>> flows = EncodedFlows(np.arange(4), np.zeros(4, np.int64), terms=terms)
        >>> WeightedTerms(WeightedTermsConfig()).fit(flows, seed=0).score(flows).score.round(2)
        array([-0.5 , -0.17,  0.17,  2.5 ])
    """

    def __init__(self, config: WeightedTermsConfig) -> None:
        self.config = config
        self.names_: tuple[str, ...] = ()
        self.centre_: NDArray[np.float64] = np.empty(0)
        self.factor_: NDArray[np.float64] = np.empty(0)

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        """Learn the centre and spread of each term; nothing here is random."""
        del seed
        names = tuple(sorted(encoded.terms))
        if not names or not len(encoded):
            what = "terms" if not names else "flows"
            msg = f"Scorer 'weighted-terms' has no {what} to fit on."
            raise ContractError(
                msg, do="Use an encoder that emits error terms, on a train range with flows."
            )
        weights = _weights(self.config.weights, names)
        centre, factor = np.empty(len(names)), np.empty(len(names))
        for i, name in enumerate(names):
            centre[i], spread = _centre_and_spread(encoded.terms[name])
            factor[i] = weights[i] / spread
        self.names_, self.centre_, self.factor_ = names, centre, factor
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        """Add the scaled terms up, in the order of their names."""
        self._require_fit()
        if set(encoded.terms) != set(self.names_):
            msg = "Scorer 'weighted-terms' was fitted on other terms."
            where = f"Fitted on {list(self.names_)}; found {sorted(encoded.terms)}."
            raise ContractError(msg, where=where, do="Encode with the pipeline it was fitted with.")
        score = np.zeros(len(encoded))
        for name, centre, factor in zip(self.names_, self.centre_, self.factor_, strict=True):
            score += (encoded.terms[name].astype(np.float64) - centre) * factor
        return ScoreTable(flow_id=encoded.flow_id, score=score, window_start=encoded.window_start)

    def get_state(self) -> State:
        """Return the names, centres and factors."""
        self._require_fit()
        arrays = {"centre": self.centre_, "factor": self.factor_}
        return State(arrays=arrays, values={"names": list(self.names_)})

    def set_state(self, state: State) -> Self:
        """Take over names, centres and factors."""
        names: Any = state.values.get("names")
        if not names or any(
            len(state.arrays.get(key, ())) != len(names) for key in ("centre", "factor")
        ):
            msg = "This is not a state of scorer 'weighted-terms'."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        self.names_ = tuple(names)
        self.centre_, self.factor_ = state.arrays["centre"], state.arrays["factor"]
        return self

    def _require_fit(self) -> None:
        if not self.names_:
            msg = "Scorer 'weighted-terms' has not been fitted."
            raise NotFittedError(msg, do="Call fit first, or load a fitted bundle.")


def _weights(given: dict[str, float], names: tuple[str, ...]) -> list[float]:
    where = f"The encoder's terms: {', '.join(names)}."
    for name in given:
        if name not in names:
            msg = f"weights names the term '{name}', which the encoder does not emit."
            raise ConfigError(msg, where=where, do=nearest(name, names))
    weights = [given.get(name, 1.0) for name in names]
    if not any(weights):
        msg = "All weights are zero, so every flow would score the same."
        raise ConfigError(msg, where=where, do="Give at least one term a weight above zero.")
    return weights


def _centre_and_spread(term: NDArray[np.float32]) -> tuple[float, float]:
    low, centre, high = np.percentile(term.astype(np.float64), [25, 50, 75])
    return float(centre), float(high - low) or float(term.std(dtype=np.float64)) or 1.0
