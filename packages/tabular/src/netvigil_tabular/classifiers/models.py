"""Models behind one small protocol: scikit-learn's estimators, and neighbours kept as arrays.

A model is asked block by block of one fixed shape where its arithmetic would otherwise depend on
how many rows it sees at once, so that a flow's probabilities are the same bits in any company.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import BundleError, ContractError
from netvigil.protocols import State

log = logging.getLogger("netvigil.tabular")
BLOCK = 1024  # rows asked about at once: matrix products are fast, and a lone flow costs little
X = NDArray[np.float32]
Y = NDArray[np.int64]
Weight = NDArray[np.float64] | None


class Model(Protocol):
    """What learns classes from rows."""

    def learn(self, x: X, y: Y, weight: Weight, *, classes: int, seed: int) -> Self:
        """Learn from rows, weighed; classes that no row has stay improbable."""
        ...

    def share(self, x: X) -> NDArray[np.float64]:
        """Return how probable each class is, float64 [rows, classes]."""
        ...

    def state(self) -> State:
        """Return what was learnt."""
        ...

    def restore(self, state: State, *, classes: int, features: int) -> Self:
        """Take over what was learnt."""
        ...


class Estimator:
    """A scikit-learn classifier, made of `source` ("module:Class") with `settings`.

    `alone` says that it answers about each row by itself to the last bit, as trees do.
    """

    def __init__(self, source: str, settings: dict[str, Any], *, alone: bool) -> None:
        self.source, self.settings, self.alone = source, settings, alone
        self.estimator: Any = None
        self.classes = 0

    def learn(self, x: X, y: Y, weight: Weight, *, classes: int, seed: int) -> Self:
        """Fit a fresh estimator; what computes with the rows gets them as float64, trees do not.

        Raises:
            ContractError: scikit-learn refuses the rows, with its own reason.
        """
        module, _, name = self.source.partition(":")
        kind = getattr(import_module(module), name)
        settings = dict(self.settings)
        known = kind().get_params()
        if "random_state" in known:
            settings["random_state"] = seed % 2**32  # the seeds scikit-learn takes
        if "n_jobs" in known and "n_estimators" in known:
            settings["n_jobs"] = len(os.sched_getaffinity(0)) if _LINUX else os.cpu_count()
        try:
            with told_to_the_log(name), few_threads():
                rows = x if self.alone else x.astype(np.float64)
                self.estimator = kind(**settings).fit(rows, y, sample_weight=weight)
        except ValueError as error:
            reason = " ".join(str(error).split())
            msg = f"scikit-learn's {name} cannot be fitted on these {len(x):,} flows."
            raise ContractError(msg, where=reason, do="Change its settings.") from error
        if "n_jobs" in settings:
            # Threads would add trees up in the order they end; one adds them in theirs.
            self.estimator.set_params(n_jobs=1)
        self.classes = classes
        return self

    def share(self, x: X) -> NDArray[np.float64]:
        """Ask for probabilities."""
        with few_threads():
            found = self.estimator.predict_proba(x) if self.alone else in_blocks(self._ask, x)
        whole = np.zeros((len(x), self.classes))
        whole[:, self.estimator.classes_] = found
        return whole

    def state(self) -> State:
        """Return the estimator; its types are what the part trusts."""
        return State(estimators={"model": self.estimator})

    def restore(self, state: State, *, classes: int, features: int) -> Self:
        """Take over an estimator, and refuse one that would read outside its memory.

        Raises:
            BundleError: Another estimator, of other features or classes, or with broken trees.
        """
        estimator, name = state.estimators["model"], self.source.partition(":")[2]
        codes = getattr(estimator, "classes_", np.empty(0))
        sound = (
            type(estimator).__name__ == name
            and getattr(estimator, "n_features_in_", None) == features
            and len(codes)
            and min(codes) >= 0
            and max(codes) < classes
        )
        if not sound:
            msg = f"This is no {name} of {features} features and {classes} classes."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        require_sound_trees(estimator)
        self.estimator, self.classes = estimator, classes
        return self

    def _ask(self, x: X) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.estimator.predict_proba(x.astype(np.float64))
        return found


class Neighbours:
    """The train rows themselves, and scikit-learn's search among them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.x: X = np.empty((0, 0), np.float32)
        self.y: Y = np.empty(0, np.int64)
        self.search: Any = None
        self.classes = 0

    def learn(self, x: X, y: Y, weight: Weight, *, classes: int, seed: int) -> Self:
        """Keep the rows.

        Raises:
            ContractError: Fewer rows than neighbours, or weights, which neighbours cannot have.
        """
        del seed
        wanted = self.settings["n_neighbors"]
        if len(x) < wanted:
            msg = f"{wanted} neighbours cannot be found among {len(x):,} labelled train flows."
            raise ContractError(msg, do="Lower n_neighbors, or give training a larger part.")
        if weight is not None:
            msg = "Neighbours vote alike: classes cannot be weighed."
            raise ContractError(msg)
        self.x, self.y, self.classes = np.ascontiguousarray(x), y, classes
        return self._index()

    def share(self, x: X) -> NDArray[np.float64]:
        """Let the nearest rows vote."""
        whole = np.zeros((len(x), self.classes))
        whole[:, self.search.classes_] = in_blocks(self.search.predict_proba, x)
        return whole

    def state(self) -> State:
        """Return the rows."""
        return State(arrays={"x": self.x, "y": self.y})

    def restore(self, state: State, *, classes: int, features: int) -> Self:
        """Take over rows."""
        x, y = state.arrays["x"], state.arrays["y"]
        if x.shape != (len(y), features) or not len(y) or y.min() < 0 or y.max() >= classes:
            msg = f"These are no rows of {features} features and {classes} classes."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        self.x, self.y, self.classes = x, y, classes
        return self._index()

    def _index(self) -> Self:
        from sklearn.neighbors import KNeighborsClassifier

        self.search = KNeighborsClassifier(algorithm="brute", **self.settings).fit(self.x, self.y)
        return self


def in_blocks(ask: Callable[[X], NDArray[np.float64]], x: X) -> NDArray[np.float64]:
    """Ask about rows in blocks of `BLOCK`, the last one filled up with zeros."""
    pieces = []
    for first in range(0, max(len(x), 1), BLOCK):
        rows = x[first : first + BLOCK]
        block = np.zeros((BLOCK, x.shape[1]), np.float32)
        block[: len(rows)] = rows
        pieces.append(np.asarray(ask(block))[: len(rows)])
    return np.concatenate(pieces)


def require_sound_trees(estimator: Any) -> None:
    """Refuse trees whose nodes point outside them or back: walking one would leave its memory.

    Raises:
        BundleError: A damaged tree.
    """
    for tree in _trees(estimator):
        node = np.arange(len(tree.left))
        inner, last = tree.inner, len(node)
        sound = (
            ~inner | ((tree.left > node) & (tree.left < last)),
            ~inner | ((tree.right > node) & (tree.right < last)),
            ~inner | ((tree.feature >= 0) & (tree.feature < estimator.n_features_in_)),
        )
        if not all(check.all() for check in sound):
            msg = "A tree of this classifier points outside itself."
            raise BundleError(msg, do="The file is damaged or was tampered with; fit again.")


class _Tree:
    """The links of a tree, whoever grew it; `inner` are nodes that are no leaves."""

    def __init__(self, left: Any, right: Any, feature: Any, inner: Any) -> None:
        self.left, self.right = left.astype(np.int64), right.astype(np.int64)
        self.feature, self.inner = feature.astype(np.int64), np.asarray(inner, np.bool_)


def _trees(estimator: Any) -> Iterator[_Tree]:
    if hasattr(estimator, "tree_"):
        tree = estimator.tree_
        left, right = tree.children_left, tree.children_right
        yield _Tree(left, right, tree.feature, (left >= 0) | (right >= 0))
    for each in getattr(estimator, "estimators_", ()):
        yield from _trees(each)
    for rounds in getattr(estimator, "_predictors", ()):
        for predictor in rounds:
            nodes = predictor.nodes
            inner = nodes["is_leaf"] == 0
            yield _Tree(nodes["left"], nodes["right"], nodes["feature_idx"], inner)


@contextmanager
def told_to_the_log(name: str) -> Iterator[None]:
    """Turn what scikit-learn warns about into log lines."""
    with warnings.catch_warnings(record=True, action="always") as caught, np.errstate(all="ignore"):
        yield
    for warning in caught or ():
        log.info("%s: %s", name, " ".join(str(warning.message).split()))


@contextmanager
def few_threads() -> Iterator[None]:
    """Let OpenMP have two threads at most, and BLAS one.

    Threads add their part of a sum in the order they end. Of two parts either order gives the same
    bits; of three it does not, and one seed would give two models.
    """
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    openmp, blas = controller.select(user_api="openmp"), controller.select(user_api="blas")
    now = max((library["num_threads"] for library in openmp.info()), default=1)
    with openmp.limit(limits=min(2, now)), blas.limit(limits=1):
        yield


_LINUX = hasattr(os, "sched_getaffinity")
