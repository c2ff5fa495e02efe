"""The evaluation receipt: all that a reader needs to judge a figure, as one JSON document."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from netvigil.evaluation.pitfalls import Pitfall, judge_pitfalls
from netvigil.evaluation.results import Evaluation, Model, Realised, ThresholdUse

SHOWN = (
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "polars",
    "pyod",
    "nfstream",
    "torch",
    "torch-geometric",
)
"""Libraries whose version can change a result; netvigil's own packages are always stated."""


CLASSIFIER = "classifier: labels of the train part"


class DataUse(Model):
    """One source, as it was read; `part` says which parts of the split it fills, where not all."""

    source: str
    part: str = ""
    sha256: str
    flows: int
    format: str
    time_basis: Literal["clock", "row-order"]
    bytes_layer: str = "unknown"
    direction: str = "unknown"
    rows_repaired: int = 0
    rows_rejected: int = 0


class PartUse(Model):
    """One part of the split. Times are ISO 8601 UTC, None without a clock."""

    flows: int
    first: str | None = None
    last: str | None = None
    known: int | None = None
    attacks: int | None = None


class SplitUse(Model):
    """How the flows were split; `parts` are train, calibrate, test, purged, and repeated.

    With `test_source` the test part is a source of its own, and the protocol divided the other one.
    `repeats` counts flows that equal an earlier one in all but their origin, `repeats_across` those
    whose first copy stands in another part; None where nobody looked. The part `repeated` holds
    them where they were left out.
    """

    protocol: str
    shuffled: bool = False
    test_source: bool = False
    purge_s: float | None = None
    repeats: int | None = None
    repeats_across: int | None = None
    parts: dict[str, PartUse]


class FeatureUse(Model):
    """What the models saw. `denied` names each shortcut that was left out, and why.

    `learnt` says of each transform that chooses features which it kept.
    """

    feature_set: str
    names: tuple[str, ...]
    categories: tuple[str, ...] = ()
    sha256: str
    transforms: tuple[str, ...] = ()
    learnt: tuple[str, ...] = ()
    denied: dict[str, str] = Field(default_factory=dict)
    allowed_shortcuts: tuple[str, ...] = ()


class LabelUse(Model):
    """Where labels were read. Evaluation always reads them; each other use must be declared.

    `model` is a classifier, which learns from the labels of the train part. Without one, `split`
    and `transforms` read labels only at parity with a published pipeline. `calibration` says that
    labelled attacks were taken out of what the cut was set on, `augmentation` that a generator
    learnt from the labels of the train part, and a classifier from what it made.
    """

    train_filter: bool
    model: bool = False
    tuning: bool = False
    threshold: bool = False
    evaluation: bool = True
    split: bool = False
    transforms: bool = False
    calibration: bool = False
    augmentation: bool = False

    def words(self) -> str:
        """Say it in one sentence.

        Example:
            >>> LabelUse(train_filter=True).words()
            'train filter, evaluation; not: model, tuning, threshold'
        """
        named = {"split": True} if self.split else {}
        named |= {"transforms": True} if self.transforms else {}
        named |= {"calibration filter": True} if self.calibration else {}
        named |= {"augmentation": True} if self.augmentation else {}
        named |= {
            "train filter": self.train_filter,
            CLASSIFIER if self.model else "model": self.model,
            "tuning": self.tuning,
            "threshold": self.threshold,
            "evaluation": self.evaluation,
        }
        used = ", ".join(name for name, yes in named.items() if yes) or "nowhere"
        unused = ", ".join(name for name, yes in named.items() if not yes)
        return f"{used}; not: {unused}" if unused else used


class Phase(Model):
    """Seconds of one phase of the run; `flows` is what it handled."""

    name: str
    seconds: float
    flows: int | None = None
    peak_memory_bytes: int | None = None


class Hardware(Model):
    """The machine; nothing that names its owner."""

    cpu: str
    cores: int
    memory_bytes: int | None
    platform: str
    python: str
    accelerator: str | None = None


class Receipt(Model):
    """Printed with every result and kept beside it.

    `train_attack_share` is the share of attacks among the labelled flows the encoder was fitted on,
    `detector_attack_share` the same for the scorer; None where labels do not say. `parity` names,
    in capitals, each choice of an official pipeline that was taken over, leaks included; in the
    strict form it is empty. `absent_baselines` gives the reason for each row that is missing from
    the table. `realised` is what came of the promise of the own method's threshold; shares of all
    flows and alerts a day are measured without labels too. `pitfalls` is derived from the rest by
    `Receipt.of`.
    """

    schema_version: Literal["netvigil.receipt/1"] = "netvigil.receipt/1"
    positive_class: Literal["attack"] = "attack"
    parity: tuple[str, ...] = ()
    data: tuple[DataUse, ...]
    split: SplitUse
    features: FeatureUse
    labels: LabelUse
    threshold: ThresholdUse
    train_attack_share: float | None
    detector_attack_share: float | None = None
    absent_baselines: dict[str, str] = Field(default_factory=dict)
    realised: Realised | None = None
    evaluation: Evaluation | None
    phases: tuple[Phase, ...]
    hardware: Hardware
    versions: dict[str, str]
    code_version: str | None = None
    seeds: tuple[int, ...]
    config: dict[str, Any]
    pitfalls: tuple[Pitfall, ...]

    @staticmethod
    def of(
        *,
        data: Iterable[DataUse],
        split: SplitUse,
        features: FeatureUse,
        labels: LabelUse,
        threshold: ThresholdUse,
        train_attack_share: float | None,
        evaluation: Evaluation | None,
        phases: Iterable[Phase],
        seeds: Iterable[int],
        config: dict[str, Any],
        detector_attack_share: float | None = None,
        absent_baselines: dict[str, str] | None = None,
        code_version: str | None = None,
        accelerator: str | None = None,
        parity: Iterable[str] = (),
        realised: Realised | None = None,
    ) -> Receipt:
        """Make a receipt: adds this machine, the installed versions and the pitfalls touched."""
        data, parity = tuple(data), tuple(parity)
        return Receipt(
            parity=parity,
            data=data,
            split=split,
            features=features,
            labels=labels,
            threshold=threshold,
            train_attack_share=train_attack_share,
            detector_attack_share=detector_attack_share,
            absent_baselines=absent_baselines or {},
            realised=realised,
            evaluation=evaluation,
            phases=tuple(phases),
            hardware=hardware(accelerator),
            versions=versions(),
            code_version=code_version,
            seeds=tuple(seeds),
            config=config,
            pitfalls=judge_pitfalls(
                sources=len(data),
                has_clock=all(source.time_basis == "clock" for source in data),
                shuffled=split.shuffled,
                test_source=split.test_source,
                tuned_on_labels=labels.tuning,
                supervised=labels.model,
                train_filter=labels.train_filter,
                calibration_filter=labels.calibration,
                parity=parity,
                threshold=threshold.mode,
                allowed_shortcuts=features.allowed_shortcuts,
                evaluation=evaluation,
            ),
        )

    def to_json(self) -> str:
        """Return the document, indented, ending in a newline."""
        return self.model_dump_json(indent=2) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> Receipt:
        """Read a document back; pydantic refuses what is not one."""
        return Receipt.model_validate_json(text)


def hardware(accelerator: str | None = None) -> Hardware:
    """Describe this machine."""
    memory = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Hardware(
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        memory_bytes=memory,
        platform=platform.platform(terse=True),
        python=platform.python_version(),
        accelerator=accelerator,
    )


def versions() -> dict[str, str]:
    """Return the installed versions of netvigil's packages and of the libraries that matter."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = (distribution.name or "").lower()
        if name in SHOWN or name == "netvigil" or name.startswith("netvigil-"):
            found[name] = distribution.version
    return dict(sorted(found.items()))


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or "unknown"
