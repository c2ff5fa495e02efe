"""Graph builder `flow-host`: flows between hosts, window by window, all windows in one pass.

A window is a stretch of time, a count of flows, or with `whole` all flows there are. Its nodes are
the hosts that its flows touch, in the order of their keys, so that the graph does not depend on how
the source wrote its addresses down or in which order flows of one moment stand. A flow whose source
or destination is unknown gets a host with the key 0, "unknown host", which all such flows of a
window share.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from netvigil.addresses import text_keys
from netvigil.baselines import service_keys
from netvigil.contracts import FlowFeatures, FlowTable, WindowGraphs
from netvigil.errors import IncompatiblePartsError
from netvigil.parts import PartConfig
from netvigil_flowprep.graphs.windows import cut, require_clock, row_major_features, row_numbers

# A (window, host) grid costs up to 5 bytes a cell whether it is used or not; sorting costs 16 bytes
# and much more time a flow. At 8 cells a flow both take about as long (measured in
# bench/bench_build.py).
CELLS_PER_FLOW = 8
DEFAULT_WINDOW_S = 180.0


class FlowHostConfig(PartConfig):
    """Settings of `flow-host`: windows of time, of a number of flows, or one of all flows."""

    window_s: float | None = Field(
        None, gt=0, description=f"seconds per window (default {DEFAULT_WINDOW_S:g})"
    )
    stride_s: float | None = Field(
        None, gt=0, description="seconds from window to window; only window_s itself is possible"
    )
    window_flows: int | None = Field(
        None, ge=1, description="flows per window, in place of window_s; needs no clock"
    )
    whole: bool = Field(
        default=False,
        description="one window of all flows of a part of the split, or of a source",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window_s is not None and self.window_s < 1e-6:
            msg = "A window is at least one microsecond long."
            raise ValueError(msg)
        if self.window_flows is not None and self.window_s is not None:
            msg = "A window has either window_s or window_flows, not both."
            raise ValueError(msg)
        if self.whole and (self.window_s, self.stride_s, self.window_flows) != (None, None, None):
            msg = "whole = true makes one window; leave window_s, stride_s and window_flows out."
            raise ValueError(msg)
        if self.stride_s is not None and self.stride_s != (self.window_s or DEFAULT_WINDOW_S):
            msg = "stride_s must equal window_s because each flow is scored once."
            raise ValueError(msg)
        if self.window_flows is not None and self.stride_s is not None:
            msg = "stride_s belongs to windows of time; leave it out with window_flows."
            raise ValueError(msg)
        return self


class FlowHost:
    """Builds `flow-host` windows; see the module.

    With `whole` the train, calibration and test part of a split are one window each, and so is a
    source in `detect`. What the window is built from is held until its last flow: memory grows with
    the number of flows (about 100 bytes each, features aside). `window_start` is 0, because the
    number of a window must not depend on which flows come first; so nothing can be told apart by
    window, and intervals of the evaluation are drawn by flow.
    """

    # What graphs depend on, features aside.
    links = ("flow_id", "start", "src_ip", "dst_ip", "dst_port", "protocol")

    def __init__(self, config: FlowHostConfig) -> None:
        self.config = config
        self._flows = config.window_flows
        self._length_us = round((config.window_s or DEFAULT_WINDOW_S) * 1e6)

    def check(self, flows: FlowTable) -> None:
        """Refuse flows without addresses, and windows of time for flows without a clock.

        Raises:
            IncompatiblePartsError: With the reason and what to do.
        """
        if len(flows) and not flows.has_addresses:
            msg = f"Flows read as '{flows.info.format}' have no addresses, so there are no hosts."
            do = 'Use builder = "none" with a tabular encoder such as "raw".'
            raise IncompatiblePartsError(msg, where='graph.builder = "flow-host"', do=do)
        if self._flows is None and not self.config.whole:
            require_clock(flows, 'graph.builder = "flow-host"')

    def window_of(self, flows: FlowTable, *, first_row: int) -> NDArray[np.int64]:
        """Return each flow's window: its start over the length, or its row over the count, or 0."""
        if self.config.whole:
            return np.zeros(len(flows), np.int64)
        if self._flows is not None:
            return row_numbers(flows, first_row) // self._flows
        return flows.start_us // self._length_us

    def build(
        self, flows: FlowTable, features: FlowFeatures, window: NDArray[np.int64]
    ) -> WindowGraphs:
        """Build all windows of these flows.

        Shapes:
            features.x: float32 [flows, features]; C-contiguous arrays are used as they are
            window: int64 [flows], never decreasing
        """
        self.check(flows)
        windows = cut(window)
        graphs = _graphs(windows.flow_ptr, _hosts(flows))
        return WindowGraphs(
            schema="flow-host",
            feature_names=features.names,
            flow_id=flows.flow_id,
            flow_x=row_major_features(features),
            flow_ptr=windows.flow_ptr,
            window_start=windows.number * (self._flows or self._length_us),
            flow_src=graphs.src,
            flow_dst=graphs.dst,
            node_ptr=graphs.node_ptr,
            node_key=graphs.node_key,
            flow_service=service_keys(flows),
        )


class Hosts(NamedTuple):
    """The hosts that the flows of a batch touch, in the order of their keys.

    Shapes:
        src, dst: int64 [flows], rows of `key`; key: uint64 [hosts], 0 for the unknown host
    """

    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    key: NDArray[np.uint64]


class Graphs(NamedTuple):
    """The hosts of each window, and where flows point.

    Shapes:
        src, dst: int32 [flows], rows within the window's own nodes
        node_ptr: int64 [windows + 1]; node_key: uint64 [nodes], increasing within a window
    """

    src: NDArray[np.int32]
    dst: NDArray[np.int32]
    node_ptr: NDArray[np.int64]
    node_key: NDArray[np.uint64]


def _hosts(flows: FlowTable) -> Hosts:
    """Number the hosts of a batch, source and destination alike."""
    columns = [*flows.table["src_ip"].chunks, *flows.table["dst_ip"].chunks]
    if not len(flows):
        return Hosts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64))
    unified = pa.chunked_array(columns).unify_dictionaries()
    texts = unified.chunk(0).dictionary
    # NumPy indexes by 64 bits and would convert a narrower array each time.
    codes = np.empty(2 * len(flows), np.int64)
    place = 0
    for chunk in unified.chunks:
        indices = chunk.indices.fill_null(len(texts)) if chunk.null_count else chunk.indices
        codes[place : place + len(chunk)] = indices.to_numpy()
        place += len(chunk)
    if unified.null_count:
        texts = pa.concat_arrays([texts, pa.nulls(1, texts.type)])
    # A dictionary may hold many more hosts than this batch touches.
    used = np.zeros(len(texts), np.bool_)
    used[codes] = True
    present = np.flatnonzero(used)
    key = text_keys(texts.take(pa.array(present)))
    order = np.argsort(key, kind="stable")
    row = np.empty(len(texts), np.int64)
    row[present[order]] = np.arange(len(order))
    codes = row.take(codes)
    return Hosts(codes[: len(flows)], codes[len(flows) :], key[order])


def _graphs(flow_ptr: NDArray[np.int64], hosts: Hosts) -> Graphs:
    """Number the hosts of each window from 0, in the order of their keys.

    Cells of a (window, host) grid are in that order already, so nothing is sorted by key again.
    """
    windows, width, flows = len(flow_ptr) - 1, len(hosts.key), len(hosts.src)
    base = np.repeat(np.arange(windows) * width, np.diff(flow_ptr))
    src, dst = base + hosts.src, base + hosts.dst
    grid = windows * width <= CELLS_PER_FLOW * flows
    if grid:
        touched = np.zeros(windows * width, np.bool_)
        touched[src] = touched[dst] = True
        node = np.flatnonzero(touched)
    else:
        node, place = np.unique(np.concatenate([src, dst]), return_inverse=True)
    # From here to the last lines, arrays are as long as there are nodes: far fewer than flows.
    window, host = np.divmod(node, max(width, 1))
    node_ptr = np.searchsorted(window, np.arange(windows + 1))
    row = (np.arange(len(node)) - node_ptr[window]).astype(np.int32)
    if grid:
        of_cell = np.empty(windows * width, np.int32)
        of_cell[node] = row
        return Graphs(of_cell.take(src), of_cell.take(dst), node_ptr, hosts.key[host])
    return Graphs(row[place[:flows]], row[place[flows:]], node_ptr, hosts.key[host])
