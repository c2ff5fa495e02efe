"""Windows of hosts and flows, against the published construction and two loops over windows.

A million flows (UNSW-NB15's first 20,000 rows tiled), 52 features, windows of 180 s. Ours starts
from a `FlowTable` and ends in checked `WindowGraphs`; each baseline starts from the form that suits
it best, made outside the timer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bench.baselines.networkx_graph import multigraph
from bench.baselines.tiled_flows import tiled
from bench.baselines.window_loops import by_dictionary, by_unique
from netvigil.contracts import FlowFeatures, FlowInfo, FlowTable
from netvigil_flowprep.graphs import flow_host
from netvigil_flowprep.graphs.flow_host import FlowHost, FlowHostConfig

FEATURES = 52
LENGTH_US = 180_000_000
COPIES = 50
PUBLISHED = 20_000  # flows for the published construction, which needs 4 s for these


@pytest.fixture(scope="module")
def flows() -> FlowTable:
    return tiled(COPIES)


@pytest.fixture(scope="module")
def features(flows: FlowTable) -> FlowFeatures:
    x = np.random.default_rng(0).normal(size=(len(flows), FEATURES)).astype(np.float32)
    return FlowFeatures(x, tuple(f"x_{n}" for n in range(FEATURES)))


def _ours(flows: FlowTable, features: FlowFeatures) -> Callable[[], int]:
    builder = FlowHost(FlowHostConfig(window_s=LENGTH_US / 1e6))

    def once() -> int:
        window = builder.window_of(flows, first_row=0)
        return len(builder.build(flows, features, window).flow_id)

    return once


def _hosts(flows: FlowTable) -> tuple[list[str], list[str]]:
    return flows.table["src_ip"].to_pylist(), flows.table["dst_ip"].to_pylist()


def bench_published_graph(paired: Any, flows: FlowTable, features: FlowFeatures) -> None:
    src, dst = _hosts(flows.slice(0, PUBLISHED))
    x = features.x[:PUBLISHED]
    paired(
        _ours(flows, features),
        lambda: multigraph(src, dst, x),
        name="build vs networkx multigraph",
        floor=2000,
    )


def bench_dictionary_loop(paired: Any, flows: FlowTable, features: FlowFeatures) -> None:
    frame = _frame(flows, features, *_hosts(flows))

    def loop() -> int:
        windows = by_dictionary(frame, length_us=LENGTH_US)
        return sum(len(window.flow_x) for window in windows)

    paired(_ours(flows, features), loop, name="build vs loop with dictionaries", floor=15)


def bench_unique_loop(paired: Any, flows: FlowTable, features: FlowFeatures) -> None:
    frame = _frame(flows, features, *_codes(flows))

    nodes = [window.hosts for window in by_unique(frame, length_us=LENGTH_US)]
    builder = FlowHost(FlowHostConfig(window_s=LENGTH_US / 1e6))
    graphs = builder.build(flows, features, builder.window_of(flows, first_row=0))
    assert np.diff(graphs.node_ptr).tolist() == nodes

    def loop() -> int:
        windows = by_unique(frame, length_us=LENGTH_US)
        return sum(len(window.flow_x) for window in windows)

    paired(_ours(flows, features), loop, name="build vs loop with np.unique", floor=5)


def _frame(flows: FlowTable, features: FlowFeatures, src: Any, dst: Any) -> pd.DataFrame:
    frame = pd.DataFrame(features.x, columns=features.names)
    return frame.assign(src=src, dst=dst, start_us=flows.start_us)


def _codes(flows: FlowTable) -> tuple[np.ndarray[Any, Any], ...]:
    """Host numbers, as a pipeline that numbered its hosts once would have them."""
    both = pa.chunked_array([*flows.table["src_ip"].chunks, *flows.table["dst_ip"].chunks])
    codes = both.unify_dictionaries().combine_chunks().indices.to_numpy()
    return codes[: len(flows)], codes[len(flows) :]


@pytest.mark.parametrize("hosts", [1_000, 30_000, 300_000])
@pytest.mark.parametrize("way", ["grid", "sort"])
def bench_many_hosts(alone: Any, monkeypatch: Any, hosts: int, way: str) -> None:
    """Which of the two ways to number hosts is faster when; `CELLS_PER_FLOW` is where they meet."""
    monkeypatch.setattr(flow_host, "CELLS_PER_FLOW", 1 << 40 if way == "grid" else -1)
    flows = _random(200_000, hosts, windows=20)
    features = FlowFeatures(np.zeros((len(flows), 1), np.float32), ("x_0",))
    cells = 20 * hosts / len(flows)
    alone(_ours(flows, features), name=f"build, {hosts:,} hosts by {way} ({cells:g} cells/flow)")


def bench_time_grows_with_flows(linear: Any) -> None:
    def make(count: int) -> Callable[[], int]:
        flows = _random(count, 1000, windows=max(1, count // 5000))
        x = np.zeros((count, FEATURES), np.float32)
        return _ours(flows, FlowFeatures(x, tuple(f"x_{n}" for n in range(FEATURES))))

    linear(make, [50_000, 200_000, 800_000])


def _random(count: int, hosts: int, *, windows: int) -> FlowTable:
    rng = np.random.default_rng(1)
    start = np.sort(rng.integers(windows * LENGTH_US, size=count))
    names = pa.array([f"10.{h >> 16}.{h >> 8 & 255}.{h & 255}" for h in range(hosts)])
    source, target = (
        pa.DictionaryArray.from_arrays(
            pa.array(rng.integers(hosts, size=count, dtype=np.int32)), names
        )
        for _ in range(2)
    )
    empty = tiled(1).table.slice(0, 0).schema
    columns = {
        name: pa.nulls(count, empty.field(name).type) for name in tiled(1).table.column_names[:13]
    }
    times = pa.array(start).cast(pa.timestamp("us", "UTC"))
    columns |= {"flow_id": pa.array(np.arange(count)), "start": times, "end": times}
    columns |= {"src_ip": source, "dst_ip": target}
    return FlowTable(pa.table(columns), FlowInfo("random"))
