"""Which of the ten pitfalls of Arp et al. a result touches, derived from its settings and figures.

Arp, Quiring, Pendlebury, Warnecke, Pierazzi, Wressnegger, Cavallaro, Rieck: "Dos and Don'ts of
Machine Learning in Computer Security", USENIX Security 2022. A tool can see some of them in its own
settings; those it cannot see are listed as not judged rather than as avoided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from netvigil.evaluation.results import Evaluation, Headline, MethodResult, Model, ThresholdMode

State = Literal["touched", "guarded", "not judged"]

FEW_ATTACKS = 30
"""Below this the normal approximation of a recall's error is poor; a usual rule of thumb."""
FEW_SEEDS = 5
RARE_ENOUGH = 0.01
"""Real networks have attack shares far below 1 %; Axelsson (2000) argues with about 1e-5."""


class Pitfall(Model):
    """One pitfall, what this result has to do with it, and why."""

    id: str
    name: str
    state: State
    why: str


def judge_pitfalls(
    *,
    sources: int,
    has_clock: bool,
    shuffled: bool,
    tuned_on_labels: bool,
    supervised: bool,
    train_filter: bool,
    threshold: ThresholdMode,
    allowed_shortcuts: Sequence[str],
    evaluation: Evaluation | None,
    calibration_filter: bool = False,
    parity: Sequence[str] = (),
    test_source: bool = False,
) -> tuple[Pitfall, ...]:
    """Go through P1 to P10 in order."""
    headline = evaluation.headline if evaluation else None
    return (
        _p1(sources),
        _p2(evaluation),
        _p3(
            by_row=not has_clock and not test_source,
            shuffled=shuffled,
            threshold=threshold,
            train_filter=train_filter,
            calibration_filter=calibration_filter,
            supervised=supervised,
            parity=parity,
        ),
        _p4(allowed_shortcuts, headline),
        _p5(tuned_on_labels=tuned_on_labels, threshold=threshold),
        _p6(headline),
        _p7(headline),
        _p8(headline),
        _note("P9", "lab-only evaluation", "the tool cannot know whether this traffic is a lab's"),
        _note("P10", "wrong threat model", "no attacker who knows the detector was simulated"),
    )


def _p1(sources: int) -> Pitfall:
    if sources == 1:
        why = "one source: the figures say nothing about another network"
        return Pitfall(id="P1", name="sampling bias", state="touched", why=why)
    return _note("P1", "sampling bias", f"{sources} sources; whether they are typical is not known")


def _p2(evaluation: Evaluation | None) -> Pitfall:
    name, reasons = "label inaccuracy", []
    if evaluation and evaluation.unknown:
        reasons.append(f"{evaluation.unknown:,} test flows have no label and were left out")
    if evaluation and evaluation.without_excluded:
        classes = ", ".join(evaluation.without_excluded.excluded)
        reasons.append(f"labels of {classes} are doubted: a second headline leaves them out")
    if reasons:
        return Pitfall(id="P2", name=name, state="touched", why="; ".join(reasons))
    return _note("P2", name, "labels are taken as given")


def _p3(
    *,
    by_row: bool,
    shuffled: bool,
    threshold: ThresholdMode,
    train_filter: bool,
    calibration_filter: bool,
    supervised: bool,
    parity: Sequence[str],
) -> Pitfall:
    reasons = [f"AT PARITY WITH A PUBLISHED PIPELINE: {', '.join(parity)}"] if parity else []
    if threshold == "oracle":
        reasons.append("threshold set on the test labels")
    elif threshold == "validation-labels":
        reasons.append("threshold set on labels of the calibration range")
    if shuffled:
        reasons.append("shuffled split: the model saw traffic from after the test flows")
    if by_row:
        reasons.append("no clock: the split trusts the order of rows")
    if train_filter and not supervised:
        reasons.append("choosing the train flows used the labels of the train range")
    if calibration_filter:
        reasons.append("attacks were taken out of what the cut was set on, by their labels")
    guarded = "train, calibration and test follow each other in time; no label before evaluation"
    if supervised:
        guarded = "the classifier read the labels of the train part; those of the test part, nobody"
    return _of("P3", "data snooping", reasons, guarded)


def _p4(allowed_shortcuts: Sequence[str], headline: Headline | None) -> Pitfall:
    reasons = []
    if allowed_shortcuts:
        reasons.append(f"shortcut features allowed: {', '.join(allowed_shortcuts)}")
    for method in _methods(headline):
        area, within = _mean(method, "auroc"), _mean(method, "within_pair_auroc")
        # .8 against .55: ranks well overall, yet hardly better than chance inside a host pair.
        if area is not None and within is not None and area > 0.8 and within < 0.55:
            reasons.append(
                f"{method.method} has AUROC {area:.3f}, but {within:.3f} within host pairs: it"
                " tells pairs apart, not flows"
            )
    guarded = "addresses, ports, times, ids and TTLs were denied as features"
    return _of("P4", "spurious correlation", reasons, guarded)


def _p5(*, tuned_on_labels: bool, threshold: ThresholdMode) -> Pitfall:
    reasons = []
    if threshold == "oracle":
        reasons.append("the cut was chosen on the test range")
    if tuned_on_labels:
        reasons.append("settings were tuned with labels")
    guarded = (
        "the cut was chosen before the test range was seen; settings were not tuned in this run"
    )
    return _of("P5", "biased parameter selection", reasons, guarded)


def _p6(headline: Headline | None) -> Pitfall:
    name = "inappropriate baseline"
    if headline is None:
        return _note("P6", name, "no labels, so nothing was compared")
    baselines = [m for m in headline.methods if m.kind == "baseline"]
    if not baselines:
        why = "no baseline stands in the table"
        return Pitfall(id="P6", name=name, state="touched", why=why)
    best = max(baselines, key=lambda m: _mean(m, "auprc") or 0.0)
    bar = _mean(best, "auprc")
    if bar is None:
        return _note("P6", name, "the test range has one class only, so nothing was compared")
    beaten = [m.method for m in _methods(headline) if (_mean(m, "auprc") or 0.0) <= bar]
    reasons = []
    if beaten:
        reasons.append(
            f"{best.method} reaches the AUPRC of {', '.join(beaten)} or more ({bar:.3f})"
        )
    return _of("P6", name, reasons, f"{len(baselines)} cheap baselines stand in the same table")


def _p7(headline: Headline | None) -> Pitfall:
    name = "inappropriate measures"
    if headline is None:
        return _note("P7", name, "no labels, so nothing was measured")
    reasons = []
    if not headline.attacks or not headline.benign:
        reasons.append("the test range has one class only: most figures are undefined")
    elif headline.attacks < FEW_ATTACKS:
        reasons.append(f"only {headline.attacks} attacks: read the intervals, not the figures")
    if headline.prevalence is not None and headline.benign and headline.prevalence > 0.5:
        reasons.append(
            f"{headline.prevalence:.0%} of the test flows are attacks: AUPRC says little"
        )
    few = [m.method for m in _methods(headline) if 0 < len(m.seeds) < FEW_SEEDS]
    if few:
        reasons.append(f"fewer than {FEW_SEEDS} seeds: {', '.join(few)}")
    return _of("P7", name, reasons, "AUPRC with its base rate, TPR at low FPR, MCC, several seeds")


def _p8(headline: Headline | None) -> Pitfall:
    name = "base-rate fallacy"
    if headline is None or headline.prevalence is None:
        return _note("P8", name, "no labels, so there is no prevalence")
    reasons = []
    if headline.prevalence > RARE_ENOUGH:
        reasons.append(
            f"{headline.prevalence:.2%} of the test flows are attacks, far more than on a real"
            " network: precision is flattered, see the PPV at low prevalence"
        )
    return _of(
        "P8", name, reasons, "attacks are rare in the test range; alerts per hour are stated"
    )


def _methods(headline: Headline | None) -> Sequence[MethodResult]:
    return [m for m in headline.methods if m.kind == "method"] if headline else []


def _mean(method: MethodResult, metric: str) -> float | None:
    return method.metrics[metric].mean


def _of(number: str, name: str, reasons: Sequence[str], guarded: str) -> Pitfall:
    if reasons:
        return Pitfall(id=number, name=name, state="touched", why="; ".join(reasons))
    return Pitfall(id=number, name=name, state="guarded", why=guarded)


def _note(number: str, name: str, why: str) -> Pitfall:
    return Pitfall(id=number, name=name, state="not judged", why=why)
