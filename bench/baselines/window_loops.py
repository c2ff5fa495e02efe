"""The straightforward ways to build window graphs: pandas groups, and a Python loop over windows.

Flows come as a data frame with `src`, `dst`, `start_us` and a column per feature, as such pipelines
hold them. Hosts get their numbers from a dictionary, flow by flow, or from `np.unique`, window by
window. A window keeps what a heterogeneous graph needs: features, and links from flows to both of
their ends and back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]
ENDS = ["src", "dst", "start_us"]


class Window(NamedTuple):
    """One window's graph, as a data loader would keep it."""

    start: int
    flow_x: Array
    links: dict[str, Array]
    hosts: int


def by_dictionary(frame: pd.DataFrame, *, length_us: int) -> list[Window]:
    """Number the hosts (texts) of each window with a dictionary, flow by flow."""
    windows = []
    for number, flows in frame.groupby(frame["start_us"] // length_us):
        rows: dict[str, int] = {}
        source: list[int] = []
        target: list[int] = []
        for src, dst in zip(flows["src"].tolist(), flows["dst"].tolist(), strict=True):
            for host, ends in ((src, source), (dst, target)):
                if host not in rows:
                    rows[host] = len(rows)
                ends.append(rows[host])
        windows.append(_window(number * length_us, flows, np.array([source, target]), len(rows)))
    return windows


def by_unique(frame: pd.DataFrame, *, length_us: int) -> list[Window]:
    """Number the hosts (numbers already) of each window with `np.unique`."""
    windows = []
    for number, flows in frame.groupby(frame["start_us"] // length_us):
        ends = np.concatenate([flows["src"].to_numpy(), flows["dst"].to_numpy()])
        hosts, row = np.unique(ends, return_inverse=True)
        windows.append(_window(number * length_us, flows, row.reshape(2, -1), len(hosts)))
    return windows


def _window(start: int, flows: pd.DataFrame, ends: Array, hosts: int) -> Window:
    x = flows.drop(columns=ENDS).to_numpy(np.float32)
    flow = np.arange(len(flows))
    links = {
        "source": np.stack([flow, ends[0]]),
        "target": np.stack([flow, ends[1]]),
        "of_source": np.stack([ends[0], flow]),
        "of_target": np.stack([ends[1], flow]),
    }
    return Window(start, x, links, hosts)
