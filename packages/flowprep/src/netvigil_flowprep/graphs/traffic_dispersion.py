"""Graph builder `traffic-dispersion`: windows whose nodes carry the mean features of their flows.

The windows are those of `flow-host`, and each flow stays in its window; what is added is `node_x`,
so that a window can be read as a small graph of hosts alone (Iliofotou et al., Network Monitoring
Using Traffic Dispersion Graphs, IMC 2007; Algorithm 1 of arXiv 2402.17363, whose lost rows are kept
here: the one that opens a block, and the last block). `netvigil.dispersion.links` gives the links
of a window, binary or weighted. A graph holds no labels: those of nodes are made with snapshots,
in netvigil-cggm.

With `addresses` every window has the same nodes: one for each of them, in the order of their keys,
and before these one with the key 0 for all other hosts. A flow then counts in a mean only where
both its ends are in the dictionary, as published. A window in which the dictionary covers no flow
has features of 0 alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from netvigil.addresses import text_keys
from netvigil.contracts import FlowFeatures, FlowTable, WindowGraphs
from netvigil.grouped import group_means
from netvigil_flowprep.graphs.flow_host import FlowHost, FlowHostConfig


class TrafficDispersionConfig(FlowHostConfig):
    """Settings of `traffic-dispersion`: those of `flow-host`, and what nodes are."""

    addresses: tuple[str, ...] = Field(
        (), description="a fixed dictionary of hosts; none: the hosts of each window"
    )
    ends: Literal["source", "both"] = Field(
        "source", description="in whose mean a flow is: its source's, or both ends'"
    )
    weight: Literal["flows", "bytes"] = Field(
        "flows", description="a plain mean over flows, or one weighted by their bytes"
    )

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        if len(set(self.addresses)) != len(self.addresses) or len(self.addresses) == 1:
            msg = "addresses are none, or at least two that differ."
            raise ValueError(msg)
        return self


class TrafficDispersion:
    """Builds `traffic-dispersion` windows; see the module."""

    def __init__(self, config: TrafficDispersionConfig) -> None:
        self.config = config
        self._hosts = FlowHost(config)
        self._keys = np.sort(text_keys(pa.array(config.addresses, pa.string())))

    def check(self, flows: FlowTable) -> None:
        """Refuse flows without addresses, and windows of time for flows without a clock.

        Raises:
            IncompatiblePartsError: With the reason and what to do.
        """
        self._hosts.check(flows)

    def window_of(self, flows: FlowTable, *, first_row: int) -> NDArray[np.int64]:
        """Return each flow's window, as `flow-host` does."""
        return self._hosts.window_of(flows, first_row=first_row)

    def build(
        self, flows: FlowTable, features: FlowFeatures, window: NDArray[np.int64]
    ) -> WindowGraphs:
        """Build all windows of these flows; shapes are as for `flow-host`."""
        graphs = self._hosts.build(flows, features, window)
        if len(self._keys):
            graphs = _over(graphs, self._keys)
        weight = _bytes(flows) if self.config.weight == "bytes" else None
        x = _means(graphs, weight, self.config.ends, fixed=bool(len(self._keys)))
        return replace(graphs, schema="traffic-dispersion", node_x=x)


def _over(graphs: WindowGraphs, keys: NDArray[np.uint64]) -> WindowGraphs:
    """Give every window the same nodes: key 0 for all others, then these keys, increasing."""
    place = np.minimum(np.searchsorted(keys, graphs.node_key), len(keys) - 1)
    row = np.where(keys[place] == graphs.node_key, place + 1, 0).astype(np.int32)
    src, dst = graphs.node_rows()
    nodes = len(keys) + 1
    return replace(
        graphs,
        flow_src=row[src],
        flow_dst=row[dst],
        node_ptr=np.arange(len(graphs) + 1) * nodes,
        node_key=np.tile(np.concatenate([[np.uint64(0)], keys]), len(graphs)),
    )


def _bytes(flows: FlowTable) -> NDArray[np.float64]:
    """Return the bytes of each flow in both directions, unknown ones as 0."""
    total = np.zeros(len(flows))
    for name in ("fwd_bytes", "bwd_bytes"):
        total += flows.table[name].cast(pa.float64(), safe=False).fill_null(0).to_numpy()
    return total


def _means(
    graphs: WindowGraphs, weight: NDArray[np.float64] | None, ends: str, *, fixed: bool
) -> NDArray[np.float32]:
    """Return the mean features of each node's flows, 0 where it has none, [nodes, features]."""
    src, dst = graphs.node_rows()
    if fixed:
        outside = (graphs.flow_src == 0) | (graphs.flow_dst == 0)
        src, dst = (np.where(outside, -1, rows) for rows in (src, dst))
    sides = [src]
    if ends == "both":
        # A host's flow to itself is one flow of it, not two.
        sides.append(np.where(src != dst, dst, -1))
    return group_means(sides, len(graphs.node_key), graphs.flow_x, weight).x
