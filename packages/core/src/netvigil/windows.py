"""Streams of windows: cut batches of flows between windows, and spool windows for several passes.

Memory is bounded by the largest batch of windows: what comes in goes out at the last window
boundary, and the spool is memory-mapped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures, FlowTable, WindowGraphs
from netvigil.protocols import GraphBuilder

BATCH_FLOWS = 131_072  # flows per batch of windows: 35 MB of 70 features


def build_windows(
    batches: Iterable[tuple[int, FlowTable]],
    features_of: Callable[[FlowTable], FlowFeatures],
    builder: GraphBuilder,
) -> Iterator[WindowGraphs]:
    """Build windows from batches of flows in time order; no window is split between two batches.

    Each batch comes with the row number of its first flow in the stream, which count windows need.
    """
    pending: list[tuple[FlowTable, FlowFeatures, NDArray[np.int64]]] = []
    for first_row, flows in batches:
        window = builder.window_of(flows, first_row=first_row)
        features = features_of(flows)
        cut = int(np.searchsorted(window, window[-1]))
        if pending and window[0] != pending[0][2][0]:
            yield _build(pending, builder)
            pending = []
        if cut > 0:
            pending.append(_rows(flows, features, window, 0, cut))
            yield _build(pending, builder)
            pending = []
        pending.append(_rows(flows, features, window, cut, len(flows)))
    if pending:
        yield _build(pending, builder)


def _rows(
    flows: FlowTable, features: FlowFeatures, window: NDArray[np.int64], first: int, last: int
) -> tuple[FlowTable, FlowFeatures, NDArray[np.int64]]:
    part = FlowFeatures(features.x[first:last], features.names)
    return flows.slice(first, last - first), part, window[first:last]


def _build(
    pieces: list[tuple[FlowTable, FlowFeatures, NDArray[np.int64]]], builder: GraphBuilder
) -> WindowGraphs:
    if len(pieces) == 1:
        return builder.build(*pieces[0])
    table = pa.concat_tables([flows.table for flows, _, _ in pieces])
    x = np.concatenate([features.x for _, features, _ in pieces])
    window = np.concatenate([w for _, _, w in pieces])
    flows = FlowTable.trusted(table, pieces[0][0].info)
    return builder.build(flows, FlowFeatures(x, pieces[0][1].names), window)


_FLOW_ARRAYS = ("flow_id", "flow_x", "flow_src", "flow_dst")
_OTHER_ARRAYS = ("node_key", "window_start")


@dataclass(frozen=True)
class SpooledWindows:
    """Windows in memory-mapped files: a stream that can be walked through as often as needed."""

    whole: WindowGraphs
    batch_flows: int = BATCH_FLOWS

    def __iter__(self) -> Iterator[WindowGraphs]:
        """Yield runs of whole windows of at most `batch_flows` flows (or one larger), as views."""
        pointer, first = self.whole.flow_ptr, 0
        while first < len(self.whole):
            last = (
                int(np.searchsorted(pointer, pointer[first] + self.batch_flows, side="right")) - 1
            )
            last = max(last, first + 1)
            yield self.whole[first:last]
            first = last

    @property
    def flows(self) -> int:
        """Number of flows in all windows."""
        return len(self.whole.flow_id)

    @staticmethod
    def write(windows: Iterable[WindowGraphs], folder: Path) -> SpooledWindows | None:
        """Spool windows to `folder`; returns None where there is no window at all."""
        folder.mkdir(parents=True, exist_ok=True)
        flow_sizes, node_sizes = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
        schema: tuple[str, tuple[str, ...], int | None] | None = None
        names = (*_FLOW_ARRAYS, *_OTHER_ARRAYS, "node_x")
        with ExitStack() as stack:
            files = {name: stack.enter_context((folder / name).open("wb")) for name in names}
            for graphs in windows:
                width = None if graphs.node_x is None else graphs.node_x.shape[1]
                schema = (graphs.schema, graphs.feature_names, width)
                for name in names:
                    array = getattr(graphs, name)
                    if array is not None:
                        # Not `tofile`, whose error does not say that the disk is full.
                        files[name].write(np.ascontiguousarray(array).data)
                flow_sizes.append(np.diff(graphs.flow_ptr))
                node_sizes.append(np.diff(graphs.node_ptr))
        if schema is None:
            return None
        np.save(folder / "flow_ptr.npy", np.cumsum(np.concatenate(flow_sizes)))
        np.save(folder / "node_ptr.npy", np.cumsum(np.concatenate(node_sizes)))
        described = {"schema": schema[0], "feature_names": schema[1], "node_width": schema[2]}
        (folder / "windows.json").write_text(json.dumps(described), "utf-8")
        return SpooledWindows.open(folder)

    @staticmethod
    def open(folder: Path) -> SpooledWindows:
        """Map a spooled folder."""
        described = json.loads((folder / "windows.json").read_text("utf-8"))
        names = tuple(described["feature_names"])
        flow_ptr, node_ptr = np.load(folder / "flow_ptr.npy"), np.load(folder / "node_ptr.npy")
        flows, width = int(flow_ptr[-1]), described["node_width"]
        hosts = described["schema"] != "flows-only"

        def mapped(name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[np.generic]:
            if 0 in shape:
                return np.zeros(shape, dtype)  # an empty file cannot be mapped
            return np.memmap(folder / name, dtype, mode="r", shape=shape)

        values = {
            "schema": described["schema"],
            "feature_names": names,
            "flow_id": mapped("flow_id", np.int64, (flows,)),
            "flow_x": mapped("flow_x", np.float32, (flows, len(names))),
            "flow_src": mapped("flow_src", np.int32, (flows if hosts else 0,)),
            "flow_dst": mapped("flow_dst", np.int32, (flows if hosts else 0,)),
            "flow_ptr": flow_ptr,
            "node_ptr": node_ptr,
            "node_key": mapped("node_key", np.uint64, (int(node_ptr[-1]),)),
            "window_start": mapped("window_start", np.int64, (len(flow_ptr) - 1,)),
            "node_x": None
            if width is None
            else mapped("node_x", np.float32, (int(node_ptr[-1]), width)),
        }
        return SpooledWindows(WindowGraphs.trusted(**values))
