"""Label plans: which class each node of a graph to generate gets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ConfigError
from netvigil_cggm.config import Plan
from netvigil_cggm.snapshots import NORMAL

# Table 3: 6,861 generated nodes in 140 graphs of 49, which is a fixed vector per graph.
TABLE3 = {
    NORMAL: 4,
    "fuzzers": 6,
    "analysis": 4,
    "backdoor": 4,
    "dos": 2,
    "exploits": 6,
    "generic": 6,
    "reconnaissance": 4,
    "shellcode": 10,
    "worms": 3,
}


def plan_labels(
    plan: Plan, classes: tuple[str, ...], *, nodes: int, snapshots: int, seed: int
) -> NDArray[np.int64]:
    """Return the class of every node, int64 [snapshots, nodes], dealt to nodes at random.

    `balanced` gives each class `nodes // classes` nodes in every snapshot; the nodes left over go
    to the classes in turn, snapshot after snapshot.

    Raises:
        ConfigError: A plan for another number of nodes, or with classes that were not learnt.

    Example:
        >>> labels = plan_labels("balanced", ("normal", "dos"), nodes=4, snapshots=3, seed=0)
        >>> (labels == 1).sum(1)
        array([2, 2, 2])
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(7,)))
    if plan == "balanced":
        each, left = divmod(nodes, len(classes))
        turn = np.arange(snapshots * left).reshape(snapshots, left) % len(classes)
        same = np.tile(np.repeat(np.arange(len(classes)), each), (snapshots, 1))
        labels = np.concatenate([same, turn], axis=1)
    else:
        one = _counted(TABLE3 if plan == "table3" else plan, classes, nodes)
        labels = np.tile(one, (snapshots, 1))
    return rng.permuted(labels, axis=1).astype(np.int64)


def constant(condition: str, classes: tuple[str, ...], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Give all nodes one class.

    Raises:
        ConfigError: A class that was not learnt.
    """
    if condition not in classes:
        msg = f"No class is called '{condition}'."
        raise ConfigError(msg, where="condition", do=f"Learnt: {', '.join(classes)}.")
    return np.full(shape, classes.index(condition), np.int64)


def _counted(counts: dict[str, int], classes: tuple[str, ...], nodes: int) -> NDArray[np.int64]:
    known = {_plain(name): number for number, name in enumerate(classes)}
    if missing := sorted(
        name for name, many in counts.items() if many and _plain(name) not in known
    ):
        msg = f"The label plan has classes that were not learnt: {', '.join(missing)}."
        raise ConfigError(msg, where="label_plan", do=f"Learnt: {', '.join(classes)}.")
    total = sum(counts.values())
    if total != nodes:
        msg = f"The label plan is for {total} nodes, and snapshots have {nodes}."
        do = 'Use label_plan = "balanced", or counts that add up to the nodes.'
        raise ConfigError(msg, where="label_plan", do=do)
    return np.array([known[_plain(name)] for name, many in counts.items() for _ in range(many)])


def _plain(name: str) -> str:
    """Read both `Backdoor` and `Backdoors`, which occur in the same data."""
    return name.lower().removesuffix("s")
