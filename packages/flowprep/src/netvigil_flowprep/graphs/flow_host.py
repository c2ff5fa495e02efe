"""Graph builder `flow-host`: flows between hosts, window by window, all windows in one pass.

A window is a stretch of time or a count of flows. Its nodes are the hosts that its flows touch, in
the order of their keys, so that the graph does not depend on how the source wrote its addresses
down or in which order flows of one moment stand. A flow whose source or destination is unknown gets
a host with the key 0, "unknown host", which all such flows of a window share.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from netvigil.addresses import text_keys
from netvigil.contracts import FlowFeatures, FlowTable, WindowGraphs
from netvigil.errors import IncompatiblePartsError
from netvigil.parts import PartConfig
from netvigil_flowprep.graphs.windows import cut, require_clock, row_major_features, row_numbers

# A (window, host) grid costs about 5 bytes a cell whether it is used or not; sorting costs 16 bytes
# and much more
# time a flow. At 8 cells a flow both take about as long (measured in bench/bench_build.py).
CELLS_PER_FLOW = 8
DEFAULT_WINDOW_S = 180.0


class FlowHostConfig(PartConfig):
    """Settings of `flow-host`: windows of time, or of a number of flows."""

    window_s: float | None = Field(
        None, gt=0, description=f"seconds per window (default {DEFAULT_WINDOW_S:g})"
    )
    stride_s: float | None = Field(
        None, gt=0, description="seconds from window to window; only window_s itself is possible"
    )
    window_flows: int | None = Field(
        None, ge=1, description="flows per window, in place of window_s; needs no clock"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window_s is not None and self.window_s < 1e-6:
            msg = "A window is at least one microsecond long."
            raise ValueError(msg)
        if self.window_flows is not None and self.window_s is not None:
            msg = "A window has either window_s or window_flows, not both."
            raise ValueError(msg)
        if self.stride_s is not None and self.stride_s != (self.window_s or DEFAULT_WINDOW_S):
            msg = "stride_s must equal window_s because each flow is scored once."
            raise ValueError(msg)
        if self.window_flows is not None and self.stride_s is not None:
            msg = "stride_s belongs to windows of time; leave it out with window_flows."
            raise ValueError(msg)
        return self


class FlowHost:
    """Builds `flow-host` windows; see the module."""

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
        if self._flows is None:
            require_clock(flows, 'graph.builder = "flow-host"')

    def window_of(self, flows: FlowTable, *, first_row: int) -> NDArray[np.int64]:
        """Return each flow's window: its start over the length, or its row over the count."""
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
        hosts = _hosts(flows)
        windowed = _nodes(windows.flow_ptr, hosts)
        return WindowGraphs(
            schema="flow-host",
            feature_names=features.names,
            flow_id=flows.flow_id,
            flow_x=row_major_features(features),
            flow_ptr=windows.flow_ptr,
            window_start=windows.number * (self._flows or self._length_us),
            flow_src=windowed.src,
            flow_dst=windowed.dst,
            node_ptr=windowed.node_ptr,
            node_key=hosts.key[windowed.host],
        )


class Hosts(NamedTuple):
    """The hosts of a batch, numbered in the order of their keys.

    Shapes:
        src, dst: int64 [flows], rows of `key`; key: uint64 [hosts], increasing
    """

    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    key: NDArray[np.uint64]


class Nodes(NamedTuple):
    """The hosts of each window.

    Shapes:
        src, dst: int32 [flows], rows within the window's own nodes
        node_ptr: int64 [windows + 1]; host: int64 [nodes], rows of `Hosts.key`
    """

    src: NDArray[np.int32]
    dst: NDArray[np.int32]
    node_ptr: NDArray[np.int64]
    host: NDArray[np.int64]


def _hosts(flows: FlowTable) -> Hosts:
    """Number the hosts that occur, source and destination alike."""
    columns = [*flows.table["src_ip"].chunks, *flows.table["dst_ip"].chunks]
    if not len(flows):
        empty = np.empty(0, np.int64)
        return Hosts(empty, empty, np.empty(0, np.uint64))
    unified = pa.chunked_array(columns).unify_dictionaries()
    texts = unified.chunk(0).dictionary
    unknown = len(texts)
    codes = np.concatenate([_codes(chunk, unknown) for chunk in unified.chunks])
    # A dictionary may hold many more hosts than this batch touches; only these are worth a key.
    used = np.zeros(unknown + 1, np.bool_)
    used[codes] = True
    present = np.flatnonzero(used)
    named = present[present < unknown]
    key = np.zeros(len(present), np.uint64)  # a null address keeps the key 0
    key[: len(named)] = text_keys(texts.take(pa.array(named)))
    order = np.argsort(key, kind="stable")
    rank = np.empty(unknown + 1, np.int64)
    rank[present[order]] = np.arange(len(present))
    hosts = rank[codes]
    return Hosts(hosts[: len(flows)], hosts[len(flows) :], key[order])


def _codes(chunk: pa.DictionaryArray, unknown: int) -> NDArray[np.int64]:
    indices = chunk.indices
    if indices.null_count:
        indices = indices.fill_null(unknown)
    # NumPy indexes by 64 bits and would convert a narrower array each time.
    codes: NDArray[np.int64] = indices.to_numpy().astype(np.int64)
    return codes


def _nodes(flow_ptr: NDArray[np.int64], hosts: Hosts) -> Nodes:
    """Number the hosts of each window from 0, in the order of their keys."""
    windows, width = len(flow_ptr) - 1, len(hosts.key)
    base = np.repeat(np.arange(windows) * width, np.diff(flow_ptr))
    src, dst = base + hosts.src, base + hosts.dst  # cells of a (window, host) grid
    if windows * width <= CELLS_PER_FLOW * len(src) + width:
        touched = np.zeros(windows * width, np.bool_)
        touched[src] = True
        touched[dst] = True
        cells = np.flatnonzero(touched)
        row = np.cumsum(touched, dtype=np.int32)
        row -= 1
        src_row, dst_row = row[src], row[dst]
    else:
        cells, place = np.unique(np.concatenate([src, dst]), return_inverse=True)
        row = place.astype(np.int32)
        src_row, dst_row = row[: len(src)], row[len(src) :]
    node_ptr = np.searchsorted(cells, np.arange(windows + 1) * width)
    first = np.repeat(node_ptr[:-1].astype(np.int32), np.diff(flow_ptr))
    host = cells - np.repeat(np.arange(windows) * width, np.diff(node_ptr))
    return Nodes(src_row - first, dst_row - first, node_ptr, host)
