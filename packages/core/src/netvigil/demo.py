"""`netvigil demo`: a recorded network with attacks, from its packets to alerts and one page.

Everything it does can be done again from what it leaves: the sample, its flows and labels, and
`demo.toml`, a suite whose runs lie beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from netvigil import dataset, parts
from netvigil.comparison.runs import find_runs
from netvigil.config import Choice
from netvigil.errors import NetvigilError, RunError, UnknownPartError
from netvigil.phases import Phases
from netvigil.plugins import Plugins, load_plugins
from netvigil.protocols import SampleFiles
from netvigil.samples import write_sample
from netvigil.suite import load_suite, run_suite

if TYPE_CHECKING:
    from netvigil.audit import Audit
    from netvigil.comparison.runs import Run
    from netvigil.report.runs import ReportedRun

METHODS: Mapping[str, dict[str, Any]] = {
    "raw": {
        "encoder": {"name": "raw"},
        "scorer": {"name": "pca"},
        "evaluate": {"also": ["iforest"]},
    },
    "anomal-e": {
        "graph": {"builder": "flow-host", "window_s": 60},
        "encoder": {"name": "anomal-e", "epochs": 100},
        "scorer": {"name": "cblof"},
        "evaluate": {"also": ["iforest"], "baselines": []},
    },
    "autographad": {
        "graph": {"builder": "flow-host", "window_s": 30},
        "encoder": {"name": "autographad", "epochs": 40},
        "scorer": {"name": "weighted-terms"},
        "evaluate": {"baselines": []},
    },
}
"""Encoder -> what its run adds to `EXPERIMENT`. Fewer epochs than the presets: it is a demo."""

EXPERIMENT: Mapping[str, Any] = {
    "flows": {"source": "flows.parquet"},
    "labels": {"labeller": "table", "truth": "flows.labels.parquet"},
    "split": {"protocol": "time", "train": 0.5, "calibrate": 0.15, "purge_s": 10},
    "train": {"drop_attacks": True},
    "threshold": {"name": "quantile", "keep": 0.01},
    "run": {"seeds": [0, 1, 2]},
}


@dataclass(frozen=True)
class Demo:
    """What a demo left, and what is worth saying about it."""

    out: Path
    converted: Mapping[str, Any]
    audit: Audit
    runs: Sequence[Run]
    report: Path
    alerts: Sequence[str]
    remarks: Sequence[str]
    seconds: Mapping[str, float]


STEPS = {
    "sample": "A recorded network: capture, and what truly happened in it",
    "flows": "Packets to flows, flows to labels",
    "audit": "Can these data tell a good detector from a trivial rule?",
    "methods": "Detectors on features, on graphs, and rules of novelty: fit, score, judge",
    "report": "One page of everything",
}


class _Steps:
    """Announces each step, and times it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.say(f"{list(STEPS).index(name) + 1}. {STEPS[name]}")
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 2)
        self.say(f"   done in {self.seconds[name]:.1f} s")


def run_demo(
    out: Path,
    *,
    phases: Callable[[], Phases],
    say: Callable[[str], None],
    seed: int = 0,
    sample: str | None = None,
) -> Demo:
    """Write the sample, make flows and labels of it, audit them, run every method, draw the page.

    `say` is told each step in words.

    Raises:
        RunError: `out` exists already, or a method failed.
        UnknownPartError: No package that brings a sample is installed.
    """
    from netvigil.report.runs import open_runs
    from netvigil.report.write import NAME, write_page

    if out.exists():
        msg = "There is something of that name already."
        raise RunError(msg, where=str(out), do="Choose another --out, or remove it.")
    plugins = load_plugins()
    steps, remarks = _Steps(say), list[str]()
    with steps.step("sample"):
        plugins = load_plugins()
        files = write_sample(plugins, out / "sample", name=sample)
    with steps.step("flows"):
        converted = _flows(files, out / "flows.parquet", phases, remarks)
    with steps.step("audit"):
        audited = _audit(out / "flows.parquet", phases())
    with steps.step("methods"):
        _run_all(out, dict(_installed(plugins, remarks)), plugins, seed, phases, say)
    with steps.step("report"):
        drawn, notes = open_runs([out / "runs"])
        write_page(drawn, out / NAME, notes=[*remarks, *notes], phases=phases())
    return Demo(
        out=out,
        converted=converted,
        audit=audited,
        runs=find_runs([out / "runs"])[0],
        report=out / NAME,
        alerts=list(_told(drawn)),
        remarks=remarks,
        seconds=steps.seconds,
    )


def _run_all(
    out: Path,
    methods: Mapping[str, dict[str, Any]],
    plugins: Plugins,
    seed: int,
    phases: Callable[[], Phases],
    say: Callable[[str], None],
) -> None:
    """Write the suite beside its flows, and run it."""
    file = out / "demo.toml"
    file.write_text(tomli_w.dumps(_suite(methods, seed)), "utf-8")
    suite = load_suite(file)
    for outcome in run_suite(suite, plugins, out=out / "runs", make_phases=phases, say=say):
        if outcome.state == "failed":
            msg = f"The method '{outcome.name}' failed."
            raise RunError(msg, where=outcome.reason, do=f"Try: netvigil run {file}")


def _flows(
    files: SampleFiles, to: Path, phases: Callable[[], Phases], remarks: list[str]
) -> dict[str, Any]:
    """Convert and label the capture, or take the stored flows where captures cannot be read."""
    events = Choice(name="events", options={"truth": str(files.events.absolute())})
    try:
        return dataset.convert(files.capture, to, phases(), labeller=events)
    except NetvigilError as error:
        remarks.append(
            f"The capture could not be read, so the flows stored with the sample were used: {error}"
        )
    stored = Choice(name="table", options={"truth": str(files.labels.absolute())})
    return dataset.convert(files.flows, to, phases(), labeller=stored)


def _audit(flows: Path, phases: Phases) -> Audit:
    stored = Choice(name="table", options={"truth": str(dataset.labels_path(flows).absolute())})
    with dataset.opened(flows, "auto", (), phases) as opened:
        return dataset.audit(opened, stored, phases)


def _installed(plugins: Plugins, remarks: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the methods whose packages are installed; say which are not."""
    encoders, scorers = plugins.names(parts.Encoder), plugins.names(parts.Scorer)
    for name, sections in METHODS.items():
        wanted = [sections["scorer"]["name"], *sections["evaluate"].get("also", ())]
        missing = [f"scorer '{s}'" for s in wanted if s not in scorers]
        missing += [] if name in encoders else [f"encoder '{name}'"]
        if missing:
            remarks.append(f"{name} is left out: no installed package has {', '.join(missing)}.")
        else:
            yield name, sections
    if not set(METHODS) & set(encoders) or not scorers:
        msg = "No installed package has a method for the demo."
        raise UnknownPartError(msg, do="pip install netvigil-scorers netvigil-autographad")


def _suite(methods: Mapping[str, dict[str, Any]], seed: int) -> dict[str, Any]:
    seeds = [seed + number for number in EXPERIMENT["run"]["seeds"]]
    vary = [{"axis": "method", "values": dict(methods)}]
    return {**EXPERIMENT, "run": {"seeds": seeds}, "suite": {"vary": vary}}


def _told(runs: Sequence[ReportedRun]) -> Iterator[str]:
    """Say the highest alert of each method in words, each about another pair of hosts."""
    told: set[frozenset[str]] = set()
    for run in runs:
        for alert in sorted(run.evidence.alerts.to_pylist(), key=lambda alert: -alert["score"]):
            pair = frozenset((alert["src_ip"] or "?", alert["dst_ip"] or "?"))
            if pair not in told:
                told.add(pair)
                yield _sentence(run.facts.method, alert)
                break


def _sentence(method: str, alert: Mapping[str, Any]) -> str:
    port = "" if alert["dst_port"] is None else f":{alert['dst_port']}"
    known = alert["pair_flows"]
    before = f"{known:,} flows between them in training" if known else "never met in training"
    return (
        f"{alert['start']:%H:%M:%S} {alert['src_ip']} -> {alert['dst_ip']}{port}, "
        f"{alert['packets']:,} packets, {alert['bytes']:,} bytes; {before}. {method} says: "
        f"{'; '.join(alert['reasons'])}. In truth: {alert['attack']}."
    )


def summary(demo: Demo) -> dict[str, Any]:
    """Return what a machine wants to know of a demo."""
    return {
        "out": str(demo.out),
        "report": str(demo.report),
        "converted": dict(demo.converted),
        "remarks": list(demo.remarks),
        "seconds": dict(demo.seconds),
        "alerts": list(demo.alerts),
        "receipts": {run.name: json.loads(run.receipt.model_dump_json()) for run in demo.runs},
    }
