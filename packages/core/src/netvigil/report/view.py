"""One run in words and numbers, ready for the page: nothing is drawn and nothing escaped here."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvigil.evaluation import MethodResult, Spread, printable, promise_words
from netvigil.evaluation.table import ABSENT, PROMISED
from netvigil.evidence.tables import BENIGN, UNKNOWN, Facts
from netvigil.report import projections
from netvigil.report.graph import WHOLE, telling_bins, title
from netvigil.report.runs import Edge, ReportedRun

EDGES = 16_000  # of all runs of a page together: a megabyte
ALERTS = 1_200


@dataclass(frozen=True)
class Card:
    """One headline figure."""

    name: str
    value: str
    words: str


def cards(run: ReportedRun) -> list[Card]:
    """Return the headline figures of the run's own method, with intervals and base rate."""
    own, head = run.own, run.headline
    if own is None or head is None:
        return []
    rate = "" if head.prevalence is None else f"base rate {head.prevalence:.3f}; "
    made = [
        _card(own, "auprc", "AUPRC", rate),
        _card(own, "auroc", "AUROC", "chance 0.500; "),
        _card(own, "tpr_at_fpr_1%", "TPR at 1 % FPR", ""),
        _card(own, "precision", "Precision at the cut", ""),
        _card(own, "recall", "Recall at the cut", ""),
        _card(own, "f1", "F1 of attacks", ""),
        _card(own, "fpr", "False-positive rate", ""),
        _card(own, "alerts_per_hour", "Alerts per hour", "", form=",.0f"),
    ]
    flows = f"{head.attacks:,} attacks, {head.benign:,} benign"
    return [*made, *_kept(own), Card("Known test flows", f"{head.flows:,}", flows)]


def _kept(own: MethodResult) -> list[Card]:
    """Return what came of the threshold's promise, where it makes one."""
    found = own.realised
    if found is None:
        return []
    name = f"{PROMISED[found.promise.kind]}, promised {found.promise.value:,.4g}"
    value = ABSENT if found.rate.mean is None else f"{found.rate.mean:,.4g}"
    return [Card(name, value, promise_words(found))]


def _card(own: MethodResult, key: str, name: str, before: str, *, form: str = ".3f") -> Card:
    spread = own.metrics.get(key) or own.metrics.get(f"{key}0")
    if spread is None or spread.mean is None:
        return Card(name, ABSENT, spread.reason if spread else "not measured")
    words = [before.rstrip("; ")] if before else []
    if spread.low is not None and spread.high is not None:
        words.append(f"95 % interval {spread.low:{form}} to {spread.high:{form}}")
    if spread.sd is not None:
        words.append(f"± {spread.sd:{form}} over {len(spread.per_seed)} seeds")
    return Card(name, f"{spread.mean:{form}}", "; ".join(words))


def what(run: ReportedRun) -> str:
    """Say what was run on what, and when that traffic was."""
    test = run.receipt.split.parts["test"]
    data = ", ".join(f"{d.source} ({d.format}, {d.flows:,} flows)" for d in run.receipt.data)
    seeds = run.receipt.seeds
    several = f"{len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}"
    when = f" from {_day(test.first)} to {_day(test.last)}" if test.first and test.last else ""
    taught = run.own is not None and run.own.supervised
    labels = "SUPERVISED, taught with the labels of the train part: " if taught else ""
    return (
        f"{labels}{run.facts.method} on {data}, {several}. "
        f"Tested on {test.flows:,} flows{when}; run on "
        f"{_day(run.facts.written)}. Pictures show the method with seed {run.facts.seed}, as "
        "bundled, unless they say otherwise."
    )


def _day(iso: str) -> str:
    return f"{iso[:19].replace('T', ' ')} UTC"


def left_out(run: ReportedRun) -> str:
    """Say what the page leaves out where nothing labels the flows."""
    if run.facts.labelled:
        return ""
    return (
        "Nothing labels these flows: there are scores and alerts, and nothing to judge them by. "
        "Curves and recall are left out, and pictures tell no attack from benign traffic."
    )


def attacks(run: ReportedRun) -> list[dict[str, Any]]:
    """Return recall and AUROC of each attack class, the most frequent first."""
    found = run.own.attacks if run.own else ()
    return [
        {
            "attack": each.attack,
            "support": each.support,
            "recall": _spread(each.recall),
            "value": each.recall.mean,
            "auroc": _spread(each.auroc),
            "auroc_value": each.auroc.mean,
        }
        for each in sorted(found, key=lambda each: -each.support)
    ]


def _spread(spread: Spread) -> str:
    if spread.mean is None:
        return ABSENT
    return f"{spread.mean:.3f}" + (f" ± {spread.sd:.3f}" if spread.sd else "")


def confusion(run: ReportedRun) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return truth by decision: counts and shares of each row."""
    found = run.own.confusions[0] if run.own and run.own.confusions else None
    if found is None:
        return []
    rows = {
        "attack": (found.false_negatives, found.true_positives),
        "benign": (found.true_negatives, found.false_positives),
    }
    return [
        (name, [{"count": n, "share": n / max(sum(counts), 1)} for n in counts])
        for name, counts in rows.items()
    ]


def words(run: ReportedRun, shown: Mapping[str, Any]) -> dict[str, str]:
    """Return the sentences above the pictures: what is `shown` (`data`), and how much there was."""
    return {
        "timeline_words": _timeline_words(run.facts),
        "traffic_words": _traffic_words(run.facts, len(set(shown["graphs"]) - {str(WHOLE)})),
        "no_graph": "The flows have no addresses, so there is no traffic graph.",
        "alert_words": _alert_words(run, len(shown["alerts"])),
        "drift_words": _drift_words(run),
        "points_words": _points_words(run),
    }


def _timeline_words(facts: Facts) -> str:
    shaded = " True events are shaded." if facts.labelled else ""
    return f"Test part in {facts.bins}.{shaded} Click a bin to see its traffic below."


def _traffic_words(facts: Facts, bins: int) -> str:
    fewer = (
        f" {facts.pairs_left_out:,} pairs of hosts without alerts are left out of crowded bins."
        if facts.pairs_left_out
        else ""
    )
    return (
        "Hosts are points, pairs of hosts lines: wider with more bytes. "
        f"{bins:,} of {facts.bins_total:,} bins have a graph.{fewer} "
        "Left a quiet bin, right the loudest one, until others are chosen."
    )


def _alert_words(run: ReportedRun, listed: int) -> str:
    facts = run.facts
    provenance = run.receipt.threshold.provenance
    cut = f"the cut of {facts.cut:.4g}"
    if facts.moved is not None:
        low, high = facts.moved
        cut = f"a cut that begins at {facts.cut:.4g} and moves between {low:.4g} and {high:.4g}"
    if not facts.alerts:
        return f"No test flow scores above {cut}. {provenance}"
    shown = f"the {listed:,} highest are listed" if listed < facts.alerts else "all are listed"
    return (
        f"{facts.alerts:,} of {facts.test_flows:,} test flows score above "
        f"{cut}; {shown}. {provenance}"
    )


def _drift_words(run: ReportedRun) -> str:
    facts = run.facts
    if not facts.calibrate_flows:
        return "There is no calibration part: the cut was given by hand and promises no rate."
    promised = run.receipt.realised
    said = f" Promised: {promise_words(promised)}." if promised else ""
    return (
        f"On the {facts.calibrate_flows:,} calibration flows {facts.above_on_calibration:.3%} lie "
        f"above the cut; on the {facts.test_flows:,} test flows "
        f"{facts.alerts / max(facts.test_flows, 1):.3%} do. Neighbouring bins are joined until "
        f"each has enough flows for a rate.{said}"
    )


def _points_words(run: ReportedRun) -> str:
    return (
        f"A sample of {run.evidence.sample.num_rows:,} of {run.facts.test_flows:,} test flows: at "
        "most half of it attacks, rare classes first, the rest drawn uniformly, so shares here are "
        "not shares of the traffic. Neighbours in a t-SNE picture are alike; its distances and "
        "sizes mean little. Drag to turn three dimensions; click a class to hide it."
    )


def data(run: ReportedRun, *, share: float = 1.0) -> dict[str, Any]:
    """Return what the page's scripts draw from, as JSON values.

    `share` is the run's part of a page: of several runs each shows fewer alerts and graphs, so that
    the page stays small.
    """
    test = run.timeline[(run.timeline["part"] == "test").to_numpy()]
    names = ["bin", "start", "end", "flows", "alerts", "attacks", "score_max"]
    bins = [
        [_rounded(value) for value in row] for row in test[names].itertuples(index=False, name=None)
    ]
    return {
        "clock": run.facts.clock,
        "calm": [BENIGN, UNKNOWN],
        "labelled": run.facts.labelled,
        "bins": bins,
        "telling": telling_bins(run),
        **_graphs(run, int(share * EDGES)),
        "alerts": _alerts(run)[: int(share * ALERTS)],
    }


def _graphs(run: ReportedRun, room: int) -> dict[str, Any]:
    hosts: dict[str, int] = {}
    classes: dict[str, int] = {}
    graphs = {
        str(number): [
            [
                hosts.setdefault(e.src, len(hosts)),
                hosts.setdefault(e.dst, len(hosts)),
                e.flows,
                int(e.bytes),
                _rounded(e.score),
                e.alerts,
                e.attacks,
                classes.setdefault(e.attack, len(classes)),
                e.services,
            ]
            for e in edges
        ]
        for number, edges in _fitting(run, room)
    }
    titles = {number: title(run, int(number)) for number in graphs}
    return {
        "graphs": graphs,
        "titles": titles,
        "hosts": list(map(printable, hosts)),
        "classes": list(map(printable, classes)),
        "whole": WHOLE,
    }


def _fitting(run: ReportedRun, room: int) -> Iterator[tuple[int, list[Edge]]]:
    """Yield bins as far as their edges fit: the whole, the two shown first, then the loud ones."""
    first = [WHOLE, *(telling_bins(run) or ())]
    alerts = {n: sum(edge.alerts for edge in edges) for n, edges in run.edges.items()}
    for number in sorted(run.edges, key=lambda n: (n not in first, -alerts[n], n)):
        room -= len(run.edges[number])
        if room < 0 and number not in first:
            break
        yield number, run.edges[number]


def _alerts(run: ReportedRun) -> list[dict[str, Any]]:
    beside: dict[int, list[list[Any]]] = {}
    for row in run.evidence.details.to_pylist():
        said = [row["kind"], printable(row["name"]), _rounded(row["value"]), _rounded(row["usual"])]
        beside.setdefault(row["flow_id"], []).append([*said, row["usual_of"]])
    found = run.evidence.alerts.to_pylist()
    clock = run.facts.clock
    return [
        {
            "id": row["flow_id"],
            "when": f"{row['start']:%Y-%m-%d %H:%M:%S}" if clock else f"flow {row['flow_id']:,}",
            "seconds": (row["end"] - row["start"]).total_seconds() if clock else None,
            "src": _said(row["src_ip"]),
            "dst": _said(row["dst_ip"]),
            "port": row["dst_port"],
            "protocol": row["protocol"],
            "score": _rounded(row["score"]),
            "bin": row["bin"],
            "attack": printable(row["attack"]),
            "packets": row["packets"],
            "bytes": row["bytes"],
            "pair": row["pair_flows"],
            "reasons": list(map(printable, row["reasons"])),
            "beside": beside.get(row["flow_id"], []),
        }
        for row in sorted(found, key=lambda row: -row["score"])
    ]


def points(run: ReportedRun) -> dict[str, Any] | None:
    """Return the projections of the run's sample, coordinates in thousandths; None where none is.

    Projecting takes seconds, so whoever watches should be told.
    """
    spaces = projections.spaces(run)
    if not spaces:
        return None
    sample = run.evidence.sample
    classes = projections.classes(run)
    place = {name: number for number, name in enumerate(classes)}
    score = sample["score"].to_numpy()
    rank = np.argsort(np.argsort(score, kind="stable"), kind="stable")
    kinds = [(s, m, d) for s in spaces for m in ("pca", "t-sne") for d in (2, 3)]
    # t-SNE leaves Python for most of its time, so threads do several at once.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        drawn = list(pool.map(lambda kind: projections.points(run, *kind), kinds))
    views = {
        "|".join(map(str, kind)): np.round(1000 * x).astype(int).tolist()
        for kind, x in zip(kinds, drawn, strict=True)
    }
    return {
        "spaces": spaces,
        "classes": list(map(printable, classes)),
        "of": [run.facts.sample_of.get(name, 0) for name in classes],
        "class": [place[name] for name in sample["attack"].to_pylist()],
        "rank": np.round(1000 * rank / max(len(rank) - 1, 1)).astype(int).tolist(),
        "score": [_rounded(value) for value in score.tolist()],
        "flow": sample["flow_id"].to_pylist(),
        "views": views,
    }


def _said(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _rounded(value: Any) -> Any:
    """Return a number in four digits: no picture shows more, and pages stay small."""
    if not isinstance(value, float):
        return int(value) if isinstance(value, np.integer) else value
    if not math.isfinite(value):
        return None
    return float(f"{value:.4g}")
