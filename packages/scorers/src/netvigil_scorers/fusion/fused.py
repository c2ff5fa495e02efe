"""Scorer `fused`: many scores, one ranking, without labels.

Every part (a term of an encoder, a detector on the embedding) becomes a tail probability on train
flows that neither its encoder nor its detector was fitted on. Parts that ask one question form a
group and vote by the mean of their probabilities; a group's vote becomes a tail probability again,
which corrects for how much its parts agree; groups, which ask different questions, are combined by
Fisher's rule. No part can decide alone, whatever it says: a group's evidence ends at about the
logarithm of the number of held-out flows, so the noise of a group without signal, about 1, matters
only where few flows are held out. The README says what parts without signal cost on real data.

Encoders that only count are fitted again once held-out flows are encoded, so that a host pair first
seen late in training is known: held-out flows then look a little stranger than flows to come, which
only makes probabilities larger than they are.

The calibration range is left to the threshold: it holds whatever attacks happened in it (all of it,
in one of our captures), and against them no attack looks unusual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from netvigil.contracts import EncodedFlows, ScoreTable
from netvigil.errors import BundleError, ConfigError, ContractError, NotFittedError, nearest
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_scorers.fusion.combine import RULES, P, Rule
from netvigil_scorers.fusion.dependence import dependence
from netvigil_scorers.fusion.tails import Tail
from netvigil_scorers.pyod_adapter import DETECTORS, PyodScorer

BY_NAME = {d.name: d for d in DETECTORS if not d.transductive}
OWN = "features"  # the group of detectors and of the main encoder's own terms


class FusedConfig(PartConfig):
    """Settings of `fused`."""

    detectors: tuple[str, ...] = Field(
        ("gmm", "knn"),  # global and local distance: they err on different flows
        description="detectors fitted on the embedding, where the encoder emits one",
    )
    groups: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="group -> patterns of part names (detector.gmm, rarity.pair, rarity.*); by "
        "default each encoder beside the main one is a group, and the rest is one",
    )
    within: Rule = Field("mean-rank", description="how the parts of a group are combined")
    across: Rule = Field("fisher", description="how groups are combined")
    held_rows: int = Field(
        100_000, ge=1, description="held-out flows that are kept at most, a seeded sample"
    )

    @field_validator("detectors")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in BY_NAME:
                msg = f"no detector '{name}'. {nearest(name, BY_NAME)}"
                raise ValueError(msg)
        return tuple(dict.fromkeys(names))


class Fused:
    """Combines terms and detectors by their tail probabilities on held-out flows; see the module.

    Shapes:
        encoded: an embedding, terms, or both
        score: float64 [flows], higher means more anomalous; with Fisher across, 0 is most usual

    Raises:
        NotFittedError: If `score` or `get_state` comes before `fit` and `calibrate`.
        ConfigError: A pattern of `groups` that meets no part.
        ContractError: Nothing to combine, or other parts than in training.
    """

    def __init__(self, config: FusedConfig) -> None:
        self.config = config
        self.terms_: tuple[str, ...] = ()
        self._detectors: dict[str, PyodScorer] = {}
        self._tails: dict[str, Tail] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._votes: dict[str, Tail] = {}
        self.dependence_: dict[str, float] = {}

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        """Fit the detectors on the earlier train flows; `calibrate` must follow."""
        names = self.config.detectors if encoded.embedding is not None else ()
        self._tails, self._votes = {}, {}
        self._detectors = {
            name: PyodScorer(BY_NAME[name], BY_NAME[name].config()).fit(encoded, seed=seed)
            for name in names
        }
        self.terms_ = tuple(encoded.terms)
        parts = (*(f"detector.{name}" for name in names), *self.terms_)
        if not parts:
            msg = (
                "Scorer 'fused' has nothing to combine: no terms, and no detector on an embedding."
            )
            raise ContractError(msg, do="Name detectors, or an encoder that emits terms.")
        self._groups = _grouped(parts, self.config.groups)
        return self

    def calibrate(self, held_out: EncodedFlows, *, seed: int) -> Self:
        """Learn tails from held-out train flows, or a seeded sample of them."""
        if not self._groups:
            msg = "Scorer 'fused' is calibrated before fit."
            raise NotFittedError(msg, do="Call fit first.")
        if not len(held_out):
            msg = "Scorer 'fused' has no held-out flows to be calibrated on."
            raise ContractError(msg, do="Widen the train range, or set train.hold_out higher.")
        if len(held_out) > self.config.held_rows:
            rng = np.random.default_rng(seed)
            rows = rng.choice(len(held_out), self.config.held_rows, replace=False, shuffle=False)
            held_out = held_out.take(np.sort(rows))
        self._tails = {name: Tail.of(part) for name, part in self._parts(held_out).items()}
        self.dependence_ = dependence(self._probabilities(held_out), self._groups)
        self._votes = {name: Tail.of(vote) for name, vote in self._vote(held_out).items()}
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        """Score each flow by itself."""
        self._require_calibration()
        p = [self._votes[name].probability(vote) for name, vote in self._vote(encoded).items()]
        score = RULES[self.config.across](np.stack(p))
        return ScoreTable(flow_id=encoded.flow_id, score=score, window_start=encoded.window_start)

    def get_state(self) -> State:
        """Return tails, groups and the detectors' states."""
        self._require_calibration()
        arrays: dict[str, NDArray[Any]] = {}
        estimators: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name, detector in self._detectors.items():
            state = detector.get_state()
            arrays |= {f"detector.{name}.{key}": a for key, a in state.arrays.items()}
            estimators |= {f"{name}.{key}": e for key, e in state.estimators.items()}
            values[name] = dict(state.values)
        for kind, tails in (("tail", self._tails), ("vote", self._votes)):
            arrays |= {f"{kind}.{name}": tail.scores for name, tail in tails.items()}
        return State(
            arrays=arrays,
            estimators=estimators,
            values={
                "detectors": values,
                "terms": list(self.terms_),
                "groups": {name: list(parts) for name, parts in self._groups.items()},
                "dependence": dict(self.dependence_),
            },
        )

    def set_state(self, state: State) -> Self:
        """Take over tails, groups and detectors."""
        try:
            self._detectors = {
                name: PyodScorer(BY_NAME[name], BY_NAME[name].config()).set_state(
                    State(
                        _under(f"detector.{name}.", state.arrays),
                        values,
                        _under(f"{name}.", state.estimators),
                    )
                )
                for name, values in state.values["detectors"].items()
            }
            self.terms_ = tuple(state.values["terms"])
            self._groups = {n: tuple(parts) for n, parts in state.values["groups"].items()}
            self.dependence_ = dict(state.values["dependence"])
            tails = _under("tail.", state.arrays)
            self._tails = {
                part: Tail.of(tails[part]) for parts in self._groups.values() for part in parts
            }
            votes = _under("vote.", state.arrays)
            self._votes = {name: Tail.of(votes[name]) for name in self._groups}
        except (KeyError, TypeError, AttributeError) as error:
            msg = "This is not a state of scorer 'fused'."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.") from error
        return self

    def _parts(self, encoded: EncodedFlows) -> dict[str, NDArray[np.floating]]:
        """Return every part's score of each flow, [flows] each."""
        if set(encoded.terms) != set(self.terms_):
            msg = "Scorer 'fused' was fitted on other terms."
            where = f"Fitted on {list(self.terms_)}; found {list(encoded.terms)}."
            raise ContractError(msg, where=where, do="Encode with the pipeline it was fitted with.")
        found: dict[str, NDArray[np.floating]] = {
            f"detector.{name}": detector.score(encoded).score
            for name, detector in self._detectors.items()
        }
        return found | {name: encoded.terms[name] for name in self.terms_}

    def _probabilities(self, encoded: EncodedFlows) -> dict[str, P]:
        """Return every part's tail probability of each flow, [flows] each."""
        return {n: self._tails[n].probability(part) for n, part in self._parts(encoded).items()}

    def _vote(self, encoded: EncodedFlows) -> dict[str, P]:
        """Return each group's vote, [flows] each."""
        p = self._probabilities(encoded)
        rule = RULES[self.config.within]
        return {g: rule(np.stack([p[n] for n in parts])) for g, parts in self._groups.items()}

    def _require_calibration(self) -> None:
        if not self._votes:
            msg = "Scorer 'fused' has not been fitted and calibrated."
            raise NotFittedError(msg, do="Call fit and calibrate first, or load a fitted bundle.")


def _grouped(
    parts: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return the parts of each group.

    Raises:
        ConfigError: A pattern that meets no part; a part that two groups take.

    Example:
        >>> _grouped(["detector.gmm", "rarity.pair", "rarity.source", "error"], {})
        {'features': ('detector.gmm', 'error'), 'rarity': ('rarity.pair', 'rarity.source')}
    """
    if not groups:
        found: dict[str, tuple[str, ...]] = {}
        for part in parts:
            prefix, dot, _ = part.partition(".")
            group = prefix if dot and prefix != "detector" else OWN
            found[group] = (*found.get(group, ()), part)
        return found
    taken: dict[str, str] = {}
    for group, patterns in groups.items():
        for pattern in patterns:
            met = [part for part in parts if fnmatchcase(part, pattern)]
            if not met:
                msg = f"Group '{group}' of scorer 'fused' names '{pattern}', which no part is."
                do = nearest(pattern, parts)
                raise ConfigError(msg, where=f"The parts: {', '.join(parts)}.", do=do)
            for part in met:
                if taken.setdefault(part, group) != group:
                    msg = f"Groups '{taken[part]}' and '{group}' of 'fused' both take '{part}'."
                    raise ConfigError(msg, where="[scorer] groups", do="Leave it in one of them.")
    return {g: tuple(part for part in parts if taken.get(part) == g) for g in groups}


def _under(prefix: str, held: Mapping[str, Any]) -> dict[str, Any]:
    """Return what lies under a prefix, without it."""
    return {name[len(prefix) :]: held[name] for name in held if name.startswith(prefix)}
