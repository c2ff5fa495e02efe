"""Soft voting: the weighted mean of several classifiers' probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import BundleError
from netvigil.protocols import State
from netvigil_tabular.classifiers.models import Weight, X, Y
from netvigil_tabular.classifiers.taught import Taught


class Voting:
    """A model of models; each voter has its own settings, and gets a seed of its own.

    `make` gives the voters, unfitted.
    """

    def __init__(
        self, make: Callable[[], Sequence[Taught]], weights: Sequence[float] | None
    ) -> None:
        self.voters = list(make())
        self.weights = np.array(weights or [1.0] * len(self.voters))

    def learn(self, x: X, y: Y, weight: Weight, *, classes: int, seed: int) -> Self:
        """Teach every voter the same rows."""
        del weight
        names = tuple(map(str, range(classes)))
        for voter in self.voters:
            voter.learn(x, y, names, seed=seed)
        return self

    def share(self, x: X) -> NDArray[np.float64]:
        """Return the weighted mean."""
        total = np.zeros(())
        for voter, weight in zip(self.voters, self.weights.tolist(), strict=True):
            total = total + weight * voter.share(x)
        return np.asarray(total / self.weights.sum())

    def state(self) -> State:
        """Return the voters' states side by side."""
        states = [voter.state() for voter in self.voters]
        return State(
            arrays={f"{i}.{k}": a for i, s in enumerate(states) for k, a in s.arrays.items()},
            values={"voters": [dict(s.values) for s in states]},
            estimators={
                f"{i}.{k}": e for i, s in enumerate(states) for k, e in s.estimators.items()
            },
        )

    def restore(self, state: State, *, classes: int, features: int) -> Self:
        """Hand each voter its own state.

        Raises:
            BundleError: A state of another number of voters.
        """
        values = state.values["voters"]
        if len(values) != len(self.voters):
            msg = f"This is a state of {len(values)} voters, not {len(self.voters)}."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        for i, (voter, own) in enumerate(zip(self.voters, values, strict=True)):
            begin = f"{i}."
            each = State(
                {k.removeprefix(begin): a for k, a in state.arrays.items() if k.startswith(begin)},
                own,
                {
                    k.removeprefix(begin): e
                    for k, e in state.estimators.items()
                    if k.startswith(begin)
                },
            )
            voter.restore(each, classes=classes, features=features)
        return self
