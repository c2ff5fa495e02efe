"""Classes of flows, and what stands a classifier in the places of encoder and scorer.

A classifier says how probable each class is; that is its encoding, one term per class. A flow's
score is the probability that it is not benign. So everything after the fit (bundles, detection,
alerts, evidence) is the same for both kinds of pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil import parts, protocols
from netvigil.contracts import EncodedFlows, LabelTable, ScoreTable, WindowGraphs, WindowStream
from netvigil.errors import ContractError
from netvigil.protocols import State

BENIGN = "benign"
"""The name of the class that is no attack, always the first one."""
UNNAMED = "attack"
"""The class of attacks whose kind nobody names, and of all attacks where classes are binary."""


def class_names(labels: LabelTable) -> tuple[str, ...]:
    """Return the classes that labels know: benign, then each attack by name.

    Raises:
        ContractError: No benign flow, no attack, or an attack that calls itself benign.

    Example:
        >>> truth = np.array([False, True, True])
        >>> class_names(LabelTable.of(np.arange(3), truth, pa.array(["", "b", "a"])))
        ('benign', 'a', 'b')
    """
    truth = labels.table["is_attack"].to_numpy()
    attacks = labels.table["attack"].filter(pa.array(truth)).cast(pa.string()).fill_null(UNNAMED)
    names = sorted(attacks.unique().to_pylist())
    if not names or truth.all():
        kind = "attack" if not names else "benign flow"
        msg = f"A classifier learns from both classes, but no {kind} is among the labelled flows."
        where = f"{len(labels):,} labelled flows, {int(truth.sum()):,} attacks"
        raise ContractError(msg, where=where, do="Move the split, or check the [labels] section.")
    if BENIGN in names:
        msg = f"An attack is called '{BENIGN}', as the flows that are none."
        raise ContractError(msg, do="Give it another name in the labels.")
    return (BENIGN, *names)


def class_codes(
    labels: LabelTable, flow_id: NDArray[np.int64], names: tuple[str, ...]
) -> NDArray[np.int64]:
    """Return each flow's place in `names`, int64 [flows]; -1 where it has no label.

    Raises:
        ContractError: A class that is not among the names.
    """
    attacks = labels.table["attack"].unify_dictionaries().combine_chunks()
    # Of each row its place in the dictionary, or behind it where nobody names the kind.
    kind = attacks.indices.fill_null(len(attacks.dictionary)).to_numpy()
    kinds = [*attacks.dictionary.to_pylist(), UNNAMED]
    number = {name: place for place, name in enumerate(names) if place}
    places = np.array([number.get(name, _STRANGE) for name in kinds])
    codes: NDArray[np.int64] = places.take(kind)
    codes *= labels.table["is_attack"].to_numpy()  # what is benign has the code 0
    if not labels.in_order_of(flow_id):
        row, known = labels.rows(flow_id)
        kind, codes = (
            column.take(row, mode="clip") if len(kind) else row for column in (kind, codes)
        )
        codes = np.where(known, codes, -1)
    if codes.min(initial=0) == _STRANGE:
        name = kinds[kind[np.argmin(codes)]]
        msg = f"The class '{name}' is not among those to learn: {', '.join(names)}."
        raise ContractError(msg)
    return codes


_STRANGE = -2  # the code of a class that is not among the names


def probabilities(encoded: EncodedFlows) -> NDArray[np.float32]:
    """Return a classifier's answer as one array, float32 [flows, classes]."""
    return np.stack(list(encoded.terms.values()), axis=1).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Verdicts:
    """The most probable class of each flow.

    Shapes:
        code: int64 [flows], place in `names`; share: float32 [flows], how probable that class is
    """

    names: tuple[str, ...]
    code: NDArray[np.int64]
    share: NDArray[np.float32]

    @staticmethod
    def of(names: tuple[str, ...], share: NDArray[np.float32]) -> Verdicts:
        """Take each flow's arg max, the first class of equals; float32 [flows, classes]."""
        code = share.argmax(axis=1) if len(share) else np.empty(0, np.int64)
        return Verdicts(names, code, share[np.arange(len(share)), code])

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Verdicts:
        return Verdicts(self.names, self.code[rows], self.share[rows])

    def column(self) -> pa.DictionaryArray:
        """Return the classes as text, [flows]."""
        codes = pa.array(self.code.astype(np.int32))
        return pa.DictionaryArray.from_arrays(codes, pa.array(self.names, pa.string()))

    def words(self) -> list[str]:
        """Return a sentence for each flow."""
        found = zip(self.code.tolist(), self.share.tolist(), strict=True)
        return [
            f"classified as {self.names[code]}, probability {share:.3f}" for code, share in found
        ]


def verdicts(encoded: EncodedFlows) -> Verdicts:
    """Return the verdicts of a classifier's answer."""
    return Verdicts.of(tuple(encoded.terms), probabilities(encoded))


class Classes:
    """A classifier in an encoder's place: it encodes a flow as the probability of each class."""

    def __init__(self, classifier: protocols.Classifier) -> None:
        self.classifier = classifier

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Refuse to learn without labels.

        Raises:
            ContractError: Always.
        """
        del windows, seed
        msg = "A classifier learns from labels and was given none."
        raise ContractError(msg, do="Fit it through netvigil.supervise.")

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Return one term per class, its probability."""
        return self.classifier.classify(windows)

    def get_state(self) -> State:
        """Return the classifier's state."""
        return self.classifier.get_state()

    def set_state(self, state: State) -> Self:
        """Hand a state to the classifier."""
        self.classifier.set_state(state)
        return self


class AttackProbability:
    """A classifier's score: the probability that a flow is not benign, from 0 to 1.

    Of two ways to compute it each flow gets the one that keeps more digits: probabilities are
    float32, which near 0 tells apart what near 1 is equal.
    """

    def __init__(self, config: parts.NoConfig) -> None:
        del config

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        """Learn nothing."""
        del encoded, seed
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        """Score each flow by itself.

        Raises:
            ContractError: No class is called benign.
        """
        if BENIGN not in encoded.terms:
            msg = f"A classifier must say how probable the class '{BENIGN}' is."
            where = f"Its classes: {', '.join(encoded.terms) or 'none'}."
            raise ContractError(msg, where=where)
        benign = encoded.terms[BENIGN].astype(np.float64)
        attack = np.zeros(len(encoded))
        for name, term in encoded.terms.items():
            if name != BENIGN:
                attack += term
        score = np.where(benign < attack, 1 - benign, attack)
        return ScoreTable(encoded.flow_id, np.clip(score, 0, 1), encoded.window_start)

    def get_state(self) -> State:
        """Return nothing, as nothing was learnt."""
        return State()

    def set_state(self, state: State) -> Self:
        """Take over nothing."""
        del state
        return self


def as_encoder(part: parts.Classifier) -> parts.Encoder:
    """Return a classifier's part in an encoder's place."""
    made: Any = part.make

    def make(config: Any) -> Classes:
        return Classes(made(config))

    settings: Mapping[str, Any] = {
        name: getattr(part, name)
        for name in ("name", "summary", "config", "accepts", "trusted_types", "presets", "parity")
    }
    return parts.Encoder(make=make, emits=frozenset({"terms"}), passes="many", **settings)


SCORER = parts.Scorer(
    name="attack-probability",
    summary="The probability that a flow is not benign.",
    make=AttackProbability,
    needs="terms",
    seeded=False,
)
"""What stands in the scorer's place beside a classifier; no experiment file names it."""
