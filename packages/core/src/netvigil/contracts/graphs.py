"""`WindowGraphs`: many consecutive windows as flat arrays; `WindowStream`: several passes of them.

No Python object per window or per flow: one `WindowGraphs` may hold thousands of windows, crosses a
process boundary without copying and can live in memory-mapped files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts.ids import distinct
from netvigil.errors import ContractError


@dataclass(frozen=True)
class WindowGraphs:
    """Consecutive windows of flows, each a graph of its own.

    `flow_src` and `flow_dst` are rows *within the window's own nodes*, so a window means the same
    wherever it stands and slicing copies nothing; `node_rows` gives rows into `node_key`.

    Shapes:
        flow_id: int64 [flows]; flow_x: float32 [flows, features], C-contiguous, finite
        flow_src, flow_dst: int32 [flows], or [0] for a schema without nodes
        flow_ptr, node_ptr: int64 [windows + 1]; node_key: uint64 [nodes], see `netvigil.addresses`
        window_start: int64 [windows], microseconds since 1970 UTC, or the first row number of the
            window where windows count rows
        flow_service: uint64 [flows] or None, the key of a flow's destination port and protocol, see
            `netvigil.baselines.service_keys`; to look things up by, never a feature
        schema: "flow-host" (flows between hosts), "flows-only" (no nodes), or a plugin's own

    Raises:
        ContractError: Shapes, types or pointers that disagree; a row outside its window; a feature
            that is not finite; a flow that appears twice.
    """

    schema: str
    feature_names: tuple[str, ...]
    flow_id: NDArray[np.int64]
    flow_x: NDArray[np.float32]
    flow_ptr: NDArray[np.int64]
    window_start: NDArray[np.int64]
    flow_src: NDArray[np.int32]
    flow_dst: NDArray[np.int32]
    node_ptr: NDArray[np.int64]
    node_key: NDArray[np.uint64]
    node_x: NDArray[np.float32] | None = None
    flow_service: NDArray[np.uint64] | None = None

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_values()

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.window_start)

    @property
    def has_nodes(self) -> bool:
        """Whether the schema has hosts at all."""
        return self.schema != "flows-only"

    def __getitem__(self, windows: slice) -> WindowGraphs:
        """Return a run of consecutive windows; the large arrays are views."""
        first, last, step = windows.indices(len(self))
        if step != 1:
            msg = "Windows are taken in consecutive runs."
            raise ContractError(msg)
        last = max(first, last)
        flows = slice(int(self.flow_ptr[first]), int(self.flow_ptr[last]))
        nodes = slice(int(self.node_ptr[first]), int(self.node_ptr[last]))
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values |= {
            "flow_id": self.flow_id[flows],
            "flow_x": self.flow_x[flows],
            "flow_src": self.flow_src[flows],
            "flow_dst": self.flow_dst[flows],
            "flow_ptr": self.flow_ptr[first : last + 1] - self.flow_ptr[first],
            "node_ptr": self.node_ptr[first : last + 1] - self.node_ptr[first],
            "node_key": self.node_key[nodes],
            "node_x": None if self.node_x is None else self.node_x[nodes],
            "window_start": self.window_start[first:last],
            "flow_service": None if self.flow_service is None else self.flow_service[flows],
        }
        return WindowGraphs.trusted(**values)

    @staticmethod
    def trusted(**values: Any) -> WindowGraphs:
        """Wrap arrays that were checked before (views, files we wrote) without a new check."""
        graphs = object.__new__(WindowGraphs)
        for name, value in values.items():
            object.__setattr__(graphs, name, value)
        return graphs

    def window_of_flow(self) -> NDArray[np.int64]:
        """Return the window number of each flow, int64 [flows]."""
        return np.repeat(np.arange(len(self)), np.diff(self.flow_ptr))

    def node_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the source and destination rows in `node_key` of each flow, int64 [flows] each."""
        base = np.repeat(self.node_ptr[:-1], np.diff(self.flow_ptr))
        return base + self.flow_src, base + self.flow_dst

    def _check_shapes(self) -> None:
        flows, windows = len(self.flow_id), len(self.window_start)
        wanted = {
            "flow_id": (np.int64, (flows,)),
            "flow_x": (np.float32, (flows, len(self.feature_names))),
            "flow_src": (np.int32, (flows if self.has_nodes else 0,)),
            "flow_dst": (np.int32, (flows if self.has_nodes else 0,)),
            "flow_ptr": (np.int64, (windows + 1,)),
            "node_ptr": (np.int64, (windows + 1,)),
            "node_key": (np.uint64, (len(self.node_key),)),
            "window_start": (np.int64, (windows,)),
        }
        if self.flow_service is not None:
            wanted["flow_service"] = (np.uint64, (flows,))
        for name, (dtype, shape) in wanted.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                found, needed = f"{array.dtype} {array.shape}", f"{np.dtype(dtype)} {shape}"
                msg = f"WindowGraphs.{name} is {found}, not {needed}."
                raise ContractError(msg)
        if not self.flow_x.flags.c_contiguous:
            msg = "WindowGraphs.flow_x must be C-contiguous."
            raise ContractError(msg)

    def _check_values(self) -> None:
        for name, total in (("flow_ptr", len(self.flow_id)), ("node_ptr", len(self.node_key))):
            pointer = getattr(self, name)
            if pointer[0] != 0 or pointer[-1] != total or np.any(np.diff(pointer) < 0):
                msg = f"WindowGraphs.{name} does not cut {total} rows into consecutive windows."
                raise ContractError(msg)
        if self.has_nodes and len(self.flow_id):
            sizes = np.repeat(np.diff(self.node_ptr).astype(np.int32), np.diff(self.flow_ptr))
            for rows in (self.flow_src, self.flow_dst):
                if rows.min() < 0 or np.any(rows >= sizes):
                    msg = "A flow points at a node outside its own window."
                    raise ContractError(
                        msg, do="flow_src and flow_dst count from the window's first node."
                    )
        if not _all_finite(self.flow_x):
            msg = "Flow features hold NaN or infinity."
            raise ContractError(msg, do="Put `clean` first among features.transforms.")
        ids = self.flow_id
        if distinct(ids) != len(ids):
            msg = f"{len(ids)} rows stand for {distinct(ids)} flows."
            raise ContractError(
                msg, do="Each flow must appear exactly once. Check WindowGraphs.flow_id."
            )


def _all_finite(x: NDArray[np.float32]) -> bool:
    """Say whether no value is NaN or infinite.

    A sum is finite only if every term is. Where finite values overflow float32, their float64 sum
    decides: that many of them cannot overflow. No matrix product: the library that makes those
    keeps the other cores busy waiting for the next one.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(x.sum()) or np.isfinite(x.sum(dtype=np.float64)))


class WindowStream(Protocol):
    """Windows that can be walked through as often as an encoder has epochs.

    Each `iter()` starts again at the first window and yields the same batches of whole windows.
    """

    def __iter__(self) -> Iterator[WindowGraphs]: ...


def require_reiterable(windows: WindowStream) -> WindowStream:
    """Refuse a one-shot iterator, which would leave the second epoch empty.

    Example:
        >>> require_reiterable(iter([]))
        Traceback (most recent call last):
        ...
        netvigil.errors.ContractError: An encoder was given a one-shot iterator of windows.
        Each epoch needs its own pass; pass a list or a WindowStream.
    """
    if iter(windows) is windows:
        msg = "An encoder was given a one-shot iterator of windows."
        raise ContractError(msg, do="Each epoch needs its own pass; pass a list or a WindowStream.")
    return windows
