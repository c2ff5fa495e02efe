"""Small windows with labels, and snapshots with something to learn in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest

from netvigil.contracts import LabelTable, WindowGraphs
from netvigil.testing.synthetic.windows import windows
from netvigil_cggm.snapshots import NORMAL, Snapshots

Flow = tuple[int, int, int, str, float]  # window, source, destination, class, feature


def table(flow_id: Sequence[int], classes: Sequence[str]) -> LabelTable:
    attack = pa.array([None if name == NORMAL else name for name in classes], pa.string())
    return LabelTable.of(
        np.array(flow_id, np.int64), np.array([name != NORMAL for name in classes]), attack
    )


def graphs_of(flows: Sequence[Flow]) -> tuple[WindowGraphs, LabelTable]:
    """Make windows of flows, sorted by window; a host's key is its number."""
    count = max(flow[0] for flow in flows) + 1
    per = [[flow for flow in flows if flow[0] == number] for number in range(count)]
    keys = [sorted({flow[1] for flow in part} | {flow[2] for flow in part}) for part in per]
    flat = [(flow, keys[number]) for number, part in enumerate(per) for flow in part]
    x = np.array([[flow[4], 2 * flow[4]] for flow, _ in flat], np.float32).reshape(-1, 2)
    graphs = WindowGraphs(
        schema="flow-host",
        feature_names=("a", "b"),
        flow_id=np.arange(len(flat)),
        flow_x=x,
        flow_ptr=np.cumsum([0, *map(len, per)]),
        window_start=np.arange(count) * 10,
        flow_src=np.array([own.index(flow[1]) for flow, own in flat], np.int32),
        flow_dst=np.array([own.index(flow[2]) for flow, own in flat], np.int32),
        node_ptr=np.cumsum([0, *map(len, keys)]),
        node_key=np.array([key for own in keys for key in own], np.uint64),
    )
    return graphs, table(range(len(flat)), [flow[3] for flow, _ in flat])


@pytest.fixture(scope="session")
def make_graphs() -> Callable[[Sequence[Flow]], tuple[WindowGraphs, LabelTable]]:
    return graphs_of


@pytest.fixture(scope="session")
def make_labels() -> Callable[[Sequence[int], Sequence[str]], LabelTable]:
    return table


def learnable(count: int = 20, *, nodes: int = 12, seed: int = 0) -> Snapshots:
    """Make snapshots whose features tell the class of a node, and links between classes differ."""
    rng = np.random.default_rng(seed)
    classes = (NORMAL, "dos", "scan")
    label = rng.choice(3, (count, nodes), p=[0.8, 0.15, 0.05])
    active = rng.random((count, nodes)) < 0.9
    label[~active] = 0
    centre = np.array([[0.2, 0.2, 0.5, 0.1], [0.8, 0.3, 0.5, 0.4], [0.3, 0.9, 0.5, 0.7]])
    x = centre[label] + 0.05 * rng.standard_normal((count, nodes, 4))
    x[~active] = 0
    often = np.array([[0.1, 0.2, 0.3], [0.4, 0.1, 0.1], [0.6, 0.1, 0.1]])
    chance = often[label[:, :, None], label[:, None, :]]
    links = rng.random((count, nodes, nodes)) < chance
    links &= active[:, :, None] & active[:, None, :]
    links[:, np.arange(nodes), np.arange(nodes)] = False
    return Snapshots(
        keys=np.arange(1, nodes + 1, dtype=np.uint64),
        classes=classes,
        feature_names=("f0", "f1", "f2", "f3"),
        x=x.astype(np.float32),
        links=links,
        label=label,
        active=active,
        flows=active.astype(np.int64),
        window=np.arange(count),
    )


@pytest.fixture(scope="session")
def make_snapshots() -> Callable[..., Snapshots]:
    return learnable


@pytest.fixture(scope="session")
def snapshots() -> Snapshots:
    return learnable()


@pytest.fixture(scope="session")
def labelled() -> tuple[WindowGraphs, LabelTable]:
    """Windows with services, every flow labelled."""
    graphs = windows(6, seed=3)[2:]
    code = np.arange(len(graphs.flow_id)) % 3
    names = np.array([NORMAL, "dos", "scan"])[code].tolist()
    return graphs, table(graphs.flow_id.tolist(), names)
