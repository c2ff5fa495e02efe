"""Copies of one window with something changed: flows left out, or one flow's features replaced.

Many copies stand side by side as the windows of one `WindowGraphs`, so that a model scores them in
one call. Copies are windows like any other: a flow that is left out does not appear, nor does a
host that no flow is left of, and flows are numbered anew, as each may appear once only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import WindowGraphs
from netvigil.protocols import Scoring

BATCH_FLOWS = 131_072  # flows of all copies scored at once, as in `netvigil.windows`


def kept(window: WindowGraphs, keep: NDArray[np.bool_]) -> WindowGraphs:
    """Return copies of one window, each with the flows that are kept in it, in their order.

    What a builder computed for a host (`node_x`) is copied as it is.

    Shapes:
        keep: bool [copies, flows], at least one flow in each
        returns: [copies] windows
    """
    copy, flow = np.nonzero(keep)
    values = _per_flow(window, flow)
    count = len(keep)
    values |= {
        "flow_id": np.arange(len(flow), dtype=np.int64),
        "flow_ptr": _pointer(keep.sum(axis=1)),
        "window_start": np.repeat(window.window_start, count),
        "node_ptr": np.zeros(count + 1, np.int64),
    }
    if window.has_nodes:
        used = np.zeros((count, len(window.node_key)), np.bool_)
        for ends in (window.flow_src, window.flow_dst):
            used[copy, ends[flow]] = True
        place = np.cumsum(used, axis=1, dtype=np.int32) - 1
        node = np.nonzero(used)[1]
        values |= {
            "flow_src": place[copy, window.flow_src[flow]],
            "flow_dst": place[copy, window.flow_dst[flow]],
            "node_ptr": _pointer(used.sum(axis=1)),
            "node_key": window.node_key[node],
            "node_x": None if window.node_x is None else window.node_x[node],
        }
    return WindowGraphs.trusted(**values)


def replaced(window: WindowGraphs, row: int, x: NDArray[np.float32]) -> WindowGraphs:
    """Return copies of one window in each of which one flow has other features.

    Shapes:
        x: float32 [copies, features]
    """
    copies = kept(window, np.ones((len(x), len(window.flow_id)), np.bool_))
    copies.flow_x[copies.flow_ptr[:-1] + row] = x
    return copies


def scores_without(
    scoring: Scoring, window: WindowGraphs, removed: list[NDArray[np.int64]]
) -> list[NDArray[np.float64]]:
    """Score copies of a window that lack some flows.

    Shapes:
        removed: per copy int64, the rows left out; returns per copy float64 [flows], NaN for them
    """
    flows = len(window.flow_id)
    found = []
    for first in range(0, len(removed), size := max(BATCH_FLOWS // max(flows, 1), 1)):
        chosen = removed[first : first + size]
        keep = np.ones((len(chosen), flows), np.bool_)
        for copy, rows in enumerate(chosen):
            keep[copy, rows] = False
        score = np.full(keep.shape, np.nan)
        score[keep] = scoring.score(kept(window, keep))
        found += list(score)
    return found


class Perturbed:
    """One flow with other features, and all around it as it was.

    Where the flow scores the same without the flows around it, as with encoders that look at each
    flow by itself, those are left out: many times quicker.

    Attributes:
        x: the flow's features, float32 [features]; score: of the flow as it is
    """

    def __init__(self, scoring: Scoring, window: WindowGraphs, row: int, score: float) -> None:
        self._scoring, self._window, self._row = scoring, window, row
        self.x: NDArray[np.float32] = window.flow_x[row]
        self.score = score
        only = np.zeros((1, len(window.flow_id)), np.bool_)
        only[0, row] = True
        alone = kept(window, only)
        # Not the same bits: sums of float32 depend on how many flows are added up at once.
        if np.isclose(float(scoring.score(alone)[0]), score, rtol=1e-4, atol=1e-6):
            self._window, self._row = alone, 0

    @property
    def flows(self) -> int:
        """Flows scored for each set of features."""
        return len(self._window.flow_id)

    def scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the flow's score with other features, float32 [copies, features] -> [copies]."""
        size = max(BATCH_FLOWS // self.flows, 1)
        pieces = [np.empty(0)]
        for first in range(0, len(x), size):
            copies = replaced(self._window, self._row, x[first : first + size])
            pieces.append(self._scoring.score(copies)[copies.flow_ptr[:-1] + self._row])
        return np.concatenate(pieces)


def each_flow(
    windows: WindowGraphs, rows: NDArray[np.int64]
) -> Iterator[tuple[WindowGraphs, int, int]]:
    """Yield the window of each of these flows, the flow's row in it, and the window's first row."""
    for row in rows.tolist():
        number = int(np.searchsorted(windows.flow_ptr, row, side="right")) - 1
        first = int(windows.flow_ptr[number])
        yield windows[number : number + 1], row - first, first


def _per_flow(window: WindowGraphs, flow: NDArray[np.int64]) -> dict[str, Any]:
    """Return every field, those with a row per flow taken at these rows."""
    values: dict[str, Any] = {f.name: getattr(window, f.name) for f in fields(window)}
    pointers = {"flow_ptr"}
    for name, value in values.items():
        if name.startswith("flow_") and name not in pointers and value is not None and len(value):
            values[name] = np.ascontiguousarray(value[flow])
    return values


def _pointer(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
