"""Small, honest parts, so that core is tested with nothing but core installed.

This module is a plugin like any other: it implements the public hooks. Every part does what its
kind promises, on the smallest input that shows it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from netvigil import builtins, hookimpl, parts
from netvigil.config import Experiment, parse_experiment
from netvigil.contracts import (
    EncodedFlows,
    FlowBatch,
    FlowFeatures,
    FlowInfo,
    FlowTable,
    LabelTable,
    ReadReport,
    ScoreTable,
    WindowGraphs,
    require_reiterable,
)
from netvigil.contracts.flows import TEXT, TIMESTAMP
from netvigil.errors import ContractError, IncompatiblePartsError, NotFittedError, SourceError
from netvigil.plugins import Plugins, load_plugins
from netvigil.protocols import Calibration, SourceHead, State
from netvigil.store import FlowStore

HEADER = ("start_us", "end_us", "src", "dst", "sport", "dport", "packets", "bytes", "x_a", "x_b")
EPOCH_US = 1_772_000_000_000_000
"""2026-02-25T06:13:20 UTC, a whole number of minutes after 1970 it is not: windows cut anywhere."""


# --- flows ---------------------------------------------------------------------------------------


def make_flows(
    rows: Mapping[str, Any], *, first_id: int = 0, info: FlowInfo | None = None
) -> FlowTable:
    """Make a flow table of columns by the names of `HEADER`; an empty `start_us` has no clock."""
    n = len(rows["src"])
    clock = rows.get("start_us") is not None
    info = info or FlowInfo(
        format="tiny",
        time_basis="clock" if clock else "row-order",
        bytes_layer="ip",
        direction="uni",
    )
    start = np.asarray(rows["start_us"], np.int64) if clock else None
    end = np.asarray(rows["end_us"], np.int64) if clock else None
    times = [
        pa.nulls(n, TIMESTAMP) if t is None else pa.array(t, pa.int64()).view(TIMESTAMP)
        for t in (start, end)
    ]
    length = (end - start) / 1e6 if start is not None and end is not None else np.zeros(n)
    columns = {
        "flow_id": pa.array(np.arange(first_id, first_id + n), pa.int64()),
        "start": times[0],
        "end": times[1],
        "duration_s": pa.array(length, pa.float64()),
        "src_ip": pa.array(rows["src"], pa.string()).cast(TEXT),
        "dst_ip": pa.array(rows["dst"], pa.string()).cast(TEXT),
        "src_port": pa.array(rows["sport"], pa.uint16()),
        "dst_port": pa.array(rows["dport"], pa.uint16()),
        "protocol": pa.array(np.full(n, 6), pa.uint8()),
        "fwd_packets": pa.array(rows["packets"], pa.uint64()),
        "bwd_packets": pa.nulls(n, pa.uint64()),
        "fwd_bytes": pa.array(rows["bytes"], pa.uint64()),
        "bwd_bytes": pa.nulls(n, pa.uint64()),
        **{name: pa.array(rows[name], pa.float32()) for name in ("x_a", "x_b") if name in rows},
    }
    return FlowTable(pa.table(columns), info)


def traffic(flows: int = 600, *, seed: int = 0, clock: bool = True) -> dict[str, list[Any]]:
    """Draw rows for `write_csv`: one hour, a tenth of them attacks, which lie apart in `x_a`."""
    rng = np.random.default_rng(seed)
    start = EPOCH_US + np.sort(rng.integers(0, 3_600_000_000, flows))
    attack = rng.random(flows) < 0.1
    hosts = np.array([f"10.0.0.{i}" for i in range(1, 9)])
    rows: dict[str, Any] = {
        "start_us": start if clock else [""] * flows,
        "end_us": start + rng.integers(0, 2_000_000, flows) if clock else [""] * flows,
        "src": np.where(attack, "203.0.113.9", rng.choice(hosts, flows)),
        "dst": rng.choice(hosts, flows),
        "sport": rng.integers(1024, 65_536, flows),
        "dport": rng.choice([53, 80, 443], flows),
        "packets": rng.integers(1, 100, flows),
        "bytes": rng.integers(60, 9_000, flows),
        "x_a": np.round(rng.normal(0, 1, flows) + 4 * attack, 3),
        "x_b": np.round(rng.normal(0, 1, flows), 3),
        "label": np.where(attack, rng.choice(["scan", "flood"], flows), "benign"),
    }
    return {name: np.asarray(values).tolist() for name, values in rows.items()}


def write_csv(path: Path, rows: Mapping[str, list[Any]]) -> Path:
    """Write rows in the dialect `TinyCsv` reads; a column `label` is optional."""
    names = [name for name in (*HEADER, "label") if name in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["tiny", *names])
        writer.writerows(["-", *values] for values in zip(*(rows[n] for n in names), strict=True))
    return path


# --- reader and labellers ------------------------------------------------------------------------


class TinyCsvConfig(parts.PartConfig):
    """Settings of `tiny`: `bytes_layer` is what the reader says its counters count."""

    bytes_layer: str = "ip"


class TinyCsv:
    """Reads a CSV whose first header cell is `tiny`; a row with a broken number is rejected."""

    def __init__(self, config: TinyCsvConfig) -> None:
        self.config = config

    def sniff(self, head: SourceHead) -> str | None:
        return "its header begins with 'tiny'" if head.head.startswith(b"tiny,") else None

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        with source.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if (reader.fieldnames or [""])[0] != "tiny":
                msg = "This is not a tiny CSV."
                raise SourceError(msg, where=str(source))
            pending: list[tuple[int, dict[str, str]]] = []
            for row in enumerate(reader):
                pending.append(row)
                if len(pending) == batch_rows:
                    yield self._batch(pending)
                    pending = []
            yield self._batch(pending)

    def _batch(self, lines: list[tuple[int, dict[str, str]]]) -> FlowBatch:
        kept: list[tuple[int, dict[str, Any]]] = []
        for flow_id, line in lines:
            try:
                kept.append((flow_id, self._row(line)))
            except ValueError:
                continue
        rejected = len(lines) - len(kept)
        clock = bool(kept) and kept[0][1]["start_us"] is not None
        if clock:
            kept.sort(key=lambda row: row[1]["start_us"])
        names = [n for n in HEADER if not kept or n in kept[0][1]]
        rows: dict[str, Any] = {name: [row[name] for _, row in kept] for name in names}
        if not clock and kept:
            rows["start_us"] = rows["end_us"] = None
        info = FlowInfo(
            format="tiny",
            time_basis="clock" if clock or not kept else "row-order",
            bytes_layer=self.config.bytes_layer,  # type: ignore[arg-type]
            direction="uni",
        )
        flows = make_flows(rows, info=info)
        ids = pa.array([flow_id for flow_id, _ in kept], pa.int64())
        table = flows.table.set_column(0, "flow_id", ids)
        report = ReadReport(
            read=len(lines),
            rejected=rejected,
            rejects={"broken number": rejected} if rejected else {},
        )
        inline = None
        if kept and "label" in kept[0][1]:
            labels = [row["label"] for _, row in kept]
            inline = pa.table({"flow_id": ids, "label": pa.array(labels, pa.string())})
        return FlowBatch(FlowTable(table, info), report, inline)

    @staticmethod
    def _row(line: dict[str, str]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for name in ("start_us", "end_us"):
            row[name] = int(line[name]) if line[name] else None
        row |= {name: line[name] for name in ("src", "dst")}
        row |= {name: int(line[name]) for name in ("sport", "dport", "packets", "bytes")}
        row |= {name: float(line[name]) for name in ("x_a", "x_b") if name in line}
        if "label" in line:
            row["label"] = line["label"]
        return row


class InlineConfig(parts.PartConfig):
    """Settings of `inline`: the word for benign flows."""

    benign: str = "benign"


class Inline:
    """Labels flows by the source's own text; an empty text leaves a flow unknown."""

    def __init__(self, config: InlineConfig) -> None:
        self.config = config

    def label(self, flows: FlowTable, inline: pa.Table | None) -> LabelTable:
        del flows
        if inline is None:
            return LabelTable.empty()
        text = np.array([t or "" for t in inline["label"].to_pylist()], dtype=object)
        known = text != ""
        ids = inline["flow_id"].to_numpy()[known]
        return LabelTable.of(
            ids, (text != self.config.benign)[known], pa.array(text[known], pa.string())
        )


class ListedConfig(parts.PartConfig):
    """Settings of `listed`: a file with one `flow_id,class` per line."""

    truth: Path


class Listed:
    """Labels the flows that a file lists; every other flow stays unknown."""

    def __init__(self, config: ListedConfig) -> None:
        lines = config.truth.read_text("utf-8").split()
        self.classes = {int(i): name for i, name in (line.split(",") for line in lines)}

    def label(self, flows: FlowTable, inline: pa.Table | None) -> LabelTable:
        del inline
        ids = np.array([i for i in flows.flow_id.tolist() if i in self.classes], np.int64)
        names = [self.classes[i] for i in ids.tolist()]
        attack = np.array([name != "benign" for name in names], np.bool_)
        return LabelTable.of(ids, attack, pa.array(names, pa.string()))


# --- transform, builders, encoders ---------------------------------------------------------------


class CenterConfig(parts.PartConfig):
    """Settings of `center`."""

    scale: bool = True
    device: str = "cpu"


class Center:
    """Moves each feature to the train median and scales it; a missing value becomes the median."""

    def __init__(self, config: CenterConfig) -> None:
        self.config = config
        self.median_: Any = None
        self.spread_: Any = None

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        del seed
        x = features.x.astype(np.float64)
        middle = [np.median(c[~np.isnan(c)]) if (~np.isnan(c)).any() else 0.0 for c in x.T]
        self.median_ = np.array(middle)
        away = np.abs(np.nan_to_num(x - self.median_))
        spread = away.mean(axis=0) if self.config.scale else np.ones(x.shape[1])
        self.spread_ = np.where(spread > 0, spread, 1.0)
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        if self.median_ is None:
            msg = "center was used before it was fitted."
            raise NotFittedError(msg)
        x = np.nan_to_num((features.x - self.median_) / self.spread_)
        return FlowFeatures(np.ascontiguousarray(x, np.float32), features.names)

    def undo(self, features: FlowFeatures) -> FlowFeatures:
        x = features.x * self.spread_ + self.median_
        return FlowFeatures(x.astype(np.float32), features.names)

    def get_state(self) -> State:
        if self.median_ is None:
            msg = "center has nothing to save."
            raise NotFittedError(msg)
        return State(arrays={"median": self.median_, "spread": self.spread_})

    def set_state(self, state: State) -> Self:
        self.median_, self.spread_ = state.arrays["median"], state.arrays["spread"]
        return self


class WindowConfig(parts.PartConfig):
    """Settings of both builders: the length of a window in seconds, or in flows where set."""

    window_s: float = 60.0
    window_flows: int | None = None


class FlowsOnly:
    """Windows without hosts."""

    schema = "flows-only"

    def __init__(self, config: WindowConfig) -> None:
        self.config = config

    def check(self, flows: FlowTable) -> None:
        if self.config.window_flows is None and flows.info.time_basis != "clock":
            msg = "Windows of seconds need a clock."
            raise IncompatiblePartsError(msg, do="Set graph.window_flows.")

    def window_of(self, flows: FlowTable, *, first_row: int) -> Any:
        if self.config.window_flows is not None:
            return (first_row + np.arange(len(flows))) // self.config.window_flows
        return flows.start_us // round(self.config.window_s * 1e6)

    def build(self, flows: FlowTable, features: FlowFeatures, window: Any) -> WindowGraphs:
        numbers, first = np.unique(window, return_index=True)
        source, target, node_ptr, keys = self.nodes(flows, window, len(numbers))
        step = self.config.window_flows or round(self.config.window_s * 1e6)
        return WindowGraphs(
            schema=self.schema,
            feature_names=features.names,
            flow_id=flows.flow_id,
            flow_x=np.ascontiguousarray(features.x),
            flow_ptr=np.append(first, len(flows)).astype(np.int64),
            window_start=(numbers * step).astype(np.int64),
            flow_src=source,
            flow_dst=target,
            node_ptr=node_ptr,
            node_key=keys,
            flow_service=flows.flow_id.astype(np.uint64),  # any key will do
        )

    def nodes(self, flows: FlowTable, window: Any, windows: int) -> tuple[Any, Any, Any, Any]:
        del flows, window
        none = np.zeros(0, np.int32)
        return none, none, np.zeros(windows + 1, np.int64), np.zeros(0, np.uint64)


class FlowHost(FlowsOnly):
    """Windows whose nodes are the hosts that occur in them."""

    schema = "flow-host"

    def check(self, flows: FlowTable) -> None:
        super().check(flows)
        if not flows.has_addresses:
            msg = "flow-host needs addresses."
            raise IncompatiblePartsError(msg, do="Use graph.builder = 'none'.")

    def nodes(self, flows: FlowTable, window: Any, windows: int) -> tuple[Any, Any, Any, Any]:
        from netvigil.addresses import flow_keys

        ends = np.stack([flow_keys(flows.table[name]) for name in ("src_ip", "dst_ip")])
        rows, sizes, keys = np.zeros(ends.shape, np.int32), [0], []
        for number in np.unique(window):
            inside = window == number
            hosts, place = np.unique(ends[:, inside], return_inverse=True)
            rows[:, inside] = place.reshape(2, -1)
            sizes.append(len(hosts))
            keys.append(hosts)
        joined = np.concatenate(keys) if keys else np.zeros(0, np.uint64)
        return rows[0], rows[1], np.cumsum(sizes, dtype=np.int64), joined


class Raw:
    """Passes the flow features through as the embedding; learns nothing."""

    def __init__(self, config: parts.NoConfig) -> None:
        del config

    def fit(self, windows: Iterable[WindowGraphs], *, seed: int) -> Self:
        del windows, seed
        return self

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        return EncodedFlows(
            windows.flow_id, _starts(windows), embedding=np.array(windows.flow_x, np.float32)
        )

    def get_state(self) -> State:
        return State()

    def set_state(self, state: State) -> Self:
        del state
        return self


class SigmaConfig(parts.PartConfig):
    """Settings of `sigma`: how often it walks through the windows, and where it computes."""

    epochs: int = 2
    device: str = "cpu"


class Sigma:
    """Learns mean and deviation over several passes; gives an embedding and one error term.

    A seeded shift of the mean stands for what initialisation does to a real model.
    """

    def __init__(self, config: SigmaConfig) -> None:
        self.config = config
        self.mean_: Any = None
        self.deviation_: Any = None

    def fit(self, windows: Iterable[WindowGraphs], *, seed: int) -> Self:
        stream: Any = windows
        require_reiterable(stream)
        shift = np.random.default_rng(seed).normal(0, 0.01)
        for _ in range(self.config.epochs):
            count, total, squares = 0, 0.0, 0.0
            for graphs in stream:
                x = graphs.flow_x.astype(np.float64)
                count, total = count + len(x), total + x.sum(axis=0)
                squares = squares + (x**2).sum(axis=0)
        mean = total / count
        self.deviation_ = np.sqrt(np.maximum(squares / count - mean**2, 1e-9))
        self.mean_ = mean + shift
        return self

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        if self.mean_ is None:
            msg = "sigma was used before it was fitted."
            raise NotFittedError(msg)
        z = ((windows.flow_x - self.mean_) / self.deviation_).astype(np.float32)
        terms = {"distance": np.abs(z).sum(axis=1)}
        return EncodedFlows(windows.flow_id, _starts(windows), embedding=z, terms=terms)

    def get_state(self) -> State:
        if self.mean_ is None:
            msg = "sigma has nothing to save."
            raise NotFittedError(msg)
        arrays = {"mean": self.mean_, "deviation": self.deviation_}
        return State(arrays=arrays, values={"epochs": self.config.epochs})

    def set_state(self, state: State) -> Self:
        self.mean_, self.deviation_ = state.arrays["mean"], state.arrays["deviation"]
        return self


class Squares(Sigma):
    """Gives each feature's squared distance in deviations: an error that is a sum over features."""

    def feature_errors(self, windows: WindowGraphs) -> Any:
        encoded = self.encode(windows).embedding
        assert encoded is not None
        return np.where(self.deviation_ > 1e-4, np.square(encoded), 0).astype(np.float32)


class Crowded(Raw):
    """Gives each flow how many flows of its window its source sent: a graph method by hand."""

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        rows, _ = windows.node_rows()
        sent = np.bincount(rows, minlength=1)[rows].astype(np.float32)
        return EncodedFlows(windows.flow_id, _starts(windows), terms={"sent": sent})


# --- scorers and thresholds ----------------------------------------------------------------------


class MedianDistanceConfig(parts.PartConfig):
    """Settings of `median-distance`."""

    power: float = 1.0


class MedianDistance:
    """Sums each feature's distance from the train median; its state is one array."""

    def __init__(self, config: MedianDistanceConfig) -> None:
        self.config = config
        self.median_: Any = None

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        del seed
        self.median_ = np.median(_embedding(encoded), axis=0)
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        if self.median_ is None:
            msg = "median-distance was used before it was fitted."
            raise NotFittedError(msg)
        far = np.abs(_embedding(encoded) - self.median_) ** self.config.power
        return ScoreTable(encoded.flow_id, far.sum(axis=1), encoded.window_start)

    def get_state(self) -> State:
        if self.median_ is None:
            msg = "median-distance has nothing to save."
            raise NotFittedError(msg)
        return State(arrays={"median": self.median_}, values={"dim": len(self.median_)})

    def set_state(self, state: State) -> Self:
        median = state.arrays["median"]
        if median.shape != (state.values["dim"],):
            msg = "The median has another length than the state says."
            raise ContractError(msg)
        self.median_ = median
        return self


class Forest:
    """scikit-learn's isolation forest, with its sign flipped; its state is an estimator."""

    def __init__(self, config: parts.NoConfig) -> None:
        del config
        self.forest_: Any = None

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(n_estimators=5, random_state=seed)
        self.forest_ = forest.fit(_embedding(encoded))
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        if self.forest_ is None:
            msg = "forest was used before it was fitted."
            raise NotFittedError(msg)
        score = -self.forest_.score_samples(_embedding(encoded))
        return ScoreTable(encoded.flow_id, score, encoded.window_start)

    def get_state(self) -> State:
        if self.forest_ is None:
            msg = "forest has nothing to save."
            raise NotFittedError(msg)
        return State(estimators={"forest": self.forest_})

    def set_state(self, state: State) -> Self:
        self.forest_ = state.estimators["forest"]
        return self


class TermSum:
    """Sums the error terms; there is nothing to learn."""

    def __init__(self, config: parts.NoConfig) -> None:
        del config

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        del encoded, seed
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        total = np.sum([t.astype(np.float64) for t in encoded.terms.values()], axis=0)
        return ScoreTable(encoded.flow_id, total, encoded.window_start)

    def get_state(self) -> State:
        return State()

    def set_state(self, state: State) -> Self:
        del state
        return self


class QuantileConfig(parts.PartConfig):
    """Settings of `quantile`: the share of calibration flows above the cut."""

    keep: float = 0.05


class Quantile:
    """Cuts at a quantile of the calibration scores."""

    def __init__(self, config: QuantileConfig) -> None:
        self.config = config
        self.cut_ = float("nan")

    def fit(self, calibration: Calibration, *, seed: int) -> Self:
        del seed
        self.cut_ = float(np.quantile(calibration.score, 1 - self.config.keep))
        return self

    def provenance(self) -> str:
        return f"the {1 - self.config.keep:.0%} quantile of the calibration scores"

    def get_state(self) -> State:
        if np.isnan(self.cut_):
            msg = "quantile has nothing to save."
            raise NotFittedError(msg)
        return State(values={"cut": self.cut_})

    def set_state(self, state: State) -> Self:
        self.cut_ = float(state.values["cut"])
        return self


class LowestAttack(Quantile):
    """Cuts just below the lowest score of a labelled attack, and says that it reads labels."""

    def fit(self, calibration: Calibration, *, seed: int) -> Self:
        if calibration.is_attack is None or not calibration.is_attack.any():
            return super().fit(calibration, seed=seed)
        self.cut_ = float(np.nextafter(calibration.score[calibration.is_attack].min(), -np.inf))
        return self

    def provenance(self) -> str:
        return "the lowest score of a labelled attack of the calibration part"


def _starts(windows: WindowGraphs) -> Any:
    return np.repeat(windows.window_start, np.diff(windows.flow_ptr))


def _embedding(encoded: EncodedFlows) -> Any:
    embedding = encoded.per_flow()
    if embedding is None:
        msg = "This scorer needs an embedding."
        raise ContractError(msg)
    return embedding.astype(np.float64)


# --- the plugin ----------------------------------------------------------------------------------


@hookimpl
def netvigil_flow_readers() -> Iterator[parts.FlowReader]:
    yield parts.FlowReader(name="tiny", summary="A tiny CSV.", config=TinyCsvConfig, make=TinyCsv)


@hookimpl
def netvigil_flow_labellers() -> Iterator[parts.FlowLabeller]:
    yield parts.FlowLabeller(name="inline", summary="Own text.", config=InlineConfig, make=Inline)
    yield parts.FlowLabeller(name="listed", summary="A list.", config=ListedConfig, make=Listed)


@hookimpl
def netvigil_flow_transforms() -> Iterator[parts.FlowTransform]:
    yield parts.FlowTransform(
        name="center", summary="Train median to 0.", config=CenterConfig, make=Center
    )


@hookimpl
def netvigil_graph_builders() -> Iterator[parts.GraphBuilder]:
    yield parts.GraphBuilder(
        name="none",
        summary="Flows without hosts.",
        config=WindowConfig,
        make=FlowsOnly,
        emits="flows-only",
        needs_addresses=False,
    )
    yield parts.GraphBuilder(
        name="flow-host", summary="Flows between hosts.", config=WindowConfig, make=FlowHost
    )


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    both = ("flow-host", "flows-only")
    yield parts.Encoder(
        name="raw", summary="Features as they are.", make=Raw, accepts=both, passes="none"
    )
    yield parts.Encoder(
        name="sigma",
        summary="Distance in deviations.",
        config=SigmaConfig,
        make=Sigma,
        accepts=("flow-host",),
        emits=frozenset({"embedding", "terms"}),
    )
    yield parts.Encoder(
        name="squares",
        summary="Squared distance in deviations, by feature.",
        config=SigmaConfig,
        make=Squares,
        emits=frozenset({"embedding", "terms"}),
    )
    yield parts.Encoder(
        name="crowded",
        summary="Flows that the source sent.",
        make=Crowded,
        emits=frozenset({"terms"}),
        passes="none",
    )


@hookimpl
def netvigil_scorers() -> Iterator[parts.Scorer]:
    yield parts.Scorer(
        name="median-distance",
        summary="Distance from the train median.",
        config=MedianDistanceConfig,
        make=MedianDistance,
        seeded=False,
    )
    yield parts.Scorer(
        name="forest",
        summary="Isolation forest.",
        make=Forest,
        trusted_types=("sklearn.tree._tree.Tree",),
    )
    yield parts.Scorer(
        name="terms", summary="Sum of the terms.", make=TermSum, needs="terms", seeded=False
    )
    yield parts.Scorer(
        name="crowd",
        summary="Says that it looks at a batch as a whole.",
        config=MedianDistanceConfig,
        make=MedianDistance,
        transductive=True,
    )


@hookimpl
def netvigil_thresholds() -> Iterator[parts.Threshold]:
    yield parts.Threshold(
        name="quantile", summary="A quantile.", config=QuantileConfig, make=Quantile
    )
    yield parts.Threshold(
        name="lowest-attack",
        summary="Below the lowest attack.",
        config=QuantileConfig,
        make=LowestAttack,
        supervised=True,
    )


def plugins(*extra: object) -> Plugins:
    """Load core's own parts, these fakes, and what a test adds."""
    import sys

    found = load_plugins(entry_points=False, extra=[builtins, sys.modules[__name__], *extra])
    assert not found.failures
    return found


def settings(source: Path, **sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole experiment on these fakes as plain values; `sections` replace its own."""
    values: dict[str, Any] = {
        "flows": {"source": str(source)},
        "labels": {"labeller": "inline"},
        "split": {"protocol": "time", "train": 0.5, "calibrate": 0.2},
        "features": {"transforms": ["center"]},
        "graph": {"builder": "flow-host", "window_s": 60},
        "encoder": {"name": "sigma"},
        "scorer": {"name": "median-distance"},
        "threshold": {"name": "quantile", "keep": 0.1},
        "evaluate": {"baselines": ["median-distance"], "resamples": 5},
        "run": {"seeds": [0, 1]},
    }
    return {name: v for name, v in (values | sections).items() if v is not None}


def experiment(source: Path, **sections: Mapping[str, Any]) -> Experiment:
    """Return a checked experiment, see `settings`."""
    return parse_experiment(settings(source, **sections), base=source.parent)


def write_store(path: Path, *tables: FlowTable, inline: pa.Table | None = None) -> FlowStore:
    """Write flow tables as the batches of one source; the first one brings the label text."""
    batches = [
        FlowBatch(flows, ReadReport(read=len(flows)), inline if i == 0 else None)
        for i, flows in enumerate(tables)
    ]
    return FlowStore.write(iter(batches), path)
