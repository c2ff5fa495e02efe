"""Transforms that keep some of the features: what they share, and who may see labels.

Missing values count as the train mean of their column while features are chosen, and pass on as
they are. Categories pass on untouched: `categories` turns them into features first, where they are
to be chosen among.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import State

log = logging.getLogger("netvigil.tabular")
SHOWN = 8  # features named in a receipt; the state has all of them


@dataclass(frozen=True)
class Material:
    """What a choice is made from.

    Shapes:
        x: float64 [flows, features], finite; is_attack: bool [flows], or None without labels
    """

    x: NDArray[np.float64]
    names: tuple[str, ...]
    is_attack: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Choice:
    """Which columns stay, and why.

    Shapes:
        kept: int64 [kept], rising; worth: float64 [features], what the choice went by, high is kept
        notes: name of a dropped feature -> why, where there is a reason of its own
    """

    kept: NDArray[np.int64]
    worth: NDArray[np.float64]
    notes: Mapping[str, str] = field(default_factory=dict)


Choose = Callable[[Any, Material, int], Choice]


def top(worth: NDArray[np.float64], keep: int) -> NDArray[np.int64]:
    """Return the columns worth most, rising; of equals the first. All where there are fewer."""
    return np.sort(np.argsort(-worth, kind="stable")[:keep])


class Selection:
    """Keeps the features that `choose` chooses on the train range.

    `worth_` and `notes_` say by what; they are in the state, and a receipt names the best.

    Raises:
        NotFittedError: If `transform` or `get_state` comes before `fit`.
        ContractError: No features, other features than in training.
    """

    def __init__(self, name: str, config: Any, choose: Choose) -> None:
        self.name, self.config, self.choose = name, config, choose
        self.names_: tuple[str, ...] = ()
        self.kept_: NDArray[np.int64] = np.empty(0, np.int64)
        self.worth_: dict[str, float] = {}
        self.notes_: dict[str, str] = {}

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Choose, without labels."""
        return self._learn(features, None, seed)

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return the kept columns, in their order."""
        self._require_fitted()
        require_features(self.name, self.names_, features)
        x = np.ascontiguousarray(features.x[:, self.kept_])
        return replace(features, x=x, names=self._kept_names())

    def told(self) -> str:
        """Say in one sentence what is kept, the best first."""
        self._require_fitted()
        kept = self._kept_names()
        best = sorted(kept, key=lambda name: -self.worth_[name])[:SHOWN]
        count = f"keeps {len(kept)} of {len(self.names_)} features"
        wanted = getattr(self.config, "keep", len(kept))
        if wanted > len(kept):
            count += f" ({wanted} were asked for)"
        return f"{count}, first {', '.join(f'{n} {self.worth_[n]:.3g}' for n in best)}"

    def get_state(self) -> State:
        """Return names, worth and reasons, as JSON."""
        self._require_fitted()
        return State(
            values={
                "names": list(self.names_),
                "kept": list(self._kept_names()),
                "worth": self.worth_,
                "notes": self.notes_,
            }
        )

    def set_state(self, state: State) -> Self:
        """Take them over.

        Raises:
            BundleError: A kept feature that is none.
        """
        values = state.values
        names, kept = tuple(values["names"]), list(values["kept"])
        if not kept or not set(kept) <= set(names):
            msg = f"This is not a state of transform '{self.name}'."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        self.names_ = names
        self.kept_ = np.array([names.index(name) for name in kept], np.int64)
        self.worth_, self.notes_ = dict(values["worth"]), dict(values["notes"])
        return self

    def _learn(
        self, features: FlowFeatures, is_attack: NDArray[np.bool_] | None, seed: int
    ) -> Self:
        material = material_of(self.name, features, is_attack, self.config.fit_rows, seed)
        choice = self.choose(self.config, material, seed)
        self.names_, self.kept_ = features.names, choice.kept
        self.worth_ = dict(zip(features.names, choice.worth.tolist(), strict=True))
        self.notes_ = dict(choice.notes)
        log.info("%s %s", self.name, self.told())
        return self

    def _kept_names(self) -> tuple[str, ...]:
        return tuple(self.names_[number] for number in self.kept_.tolist())

    def _require_fitted(self) -> None:
        if not self.names_:
            msg = f"The transform '{self.name}' was used before it was fitted."
            raise NotFittedError(msg, do="Fit it on the train range first.")


class LabelledSelection(Selection):
    """One that learns from labels, and refuses to learn without."""

    def fit(self, features: FlowFeatures, *, seed: int) -> NoReturn:
        """Refuse.

        Raises:
            ContractError: Always.
        """
        del features, seed
        msg = f"The transform '{self.name}' learns from labels and was given none."
        raise ContractError(msg, do="Use it before a classifier, or use 'pca-features'.")

    def fit_labelled(
        self, features: FlowFeatures, is_attack: NDArray[np.bool_], *, seed: int
    ) -> Self:
        """Choose by the labels of the train range, attack or benign.

        Raises:
            ContractError: Labels of another number of flows, or of one class only.
        """
        if len(is_attack) != len(features):
            msg = f"{len(is_attack):,} labels for {len(features):,} flows."
            raise ContractError(msg, do="Pass one label for each flow.")
        if is_attack.all() or not is_attack.any():
            kind = "an attack" if is_attack.any() else "benign"
            msg = f"The transform '{self.name}' learns from both classes; every flow is {kind}."
            raise ContractError(msg, do="Move the split, or check the [labels] section.")
        return self._learn(features, is_attack, seed)


def material_of(
    name: str,
    features: FlowFeatures,
    is_attack: NDArray[np.bool_] | None,
    most: int | None,
    seed: int,
) -> Material:
    """Return a seeded sample of the rows, missing values replaced by their column's mean.

    Raises:
        ContractError: No features, or fewer than two flows.
    """
    if not features.names or len(features) < 2:
        msg = f"The transform '{name}' cannot be fitted on {len(features):,} flows of "
        msg += f"{len(features.names)} features."
        raise ContractError(msg, do="Give training a larger part, or keep more features.")
    rows = np.arange(len(features))
    if most is not None and len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    x = features.x[rows].astype(np.float64)
    missing = np.isnan(x)
    if missing.any():
        known = np.maximum((~missing).sum(axis=0), 1)
        x = np.where(missing, np.where(missing, 0, x).sum(axis=0) / known, x)
    return Material(x, features.names, None if is_attack is None else is_attack[rows])


def require_features(name: str, fitted: tuple[str, ...], features: FlowFeatures) -> None:
    """Refuse other features than those fitted on."""
    if features.names == fitted:
        return
    lost = [each for each in fitted if each not in features.names]
    new = [each for each in features.names if each not in fitted]
    msg = f"The transform '{name}' was fitted on other features."
    where = f"Missing: {', '.join(lost) or 'none'}; unexpected: {', '.join(new) or 'none'}."
    raise ContractError(msg, where=where, do="Read the source as the one it was fitted on.")
