"""Streams of windows: cut batches of flows between windows, and spool windows for several passes.

Memory is bounded by the largest batch of windows: what comes in goes out at the last window
boundary, and the spool is memory-mapped. Who walks through a spool holds one batch of it: the pages
of a batch are given back once the next one is asked for.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures, FlowTable, WindowGraphs
from netvigil.errors import ContractError
from netvigil.protocols import GraphBuilder

BATCH_FLOWS = 131_072  # flows per batch of windows: 35 MB of 70 features
_STEP = 32_768  # flows whose features are made at once


def build_windows(
    batches: Iterable[tuple[int, FlowTable]],
    features_of: Callable[[FlowTable], FlowFeatures],
    builder: GraphBuilder,
) -> Iterator[WindowGraphs]:
    """Build windows from batches of flows in time order; no window is split between two batches.

    Each batch comes with the row number of its first flow in the stream, which count windows need.
    The flows of a window wait for its last one: memory grows with the longest window, which is the
    whole stream where a builder makes one window of it. They wait without their features, so that
    nothing is copied when the others have come.
    """
    pending: list[tuple[FlowTable, NDArray[np.int64]]] = []
    for first_row, flows in batches:
        window = builder.window_of(flows, first_row=first_row)
        cut = int(np.searchsorted(window, window[-1]))
        if pending and window[0] != pending[0][1][0]:
            yield _build(pending, features_of, builder)
            pending = []
        if cut > 0:
            pending.append((flows.slice(0, cut), window[:cut]))
            yield _build(pending, features_of, builder)
            pending = []
        pending.append((flows.slice(cut, len(flows) - cut), window[cut:]))
    if pending:
        yield _build(pending, features_of, builder)


def _build(
    pieces: list[tuple[FlowTable, NDArray[np.int64]]],
    features_of: Callable[[FlowTable], FlowFeatures],
    builder: GraphBuilder,
) -> WindowGraphs:
    table = pa.concat_tables([flows.table for flows, _ in pieces])
    flows = FlowTable.trusted(table, pieces[0][0].info)
    features = _in_steps(flows, features_of)
    return builder.build(flows, features, np.concatenate([window for _, window in pieces]))


def _in_steps(flows: FlowTable, features_of: Callable[[FlowTable], FlowFeatures]) -> FlowFeatures:
    """Make features of some flows at a time: what transforms copy is small, and memory used again.

    Memory that a process touches for the first time costs it more than the work done there.
    """
    made = features_of(flows.slice(0, _STEP))
    if len(flows) <= _STEP:
        return made
    x = np.empty((len(flows), made.x.shape[1]), np.float32)
    x[:_STEP] = made.x
    for first in range(_STEP, len(flows), _STEP):
        x[first : first + _STEP] = features_of(flows.slice(first, _STEP)).x
    return FlowFeatures(x, made.names)


@runtime_checkable
class PassesFeatures(Protocol):
    """A builder that hands features on as they are and reads nothing else but the columns `links`.

    Its windows need not wait with their features: a spool writes those as they come.
    """

    links: tuple[str, ...]


def spool_windows(
    batches: Iterable[tuple[int, FlowTable]],
    features_of: Callable[[FlowTable], FlowFeatures],
    builder: GraphBuilder,
    folder: Path,
) -> SpooledWindows | None:
    """Build windows and spool them to `folder`; returns None where there is no flow.

    Of a builder that `PassesFeatures`, only the columns in `links` wait for the end of a window (39
    bytes a flow for `flow-host`), so that one window may cover a range of any length.

    Raises:
        ContractError: Features that are not finite.
    """
    if not isinstance(builder, PassesFeatures):
        return SpooledWindows.write(build_windows(batches, features_of, builder), folder)
    folder.mkdir(parents=True, exist_ok=True)
    links = list(builder.links)
    names: tuple[str, ...] = ()
    with (folder / "flow_x").open("wb") as file:

        def without_features() -> Iterator[tuple[int, FlowTable]]:
            nonlocal names
            for first_row, flows in batches:
                features = features_of(flows)
                names = features.names
                _write_features(features.x, file)
                yield first_row, FlowTable.trusted(flows.table.select(links), flows.info)

        windows = build_windows(without_features(), _no_features, builder)
        written = _write(windows, folder, _ARRAYS, lambda _: names)
    return SpooledWindows.open(folder) if written else None


def _no_features(flows: FlowTable) -> FlowFeatures:
    return FlowFeatures(np.empty((len(flows), 0), np.float32), ())


def _write_features(x: NDArray[np.float32], file: BinaryIO) -> None:
    """Write features row by row, and refuse what the contract of windows refuses."""
    for first in range(0, len(x), _BLOCK):
        rows = np.ascontiguousarray(x[first : first + _BLOCK])
        with np.errstate(over="ignore", invalid="ignore"):  # a sum is finite if every term is
            fine = np.isfinite(rows.sum()) or np.isfinite(rows).all()
        if not fine:
            msg = "Flow features hold NaN or infinity."
            raise ContractError(msg, do="Put `clean` first among features.transforms.")
        file.write(rows.data)


_BLOCK = 4096  # rows turned from columns at a time: they fit into a core's cache
_FLOW_ARRAYS = ("flow_id", "flow_x", "flow_src", "flow_dst", "flow_service")
_ARRAYS = (
    "flow_id",
    "flow_src",
    "flow_dst",
    "flow_service",
    "node_key",
    "window_start",
    "node_x",
)


@dataclass(frozen=True)
class SpooledWindows:
    """Windows in memory-mapped files: a stream that can be walked through as often as needed."""

    whole: WindowGraphs
    batch_flows: int = BATCH_FLOWS

    def __iter__(self) -> Iterator[WindowGraphs]:
        """Yield runs of whole windows of at most `batch_flows` flows (or one larger), as views.

        A batch's pages leave memory when the next one is asked for; views of it stay valid, and
        are read from the file again where they are used after that.
        """
        pointer, first = self.whole.flow_ptr, 0
        while first < len(self.whole):
            last = (
                int(np.searchsorted(pointer, pointer[first] + self.batch_flows, side="right")) - 1
            )
            last = max(last, first + 1)
            yield self.whole[first:last]
            for name in _FLOW_ARRAYS:
                array = getattr(self.whole, name)
                if array is not None:
                    _let_go(array, int(pointer[first]), int(pointer[last]))
            first = last

    @property
    def flows(self) -> int:
        """Number of flows in all windows."""
        return len(self.whole.flow_id)

    @staticmethod
    def write(windows: Iterable[WindowGraphs], folder: Path) -> SpooledWindows | None:
        """Spool windows to `folder`; returns None where there is no window at all."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = ("flow_x", *_ARRAYS)
        written = _write(windows, folder, arrays, lambda graphs: graphs.feature_names)
        return SpooledWindows.open(folder) if written else None

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
            "flow_service": mapped("flow_service", np.uint64, (flows,))
            if described["services"]
            else None,
        }
        return SpooledWindows(WindowGraphs.trusted(**values))


@dataclass(frozen=True)
class ChainedWindows:
    """Several streams of windows as one, to be walked through as often as needed."""

    streams: tuple[SpooledWindows, ...]

    def __iter__(self) -> Iterator[WindowGraphs]:
        """Yield the windows of one stream after another."""
        return chain.from_iterable(self.streams)

    @property
    def flows(self) -> int:
        """Number of flows in all windows."""
        return sum(stream.flows for stream in self.streams)


def _write(
    windows: Iterable[WindowGraphs],
    folder: Path,
    arrays: Sequence[str],
    feature_names: Callable[[WindowGraphs], tuple[str, ...]],
) -> bool:
    """Write these arrays of all windows and what describes them; say whether there were any."""
    flow_sizes, node_sizes = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    described: dict[str, Any] | None = None
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("wb")) for name in arrays}
        for graphs in windows:
            width = None if graphs.node_x is None else graphs.node_x.shape[1]
            described = {"schema": graphs.schema, "feature_names": feature_names(graphs)}
            described |= {"node_width": width, "services": graphs.flow_service is not None}
            for name in arrays:
                array = getattr(graphs, name)
                if array is not None:
                    # Not `tofile`, whose error does not say that the disk is full.
                    files[name].write(np.ascontiguousarray(array).data)
            flow_sizes.append(np.diff(graphs.flow_ptr))
            node_sizes.append(np.diff(graphs.node_ptr))
    if described is None:
        return False
    np.save(folder / "flow_ptr.npy", np.cumsum(np.concatenate(flow_sizes)))
    np.save(folder / "node_ptr.npy", np.cumsum(np.concatenate(node_sizes)))
    (folder / "windows.json").write_text(json.dumps(described), "utf-8")
    return True


def _let_go(array: NDArray[Any], first: int, last: int) -> None:
    """Give the pages of some rows of a mapped array back; other arrays are left alone.

    They are clean pages of a file, so nothing is lost: who looks again reads them again.
    """
    mapped = array.base
    if not isinstance(mapped, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    # From the page that the rows before these left behind, to the one the next rows begin in.
    start, end = (row * array.strides[0] // mmap.PAGESIZE * mmap.PAGESIZE for row in (first, last))
    if end > start:
        mapped.madvise(mmap.MADV_DONTNEED, start, end - start)
