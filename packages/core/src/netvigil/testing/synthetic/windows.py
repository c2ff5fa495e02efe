"""Windows made without any graph builder: input for tests of encoders and of `WindowGraphs`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from netvigil.contracts import LabelTable, WindowGraphs

WINDOW_US = 180_000_000
SERVICES = 5


def windows(
    count: int = 4,
    *,
    seed: int = 0,
    flows: int = 60,
    nodes: int = 12,
    features: int = 5,
    schema: str = "flow-host",
) -> WindowGraphs:
    """Make `count` consecutive windows of about `flows` flows between about `nodes` hosts each.

    The first window holds one flow of a host with itself, the second (if any) no flow at all, the
    others between half and one and a half times `flows`. Ids count up from 0; host keys repeat
    across windows, and so do the keys of a handful of services.
    """
    rng = np.random.default_rng([seed, count, flows, nodes, features])
    sizes = rng.integers(max(flows // 2, 1), flows + flows // 2 + 1, count)
    hosts = rng.integers(max(nodes // 2, 2), nodes + 1, count)
    sizes[:1], sizes[1:2], hosts[:1], hosts[1:2] = 1, 0, 1, 0
    total = int(sizes.sum())
    pool = rng.integers(1, 2**63, max(nodes, 2) * 2, np.uint64)
    keys = [rng.permutation(pool)[:n] for n in hosts]
    per_flow = np.repeat(hosts, sizes)
    # A few features with structure, so that an encoder has something to learn.
    factor = rng.standard_normal((total, 2))
    x = factor @ rng.standard_normal((2, features)) + 0.3 * rng.standard_normal((total, features))
    ends = [(rng.random(total) * per_flow).astype(np.int32) for _ in range(2)]
    bare = schema == "flows-only"
    service = rng.integers(1, SERVICES + 1, total, np.uint64)
    return WindowGraphs(
        schema=schema,
        feature_names=tuple(f"x_{i}" for i in range(features)),
        flow_id=np.arange(total, dtype=np.int64),
        flow_x=np.ascontiguousarray(x, np.float32),
        flow_ptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        window_start=np.arange(count, dtype=np.int64) * WINDOW_US,
        flow_src=ends[0][: 0 if bare else total],
        flow_dst=ends[1][: 0 if bare else total],
        node_ptr=np.concatenate([[0], np.cumsum(0 * hosts if bare else hosts)]).astype(np.int64),
        node_key=np.concatenate([np.empty(0, np.uint64), *([] if bare else keys)]),
        flow_service=None if bare else service,
    )


def windows_of(
    flows: int,
    *,
    per_window: int,
    seed: int,
    nodes: int,
    features: int,
    schema: str = "flow-host",
) -> WindowGraphs:
    """Make windows of about `per_window` flows each, and about `flows` of them together."""
    size = min(per_window, flows)
    count = 2 + max(1, round(flows / size))  # the first holds one flow and the second none
    return windows(count, seed=seed, flows=size, nodes=nodes, features=features, schema=schema)


def labels_of(graphs: WindowGraphs) -> LabelTable:
    """Call flows attacks whose first feature is positive, of four kinds in turn."""
    truth = np.asarray(graphs.flow_x[:, 0]) > 0
    kinds = pa.array([f"kind-{number % 4}" for number in range(len(truth))], pa.string())
    return LabelTable.of(np.asarray(graphs.flow_id), truth, kinds)
