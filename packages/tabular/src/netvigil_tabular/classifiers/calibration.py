"""Probabilities corrected on flows that the model was not fitted on.

Each class's probability is mapped by itself, by Platt's sigmoid of its log-odds or by isotonic
regression, and the results are scaled to add up to 1 (Zadrozny and Elkan, KDD 2002). Of two classes
one is mapped and the other is what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.protocols import State

LEAST = 1e-7  # log-odds of a probability of 0 are those of this one
Method = Literal["sigmoid", "isotonic"]
Share = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """How one class's probability is mapped.

    Shapes:
        at, to: float64 [points]: slope and offset of a sigmoid, or the points of a step-free
            rising line; empty where the held-out flows had none of the class, or nothing else
    """

    at: NDArray[np.float64]
    to: NDArray[np.float64]

    def __call__(self, share: NDArray[np.float64], method: Method) -> NDArray[np.float64]:
        """Map probabilities, float64 [rows]."""
        if not len(self.at):
            return share
        if method == "isotonic":
            return np.interp(share, self.at, self.to)
        odds = self.at[0] * log_odds(share) + self.to[0]
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -700, 700))))


@dataclass(frozen=True)
class Curves:
    """A curve for every class, or for the second of two."""

    method: Method
    curves: tuple[Curve, ...]

    @classmethod
    def fit(cls, share: Share, y: NDArray[np.int64], method: Method) -> Self:
        """Learn from held-out rows.

        Shapes:
            share: float64 [rows, classes]; y: int64 [rows]
        """
        classes = share.shape[1]
        codes = [1] if classes == 2 else range(classes)
        learn = _sigmoid if method == "sigmoid" else _isotonic
        none = Curve(np.empty(0), np.empty(0))
        curves = []
        for code in codes:
            own = y == code
            curves.append(none if own.all() or not own.any() else learn(share[:, code], own))
        return cls(method, tuple(curves))

    def __call__(self, share: Share) -> Share:
        """Map probabilities, float64 [rows, classes]; a row of zeros stays as the model has it."""
        if len(self.curves) == 1:
            second = self.curves[0](share[:, 1], self.method)
            return np.stack([1 - second, second], axis=1)
        mapped = np.stack(
            [curve(share[:, code], self.method) for code, curve in enumerate(self.curves)], axis=1
        )
        total = mapped.sum(axis=1, keepdims=True)
        return np.where(total > 0, mapped / np.where(total > 0, total, 1), share)

    def state(self) -> State:
        """Return the curves as arrays."""
        arrays: dict[str, NDArray[np.float64]] = {}
        for code, curve in enumerate(self.curves):
            arrays |= {f"calibration.{code}.at": curve.at, f"calibration.{code}.to": curve.to}
        return State(arrays, {"calibration": self.method, "curves": len(self.curves)})

    @classmethod
    def of(cls, state: State) -> Self | None:
        """Take curves out of a state; None where there are none."""
        if "calibration" not in state.values:
            return None
        pairs = [
            (state.arrays[f"calibration.{code}.at"], state.arrays[f"calibration.{code}.to"])
            for code in range(int(state.values["curves"]))
        ]
        method = state.values["calibration"]
        return cls(method, tuple(Curve(at, to) for at, to in pairs))


def log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(p / (1 - p)), with p kept away from 0 and 1."""
    kept = np.clip(share, LEAST, 1 - LEAST)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _sigmoid(share: NDArray[np.float64], own: NDArray[np.bool_]) -> Curve:
    """Fit Platt's sigmoid with his targets, which keep it finite where classes do not overlap.

    A row with target t is two rows of weights t and 1 - t, which is the same loss.
    """
    from sklearn.linear_model import LogisticRegression

    positive, negative = int(own.sum()), int((~own).sum())
    target = np.where(own, (positive + 1) / (positive + 2), 1 / (negative + 2))
    odds = log_odds(share)[:, None]
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(
        np.concatenate([odds, odds]),
        np.repeat([1, 0], len(own)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return Curve(model.coef_[0].astype(np.float64), model.intercept_.astype(np.float64))


def _isotonic(share: NDArray[np.float64], own: NDArray[np.bool_]) -> Curve:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(share, own)
    return Curve(
        np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)
    )
