"""Signs beside a method's name: each use of labels that a reader must know of, and parity."""

from __future__ import annotations

from collections.abc import Iterable

from netvigil.evaluation import MethodResult, Receipt

LEGEND = {
    "P": "PARITY with the official pipeline, its leaks included",
    "R": "random split: a model sees flows from after those it is tested on",
    "F": "labels chose which flows were trained on, or the cut set on",
    "S": "SUPERVISED: labels taught the model",
    "A": "AUGMENTED: flows generated from labels of the train part taught the model too",
    "T": "labels chose the settings (tuning)",
    "U": "settings were tuned without labels",
    "C": "labels chose the cut",
    "O": "the test labels chose the cut: figures at the cut are left out",
    "L": "labels shaped the split or the features",
}
"""Sign -> what it says; a row without a sign read labels nowhere but in its judgement."""
DECLARED = frozenset(
    ["train_filter", "calibration", "model", "augmentation", "tuning", "threshold", "evaluation"]
)
RULES = {"all-benign"}
"""Baselines that learn nothing, so that nothing was chosen for them."""


def marks_of(receipt: Receipt, method: MethodResult) -> tuple[str, ...]:
    """Return a row's signs, in the order of the legend.

    What shaped the flows (parity, split, train filter) marks every row that learns from them; what
    shaped the model marks the methods alone.
    """
    labels = receipt.labels
    learns = method.method not in RULES
    own = method.kind == "method"
    mode = method.threshold.mode if method.threshold else None
    others = [k for k, v in labels.model_dump().items() if v is True and k not in DECLARED]
    true = {
        "P": bool(receipt.parity) and learns,
        "R": receipt.split.shuffled and learns,
        "F": (labels.train_filter or labels.calibration) and learns,
        "S": labels.model and own,
        "A": labels.augmentation and own,
        "T": labels.tuning and own,
        "U": bool(receipt.config.get("tuned")) and not labels.tuning and own,
        "C": mode == "validation-labels",
        "O": mode == "oracle",
        "L": bool(others) and learns,
    }
    return tuple(sign for sign in LEGEND if true[sign])


def legend_of(marks: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Return the legend of the signs that occur."""
    used = {sign for each in marks for sign in each}
    return {sign: meaning for sign, meaning in LEGEND.items() if sign in used}
