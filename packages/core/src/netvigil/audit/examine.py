"""`audit`: one pass over the flows, then figures into findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

import numpy as np

from netvigil.audit.defects import FLOOD, Traits, known_defects
from netvigil.audit.report import ORDER, Audit, ClassRow, Finding
from netvigil.audit.shortcuts import FeatureAuc, RuleAuc, Stump, rules, single_features, stumps
from netvigil.audit.stream import (
    BENIGN,
    SLOT_US,
    UNKNOWN,
    Classes,
    Clock,
    Duplicates,
    Sample,
    Truth,
)
from netvigil.contracts import FlowInfo, FlowTable, LabelTable
from netvigil.errors import ConfigError, ContractError

MAX_SAMPLE = 1_000_000
PARTS = 24  # columns of the picture of classes over time: fits beside the counts in 80 characters
DECISIVE, STRONG = 0.95, 0.9
"""AUCs from which one rule nearly decides, and from which it is hard to beat."""


def audit(
    flows: Iterable[FlowTable] | Callable[[], Iterable[FlowTable]],
    labels: LabelTable | None = None,
    *,
    sample: int = 250_000,
    seed: int = 0,
) -> Audit:
    """Examine flows, and where labels are given, what gives the labels away.

    `flows` are batches in time order, or a function that yields them; they are walked through
    once. AUCs and stumps rest on an even, seeded sample
    of at most `sample` labelled flows; everything else counts all flows.

    Raises:
        ConfigError: A sample below 1 or above a million flows.
        ContractError: No flow at all.
    """
    if not 1 <= sample <= MAX_SAMPLE:
        msg = f"An audit samples 1 to {MAX_SAMPLE:,} flows, not {sample:,}."
        raise ConfigError(msg)
    truth = Truth(labels or LabelTable.empty())
    duplicates, clock, classes = Duplicates(), Clock(), Classes()
    drawn = Sample(sample, seed)
    info, columns = None, frozenset[str]()
    for batch in flows() if callable(flows) else flows:
        info, columns = batch.info, frozenset(batch.table.column_names)
        number = truth.classes(batch.flow_id)
        duplicates.update(batch)
        classes.update(batch, number)
        drawn.update(batch, number)
        if info.time_basis == "clock":
            clock.update(batch)
    if info is None or not classes.counts:
        msg = "There are no flows to audit."
        raise ContractError(msg, do="Check the source with `netvigil data inspect`.")
    attacks = [truth.names[number] for number in classes.counts if number > BENIGN]
    defects = Traits.of(
        format_name=info.format, columns=columns, classes=attacks, first_us=clock.first
    )
    report = _report(info, truth, duplicates, clock, classes, drawn)
    findings = [
        *(
            Finding(d.severity, f"{d.name}: {d.what}", d.do, d.source)
            for d in known_defects(defects)
        ),
        *_label_findings(report),
        *_rule_findings(report),
        *_row_findings(report),
    ]
    findings.sort(key=lambda finding: ORDER.index(finding.severity))
    return Audit(**{**vars(report), "findings": tuple(findings)})


def _report(
    info: FlowInfo,
    truth: Truth,
    duplicates: Duplicates,
    clock: Clock,
    classes: Classes,
    drawn: Sample,
) -> Audit:
    flows = sum(classes.counts.values())
    known = flows - classes.counts.get(UNKNOWN, 0)
    table, number = drawn.result()
    is_attack = number > BENIGN
    features: list[FeatureAuc] = []
    tried: list[RuleAuc] = []
    trees: list[Stump] = []
    if table is not None and is_attack.any() and not is_attack.all():
        features = single_features(table, is_attack)
        tried = rules(table, info, is_attack)
        trees = stumps(table, is_attack)
    has_clock = clock.flows > 0
    return Audit(
        format=info.format,
        flows=flows,
        known=known,
        attacks=known - classes.counts.get(BENIGN, 0),
        duplicates=duplicates.exact,
        duplicates_of=duplicates.flows,
        near_duplicates=duplicates.near,
        near_duplicates_of=duplicates.near_flows,
        first=_iso(clock.first),
        last=_iso(clock.last),
        clock_jumps=tuple((_iso(at) or "", seconds) for at, seconds in clock.jumps()),
        whole_seconds=clock.whole_seconds if has_clock else None,
        out_of_order=clock.backwards / clock.flows if has_clock else None,
        classes=_class_rows(truth, classes, clock),
        sampled=len(number),
        seed=drawn.seed,
        features=tuple(features),
        rules=tuple(tried),
        stumps=tuple(trees),
    )


def _class_rows(truth: Truth, classes: Classes, clock: Clock) -> tuple[ClassRow, ...]:
    names = {UNKNOWN: "unknown", BENIGN: "benign"}
    rows = []
    for number, flows in sorted(classes.counts.items(), key=lambda item: (-item[1], item[0])):
        slot, count = classes.slots(number)
        over_time: tuple[int, ...] = ()
        if len(slot) and clock.first is not None and clock.last is not None:
            begin = clock.first // SLOT_US
            span = clock.last // SLOT_US - begin + 1
            part = (slot - begin) * PARTS // span
            over_time = tuple(
                np.bincount(part, weights=count, minlength=PARTS).astype(int).tolist()
            )
        rows.append(
            ClassRow(
                name=names.get(number) or truth.names[number],
                flows=flows,
                sources=classes.sources(number) if classes.has_sources else None,
                first=_iso(int(slot[0]) * SLOT_US) if len(slot) else None,
                last=_iso(int(slot[-1]) * SLOT_US) if len(slot) else None,
                over_time=over_time,
            )
        )
    return tuple(rows)


def _label_findings(report: Audit) -> Iterator[Finding]:
    unknown = report.flows - report.known
    if not report.known:
        yield Finding(
            "low",
            "No flow has a label: nothing can be said about shortcuts.",
            "Give a labeller to learn what gives the labels away.",
        )
        return
    if unknown:
        yield Finding(
            "medium" if unknown > report.known else "low",
            f"{unknown / report.flows:.1%} of the flows have no label.",
            "They stay out of every metric; check that the labeller matched what it should.",
        )
    share = report.attacks / report.known
    if not report.attacks or report.attacks == report.known:
        which = "attack" if report.attacks else "benign"
        yield Finding(
            "high",
            f"All labelled flows are {which}.",
            "No ranking can be measured here; use another source or labeller.",
        )
    elif share > 0.2:
        yield Finding(
            "medium",
            f"{share:.0%} of the labelled flows are attacks, far more than on a real network.",
            "Read AUROC and TPR at low FPR; precision and F1 do not carry over.",
        )
    lone = [c for c in report.classes if c.sources == 1 and c.name not in ("benign", "unknown")]
    if lone:
        names = ", ".join(c.name for c in lone)
        yield Finding(
            "medium",
            f"Classes with a single source host: {names}.",
            "A detector may learn the host; read the source baselines and the within-pair AUROC.",
            FLOOD,
        )


def _rule_findings(report: Audit) -> Iterator[Finding]:
    denied = {f"{f.name} ({f.denied_as})": f.auc for f in report.features if f.denied_as}
    if found := _from(denied, STRONG):
        yield Finding(
            "medium",
            f"Columns that are denied as features rank attacks alone, by AUC: {found}.",
            "State it wherever features.allow_shortcuts names one of them.",
            FLOOD,
        )
    columns = {f.name: f.auc for f in report.features if not f.denied_as}
    yield from _by_strength(
        columns,
        "Single columns rank attacks, by AUC",
        "State this beside every figure: a detector must beat this one column.",
    )
    yield from _by_strength(
        {rule.rule: rule.auc for rule in report.rules if rule.auc is not None},
        "Rules that know only how often a key was an attack rank attacks, by AUC",
        "A model that memorises such keys looks good: compare with the novelty and rarity"
        " baselines and read the within-pair AUROC.",
    )
    cuts = {
        f"{s.feature} {s.alert_if} {s.cut:.6g} (chosen on the {s.chosen_on})": s.balanced_accuracy
        for s in report.stumps
    }
    yield from _by_strength(
        cuts,
        "A single cut tells attacks on the other half of the time, by balanced accuracy",
        "This data set is too easy to compare detectors by accuracy or F1.",
    )


def _by_strength(figures: Mapping[str, float], what: str, do: str) -> Iterator[Finding]:
    if decisive := _from(figures, DECISIVE):
        yield Finding("high", f"{what}: {decisive}.", do, FLOOD)
    if strong := _from(figures, STRONG, below=DECISIVE):
        yield Finding("medium", f"{what}: {strong}.", do, FLOOD)


def _from(figures: Mapping[str, float], least: float, *, below: float = 2.0) -> str:
    """List the figures in a range, highest first, as text."""
    ranked = sorted(figures.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.3f}" for name, value in ranked if least <= value < below)


def _row_findings(report: Audit) -> Iterator[Finding]:
    if report.duplicates:
        share = report.duplicates / report.duplicates_of
        yield Finding(
            "medium" if share > 0.01 else "low",
            f"{report.duplicates:,} of {report.duplicates_of:,} flows ({share:.1%}) repeat another"
            " in every column.",
            "Repeats on both sides of a split leak: drop them where the split is not by time.",
        )
    for at, seconds in report.clock_jumps[:3]:
        yield Finding(
            "low",
            f"No flow starts for {seconds:,.0f} s from {at}.",
            "A gap or a jump of the clock: check that no part of the split straddles it.",
        )
    if report.first is not None and not "1990" < report.first[:4] < "2100":
        yield Finding(
            "high",
            f"The first flow starts at {report.first}: the clock was not set.",
            "Repair the times before splitting by time.",
        )
    if report.out_of_order is not None and report.out_of_order > 0.01:
        yield Finding(
            "low",
            f"{report.out_of_order:.1%} of the rows of the source are not in time order.",
            "Nothing: netvigil sorts by start. Tools that trust the row order would leak.",
        )
    if report.whole_seconds is False or report.whole_seconds is None:
        return
    yield Finding(
        "low",
        "All starts are whole seconds.",
        "Order within a second means nothing; do not use windows of a few seconds.",
    )


def _iso(us: int | None) -> str | None:
    if us is None or not -62_135_596_800_000_000 <= us < 253_402_300_800_000_000:
        return None if us is None else f"{us} us"
    return datetime.fromtimestamp(us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")
