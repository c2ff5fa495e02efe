"""`Ruled`: a threshold made of a rule; and what rules have in common about cutting scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import Calibration, Promise, State


class Cut(NamedTuple):
    """A cut and, in one sentence, what it was set on and by which rule."""

    value: float
    how: str


class Ruled:
    """A threshold whose cut a rule chooses; implements `netvigil.protocols.Threshold`.

    A rule that says how often alerts will come has a function `promise(config)` too.

    Raises:
        NotFittedError: If `cut_`, `provenance` or `get_state` comes before `fit`.
        ContractError: An empty calibration range, or one with scores that are not finite.

    Example:
        >>> import numpy as np
        >>> from netvigil_scorers.thresholds import quantile
        >>> threshold = Ruled("quantile", quantile.QuantileConfig(keep=0.2), quantile.choose)
        >>> threshold.fit(Calibration(np.arange(10.0)), seed=0).cut_
        7.0
    """

    def __init__(
        self,
        name: str,
        config: Any,
        choose: Callable[[Any, Calibration], Cut],
        *,
        promise: Callable[[Any], Promise] | None = None,
        needs_flows: bool = True,
    ) -> None:
        self.name, self.config, self.choose, self.needs_flows = name, config, choose, needs_flows
        self._promise = promise
        self._chosen: Cut | None = None

    @property
    def cut_(self) -> float:
        """The score above which (strictly) a flow becomes an alert."""
        return self._fitted().value

    @cut_.setter
    def cut_(self, value: float) -> None:
        self._chosen = Cut(float(value), f"Set to {value:.6g} by hand.")

    def fit(self, calibration: Calibration, *, seed: int) -> Self:
        """Choose the cut; no rule is random."""
        del seed
        scores = calibration.score
        if self.needs_flows and not len(scores):
            msg = f"Threshold '{self.name}' has no calibration flows to be set on."
            raise ContractError(
                msg, do="Give the calibration range a larger share, or use 'fixed'."
            )
        if not np.isfinite(scores).all():
            msg = f"Threshold '{self.name}' was given scores that are not finite."
            raise ContractError(msg, do="A scorer must rank every flow; see its settings.")
        self._chosen = self.choose(self.config, calibration)
        return self

    def promise(self) -> Promise | None:
        """Return what the settings promise, if the rule promises anything."""
        return None if self._promise is None else self._promise(self.config)

    def provenance(self) -> str:
        """Say what the cut was set on and by which rule."""
        return self._fitted().how

    def get_state(self) -> State:
        """Return the cut and its provenance."""
        cut = self._fitted()
        return State(values={"cut": float(cut.value), "provenance": cut.how})

    def set_state(self, state: State) -> Self:
        """Take over a cut and its provenance."""
        value, how = state.values.get("cut"), state.values.get("provenance")
        if (
            not isinstance(value, int | float)
            or not math.isfinite(value)
            or not isinstance(how, str)
        ):
            msg = f"This is not a state of threshold '{self.name}'."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        self._chosen = Cut(float(value), how)
        return self

    def _fitted(self) -> Cut:
        if self._chosen is None:
            msg = f"Threshold '{self.name}' has not been fitted."
            raise NotFittedError(msg, do="Call fit first, or load a fitted bundle.")
        return self._chosen


def share_of(share: float, flows: int) -> int:
    """Return how many whole flows a share is, rounded down as decimals: 29 % of 100 is 29."""
    return math.floor(Fraction(repr(float(share))) * flows)


def cut_above_which(scores: NDArray[np.float64], most: int) -> float:
    """Return the lowest of the scores that at most `most` of them exceed; below all where all may.

    Example:
        >>> cut_above_which(np.array([1.0, 3.0, 3.0, 3.0, 2.0]), 2)  # three are equal: none of them
        3.0
    """
    if most >= len(scores):
        return float(np.nextafter(scores.min(), -np.inf))
    at = len(scores) - 1 - most
    return float(np.partition(scores, at)[at])


def counted(scores: NDArray[np.float64], cut: float) -> str:
    """Return "flags 3 of 1,000 calibration flows (0.3 %)"."""
    above = int((scores > cut).sum())
    return f"flags {above:,} of {len(scores):,} calibration flows ({above / len(scores):.3%})"
