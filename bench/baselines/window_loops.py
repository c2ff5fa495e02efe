"""The straightforward ways to build window graphs: a Python loop over windows.

Hosts get their numbers from a dictionary, flow by flow, or from `np.unique`, window by window. A
window keeps what a heterogeneous graph needs: features, and links from flows to both of their ends
and back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]


class Window(NamedTuple):
    """One window's graph, as a data loader would keep it."""

    start: int
    flow_x: Array
    links: dict[str, Array]
    hosts: int


def by_dictionary(
    src: list[str], dst: list[str], start_us: Array, x: Array, *, length_us: int
) -> list[Window]:
    """Number the hosts of each window with a dictionary, flow by flow."""
    windows = []
    for number, flows in pd.DataFrame({"n": start_us // length_us}).groupby("n").indices.items():
        rows: dict[str, int] = {}
        source, target = [], []
        for flow in flows:
            for host, ends in ((src[flow], source), (dst[flow], target)):
                if host not in rows:
                    rows[host] = len(rows)
                ends.append(rows[host])
        links = _links(np.array(source), np.array(target))
        windows.append(Window(int(number) * length_us, x[flows], links, len(rows)))
    return windows


def by_unique(src: Array, dst: Array, start_us: Array, x: Array, *, length_us: int) -> list[Window]:
    """Group with pandas, and number the hosts of each window with `np.unique`."""
    windows = []
    groups = pd.DataFrame({"window": start_us // length_us}).groupby("window").indices
    for number, rows in groups.items():
        ends = np.concatenate([src[rows], dst[rows]])
        hosts, row = np.unique(ends, return_inverse=True)
        links = _links(*row.reshape(2, -1))
        windows.append(Window(int(number) * length_us, x[rows], links, len(hosts)))
    return windows


def _links(source: Array, target: Array) -> dict[str, Array]:
    flow = np.arange(len(source))
    return {
        "source": np.stack([flow, source]),
        "target": np.stack([flow, target]),
        "of_source": np.stack([source, flow]),
        "of_target": np.stack([target, flow]),
    }
