"""Draw graphs: normal ones around each edge's base weight, anomalies of six kinds among them.

A normal weight is base x (1 + min(N, 1)), N standard normal, not below 0: it lies between 0 and
twice the base, and a sixth of all weights is exactly twice the base, another sixth is 0. That is
the notebook's rule. An edge that is quiet has weight 0 in every normal graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ConfigError, nearest

NORMAL = "normal"
DRIFT_TO = 4.0
"""A drift ends at so many times the usual weights: in its second half nearly every one is above
what is normal, in its first nearly none."""
SCANNED = 2.0  # bases that a scan adds to each edge of its node: half of them exceed any normal one

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class TrafficWeights:
    """Graphs of one network with their truth.

    Shapes:
        x: float64 [graphs, edges], weights, none negative
        y: bool [graphs], whether a graph is anomalous
        kind: str [graphs], `normal` or the anomaly's kind
        edges: int64 [edges, 2], the two nodes of each edge, the smaller first
        base: float64 [edges], what an edge's weights lie around
        quiet: bool [edges], edges that no normal graph has
    """

    x: Weights
    y: NDArray[np.bool_]
    kind: NDArray[np.str_]
    edges: NDArray[np.int64]
    nodes: int
    base: Weights
    quiet: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> TrafficWeights:
        """Return some of the graphs."""
        return TrafficWeights(
            self.x[rows],
            self.y[rows],
            self.kind[rows],
            self.edges,
            self.nodes,
            self.base,
            self.quiet,
        )

    def split(self, share: float, *, seed: int) -> tuple[TrafficWeights, TrafficWeights]:
        """Deal the graphs out at random: a share of them, and the rest, each in order."""
        dealt = np.random.default_rng(seed).permutation(len(self))
        cut = round(share * len(self))
        return self.take(np.sort(dealt[:cut])), self.take(np.sort(dealt[cut:]))

    def totals(self) -> Weights:
        """Return the sum of the weights at each node: the total data transfer, [graphs, nodes]."""
        at = np.zeros((len(self.edges), self.nodes))
        for end in self.edges.T:
            at[np.arange(len(self.edges)), end] = 1
        totals: Weights = self.x @ at
        return totals


def generate(
    graphs: int = 10_000,
    nodes: int = 3,
    *,
    seed: int,
    base: float = 20.0,
    multiplier: float = 5.0,
    rate: float = 0.05,
    kinds: Sequence[str] | Mapping[str, float] = ("burst",),
    spread: float = 1.0,
) -> TrafficWeights:
    """Draw graphs, each anomalous with probability `rate`.

    `kinds` are drawn alike, or by the weights that a mapping gives. `spread` is the ratio of the
    largest edge's base weight to the smallest one's; the bases lie evenly between on a logarithmic
    scale, in random order, and their geometric mean is `base`. With `new-edge` among the kinds one
    edge is quiet.

    Raises:
        ConfigError: An unknown kind, too few nodes or graphs, a rate outside 0 to 1, a spread below
            1, a base that is not positive.
    """
    mix = dict(kinds) if isinstance(kinds, Mapping) else dict.fromkeys(kinds, 1.0)
    _require(graphs, nodes, base, rate, spread, mix)
    rng = np.random.default_rng(seed)
    ends = np.stack(np.triu_indices(nodes, 1), axis=1).astype(np.int64)
    bases = _bases(len(ends), base, spread, rng)
    quiet = np.zeros(len(ends), np.bool_)
    quiet[rng.integers(len(ends))] = "new-edge" in mix
    world = _World(ends, nodes, bases, quiet, multiplier / base)
    x = _usual((graphs, len(ends)), bases, rng)
    x[:, quiet] = 0
    kind = _kinds(graphs, rate, mix, rng)
    for name in mix:  # in the caller's order, so that a seed means one thing
        rows = np.flatnonzero(kind == name)
        x[rows] = KINDS[name](x[rows], world, rng)
    return TrafficWeights(x, kind != NORMAL, kind, ends, nodes, bases, quiet)


@dataclass(frozen=True)
class _World:
    """What the kinds need to know of the network; `lift` is the multiplier in units of the base."""

    edges: NDArray[np.int64]
    nodes: int
    base: Weights
    quiet: NDArray[np.bool_]
    lift: float

    def bursting(self, shape: tuple[int, int], rng: np.random.Generator) -> Weights:
        """Draw burst weights: 3 bases and 3 to 4 times the multiplier above."""
        return self.base * (3 + self.lift * rng.uniform(3, 4, shape))

    def of_nodes(self, graphs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw a node for each graph and return which edges are its own, [graphs, edges]."""
        node = rng.integers(self.nodes, size=graphs)
        touched: NDArray[np.bool_] = (self.edges[None] == node[:, None, None]).any(axis=2)
        return touched


def _burst(x: Weights, world: _World, rng: np.random.Generator) -> Weights:
    """Every edge carries far more than it ever does: the notebook's only kind."""
    made = world.bursting((len(x), x.shape[1]), rng)
    made[:, world.quiet] = 0
    return made


def _burst_edge(x: Weights, world: _World, rng: np.random.Generator) -> Weights:
    """One edge that is in use carries far more than it ever does."""
    chosen = rng.choice(np.flatnonzero(~world.quiet), size=len(x))
    rows = np.arange(len(x))
    made = x.copy()
    made[rows, chosen] = world.bursting((len(x), x.shape[1]), rng)[rows, chosen]
    return made


def _new_edge(x: Weights, world: _World, rng: np.random.Generator) -> Weights:
    """The quiet edge carries what would be usual elsewhere: from half its base to twice."""
    made = x.copy()
    many = (len(x), int(world.quiet.sum()))
    made[:, world.quiet] = world.base[world.quiet] * rng.uniform(0.5, 2, many)
    return made


def _silent_node(x: Weights, world: _World, rng: np.random.Generator) -> Weights:
    """One node exchanges nothing with anybody."""
    return np.where(world.of_nodes(len(x), rng), 0.0, x)


def _drift(x: Weights, world: _World, rng: np.random.Generator) -> Weights:
    """Consecutive graphs, each a little above the one before; the caller keeps them together."""
    del world, rng
    return x * np.linspace(1, DRIFT_TO, len(x) + 1)[1:, None]


def _scan(x: Weights, world: _World, rng: np.random.Generator) -> Weights:
    """One node reaches out to every other one, over quiet edges too, on top of what is usual."""
    return x + np.where(world.of_nodes(len(x), rng), SCANNED * world.base, 0.0)


KINDS: Mapping[str, Callable[[Weights, _World, np.random.Generator], Weights]] = {
    "burst": _burst,
    "burst-edge": _burst_edge,
    "new-edge": _new_edge,
    "silent-node": _silent_node,
    "drift": _drift,
    "scan": _scan,
}
"""Kind of anomaly -> what it makes of normal graphs."""


def _usual(shape: tuple[int, int], base: Weights, rng: np.random.Generator) -> Weights:
    drawn: Weights = np.clip(base * (1 + np.minimum(rng.standard_normal(shape), 1)), 0, None)
    return drawn


def _bases(edges: int, base: float, spread: float, rng: np.random.Generator) -> Weights:
    exponents = np.linspace(-0.5, 0.5, edges) if edges > 1 else np.zeros(1)
    made: Weights = base * spread ** rng.permutation(exponents)
    return made


def _kinds(
    graphs: int, rate: float, mix: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.str_]:
    """Draw what each graph is; graphs that drift are then brought together."""
    names = np.array([NORMAL, *mix])
    weights = np.array(list(mix.values()), np.float64)
    shares = [1 - rate, *(rate * weights / weights.sum())]
    kind = rng.choice(names, size=graphs, p=shares)
    drifting = np.flatnonzero(kind == "drift")
    if len(drifting):
        first = int(rng.integers(graphs - len(drifting) + 1))
        block = np.arange(first, first + len(drifting))
        pushed_out, freed = np.setdiff1d(block, drifting), np.setdiff1d(drifting, block)
        kind[freed] = kind[pushed_out]
        kind[block] = "drift"
    return kind


def _require(
    graphs: int, nodes: int, base: float, rate: float, spread: float, mix: Mapping[str, float]
) -> None:
    for name in mix:
        if name not in KINDS:
            msg = f"There is no kind of anomaly '{name}'."
            raise ConfigError(msg, do=nearest(name, KINDS) or f"There are: {', '.join(KINDS)}.")
    wrong = {
        "kinds: none, or of no weight": not mix or min(mix.values()) < 0 or not any(mix.values()),
        f"graphs = {graphs}: fewer than 1": graphs < 1,
        f"nodes = {nodes}: fewer than 2": nodes < 2,
        f"rate = {rate:g}: not from 0 to 1": not 0 <= rate <= 1,
        f"base = {base:g}: not above 0": not base > 0,
        f"spread = {spread:g}: below 1": not spread >= 1,
        "new-edge needs 3 nodes: its edge is quiet": "new-edge" in mix and nodes < 3,
    }
    for what, found in wrong.items():
        if found:
            msg = "Such graphs cannot be drawn."
            raise ConfigError(msg, where=what, do="Change that setting.")
