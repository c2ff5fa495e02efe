"""A model with its sample, its class weights and its calibration: rows in, probabilities out."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError
from netvigil.protocols import State, Watch
from netvigil_tabular.classifiers.calibration import Curves
from netvigil_tabular.classifiers.configs import ClassifierConfig
from netvigil_tabular.classifiers.models import Model
from netvigil_tabular.classifiers.rows import balanced, sample


class Taught:
    """Teaches one model as its config says.

    `make` gives a fresh model; folds need several.
    """

    def __init__(self, name: str, config: ClassifierConfig, make: Any) -> None:
        self.name, self.config, self._make = name, config, make
        self.model: Model = make()
        self._watch: Watch | None = None
        self.curves: Curves | None = None

    def learn(
        self, x: NDArray[np.float32], y: NDArray[np.int64], names: tuple[str, ...], *, seed: int
    ) -> Self:
        """Learn from rows in time order; `names` are the classes that `y` numbers.

        Raises:
            ContractError: What is left after holding flows out lacks a class.
        """
        chosen = sample(y, self.config.fit_rows, seed)
        if chosen is not None:
            x, y = x[chosen], y[chosen]
        how, by = self.config.calibration, self.config.calibration_by
        self.curves = None
        if how == "none":
            self.model = self._fresh(x, y, len(names), seed)
        elif by == "latest":
            cut = len(y) - max(round(self.config.calibration_share * len(y)), 1)
            self._require_all(y[:cut], names)
            self.model = self._fresh(x[:cut], y[:cut], len(names), seed)
            self.curves = Curves.fit(self.model.share(x[cut:]), y[cut:], how)
        else:
            self.curves = Curves.fit(self._in_turn(x, y, len(names), seed), y, how)
            self.model = self._fresh(x, y, len(names), seed)
        return self

    def tell(self, watch: Watch) -> None:
        """Let models that are trained in epochs report them."""
        self._watch = watch

    def share(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how probable each class is, float64 [rows, classes], rows adding up to 1."""
        share = self.model.share(x)
        if self.curves is not None:
            share = self.curves(share)
        return np.asarray(share / share.sum(axis=1, keepdims=True))

    def state(self) -> State:
        """Return the model and the curves."""
        model, curves = self.model.state(), State() if self.curves is None else self.curves.state()
        return State(
            arrays={**model.arrays, **curves.arrays},
            values={**model.values, **curves.values},
            estimators=model.estimators,
        )

    def restore(self, state: State, *, classes: int, features: int) -> Self:
        """Take both over."""
        self.model = self._make().restore(state, classes=classes, features=features)
        self.curves = Curves.of(state)
        return self

    def _fresh(
        self, x: NDArray[np.float32], y: NDArray[np.int64], classes: int, seed: int
    ) -> Model:
        weight = balanced(y) if getattr(self.config, "class_weight", "none") == "balanced" else None
        model = self._make()
        if self._watch is not None:
            model.watch = self._watch
        made: Model = model.learn(x, y, weight, classes=classes, seed=seed)
        return made

    def _in_turn(
        self, x: NDArray[np.float32], y: NDArray[np.int64], classes: int, seed: int
    ) -> NDArray[np.float64]:
        """Return each row's probabilities by a model that was fitted without the row's fold."""
        fold = folds(y, self.config.calibration_folds, seed)
        share = np.empty((len(y), classes))
        for number in np.unique(fold).tolist():
            out = fold == number
            share[out] = self._fresh(x[~out], y[~out], classes, seed).share(x[out])
        return share

    def _require_all(self, y: NDArray[np.int64], names: tuple[str, ...]) -> None:
        lost = [name for code, name in enumerate(names) if not (y == code).any()]
        if not lost:
            return
        msg = f"Classifier '{self.name}' holds the latest train flows out, and with them every one"
        msg += f" of class {', '.join(lost)}."
        do = 'Set calibration_by = "folds", or lower calibration_share.'
        raise ContractError(msg, where=f"calibration = '{self.config.calibration}'", do=do)


def folds(y: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Deal each class's rows out to folds in turn, at random, int64 [rows].

    Example:
        >>> sorted(folds(np.array([0, 0, 0, 0, 1, 1]), 2, seed=0)[:4].tolist())
        [0, 0, 1, 1]
    """
    fold = np.empty(len(y), np.int64)
    rng = np.random.default_rng([seed, 5])
    for code in np.unique(y).tolist():
        rows = np.flatnonzero(y == code)
        fold[rows] = rng.permutation(len(rows)) % count
    return fold
