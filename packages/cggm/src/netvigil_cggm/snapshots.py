"""Traffic dispersion graphs: each window of flows as one small graph over fixed addresses.

Node features are means of flow features, so that a flow no longer stands in them; this is what
graph generators and node classifiers learn from. Everything is flat arrays, built run by run of
windows. It knows nothing of networks, and reads labels because generators and node classifiers are
supervised.

The paper's Algorithm 1 (arXiv 2402.17363) with its gaps filled: flows at the end of a block and in
the last, shorter block are kept; a flow of an attack counts for its source; links are binary and
directed, and a host's flow to itself counts in its features but is no link.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.ahead import pooled
from netvigil.classes import UNNAMED, class_codes
from netvigil.contracts import LabelTable, WindowGraphs, WindowStream, require_reiterable
from netvigil.errors import ContractError
from netvigil.grouped import group_means
from netvigil.key_counts import KeyCounts

NORMAL = "normal"
Ends = Literal["source", "both"]
Rule = Literal["majority-attack", "any-touch", "majority"]
BLOCK = 65_536  # flows of the windows that are looked at together
THREADS = 2  # runs of windows looked at beside each other
EACH = ("x", "links", "label", "active", "flows", "window")  # what has a row per snapshot


@dataclass(frozen=True)
class Snapshots:
    """Graphs of consecutive windows over the same addresses.

    Shapes:
        keys: uint64 [nodes], increasing, see `netvigil.addresses`
        x: float32 [snapshots, nodes, features], the mean of a node's flows, 0 where it has none
        links: bool [snapshots, nodes, nodes], from source (row) to destination, diagonal false
        label: int64 [snapshots, nodes], rows of `classes`, of which the first is "normal"
        active: bool [snapshots, nodes], whether any flow touched the node
        flows: int64 [snapshots, nodes], how many flows are in the node's features
        window: int64 [snapshots], the `window_start` of the windows

    Raises:
        ContractError: Shapes that disagree, one node alone, a label without a class, a feature that
            is not finite, an inactive node with features or an attack, a link to itself.
    """

    keys: NDArray[np.uint64]
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    x: NDArray[np.float32]
    links: NDArray[np.bool_]
    label: NDArray[np.int64]
    active: NDArray[np.bool_]
    flows: NDArray[np.int64]
    window: NDArray[np.int64]

    def __post_init__(self) -> None:
        many, nodes = len(self.window), len(self.keys)
        wanted = {
            "x": (many, nodes, len(self.feature_names)),
            "links": (many, nodes, nodes),
            "label": (many, nodes),
            "active": (many, nodes),
            "flows": (many, nodes),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                msg = f"Snapshots.{name} has the shape {getattr(self, name).shape}, not {shape}."
                raise ContractError(msg)
        if nodes < 2:
            msg = f"Snapshots over {nodes} address(es) have no links to learn from."
            raise ContractError(msg, do="Take at least two addresses that exchange flows.")
        self._check_values()

    def _check_values(self) -> None:
        if self.classes[:1] != (NORMAL,) or len(set(self.classes)) != len(self.classes):
            msg = "The classes of snapshots are distinct, the first is 'normal'."
            raise ContractError(msg, where=", ".join(self.classes))
        if self.label.size and not 0 <= self.label.min() <= self.label.max() < len(self.classes):
            msg = f"A node's label is none of the {len(self.classes)} classes."
            raise ContractError(msg)
        if not np.isfinite(self.x).all():
            msg = "Node features hold NaN or infinity."
            raise ContractError(msg)
        idle = ~self.active
        if self.x[idle].any() or self.label[idle].any():
            msg = "A node that no flow touches has features or is labelled an attack."
            raise ContractError(msg)
        if self.links.diagonal(axis1=1, axis2=2).any():
            msg = "A node has a link to itself."
            raise ContractError(msg)

    def __len__(self) -> int:
        """Return the number of snapshots."""
        return len(self.window)

    @property
    def nodes(self) -> int:
        """Number of addresses."""
        return len(self.keys)

    def __getitem__(self, part: slice) -> Snapshots:
        """Return a run of snapshots; the arrays are views."""
        return replace(self, **{name: getattr(self, name)[part] for name in EACH})

    def edges(self) -> NDArray[np.int64]:
        """Return how many links each snapshot has, int64 [snapshots]."""
        return np.asarray(self.links.sum(axis=(1, 2)), np.int64)

    def density(self) -> NDArray[np.float64]:
        """Return the share of possible links that are there, [snapshots]."""
        return self.edges() / (self.nodes * (self.nodes - 1))

    def balance(self) -> NDArray[np.int64]:
        """Return the nodes of each class, int64 [classes]."""
        return np.bincount(self.label.ravel(), minlength=len(self.classes))


class Classes(NamedTuple):
    """The class of each flow as a row of `names`.

    Shapes:
        code: int32 [flows]
    """

    code: NDArray[np.int32]
    names: tuple[str, ...]


def most_active(windows: WindowGraphs | WindowStream, nodes: int) -> NDArray[np.uint64]:
    """Return the keys of the addresses that most flows begin or end at, increasing, uint64 [nodes].

    Learn them on the train range. Fewer come back where there are fewer; the key 0, "unknown host",
    is no address.

    Raises:
        ContractError: Windows without hosts, or fewer than two addresses.
    """
    counted = KeyCounts()
    for graphs in [windows] if isinstance(windows, WindowGraphs) else windows:
        _require_hosts(graphs)
        src, dst = graphs.node_rows()
        touched = np.zeros(len(graphs.node_key), np.int64)
        # A host's flow to itself touches it once.
        loops = src[np.flatnonzero(graphs.flow_src == graphs.flow_dst)]
        for rows, sign in ((src, 1), (dst, 1), (loops, -1)):
            touched += sign * np.bincount(rows, minlength=len(touched))
        counted.add(graphs.node_key, touched)
    known = (counted.keys != 0) & (counted.counts > 0)
    keys, count = counted.keys[known], counted.counts[known]
    # Equal counts are decided by the key, so that the order of flows never matters.
    found = np.sort(keys[np.lexsort((keys, -count))[:nodes]])
    if len(found) < 2:
        msg = f"Flows touch {len(found)} known address(es), and at most {nodes} are wanted."
        raise ContractError(msg, do="Take a source with addresses, and nodes = 2 or more.")
    return found


def flow_classes(labels: LabelTable, flow_id: NDArray[np.int64]) -> Classes:
    """Return the class of each flow; attacks are named in alphabetical order after "normal".

    Raises:
        ContractError: Flows without a label.
    """
    if not len(labels):
        msg = "There are no labels, and snapshots need the class of each flow."
        raise ContractError(msg, do="Name a labeller, or a source that carries labels.")
    kinds = labels.table["attack"].unify_dictionaries().combine_chunks().dictionary.to_pylist()
    names = (NORMAL, *sorted({*kinds, UNNAMED}))
    truth = class_codes(labels, flow_id, names)
    if missing := int((truth < 0).sum()):
        msg = f"{missing:,} of {len(flow_id):,} flows have no label."
        raise ContractError(msg, do="Leave unlabelled flows out before snapshots are taken.")
    used = np.bincount(truth, minlength=len(names)) > 0
    used[0] = True
    code = (np.cumsum(used, dtype=np.int32) - 1).take(truth)
    return Classes(code, tuple(name for name, there in zip(names, used, strict=True) if there))


def take_snapshots(
    graphs: WindowGraphs,
    labels: LabelTable,
    keys: NDArray[np.uint64],
    *,
    ends: Ends = "source",
    rule: Rule = "majority-attack",
    weight: NDArray[np.float64] | None = None,
    classes: tuple[str, ...] | None = None,
) -> Snapshots:
    """Turn each window into one snapshot over the addresses `keys`.

    A flow counts where both its ends are among them. `ends` says whose features it is in; `rule`
    how a node gets its label: the commonest attack among flows that it sends, else normal; the same
    among flows that touch it; or the commonest class, normal among them. `classes` fixes their
    order, for data that lacks some.

    Shapes:
        keys: uint64 [nodes], increasing, see `most_active`
        weight: float64 [flows], such as bytes, or None for a plain mean; nodes whose flows weigh
            nothing together get their plain mean

    Raises:
        ContractError: Windows without hosts, flows without labels, an address dictionary that
            covers no flow, a class that `classes` lacks, weights that are negative or not finite.
    """
    _require_hosts(graphs)
    names, code = _ordered(flow_classes(labels, graphs.flow_id), classes)
    weight = _checked(weight, graphs)
    shape = (len(graphs), len(keys))
    x = np.empty((*shape, graphs.flow_x.shape[1]), np.float32)
    links = np.empty((*shape, len(keys)), np.bool_)
    active, label = np.empty(shape, np.bool_), np.empty(shape, np.int64)
    flows = np.empty(shape, np.int64)

    def fill(run: _Run) -> None:
        (at, here), window = run, graphs[run.windows]
        cells = _cells(window, keys)
        own = None if weight is None else weight[here]
        x[at], flows[at] = _features(window, cells, own, ends, len(keys))
        links[at], active[at] = _links(cells, len(window), len(keys))
        label[at] = _labels(cells, code[here], len(names), (len(window), len(keys)), rule)

    # Each run fills rows of its own; NumPy and SciPy leave Python's lock alone.
    threads = THREADS if len(graphs.flow_id) > BLOCK else 0
    list(pooled(fill, _runs(graphs), threads=threads))
    if not flows.any():
        msg = f"No flow has both ends among the {len(keys)} addresses of the dictionary."
        raise ContractError(msg, do="Learn the dictionary from the train range of the same source.")
    return Snapshots(
        keys=keys,
        classes=names,
        feature_names=graphs.feature_names,
        x=x,
        links=links,
        label=label,
        active=active,
        flows=flows,
        window=graphs.window_start,
    )


def chronological(snapshots: Snapshots, share: float) -> tuple[Snapshots, Snapshots]:
    """Cut into the earlier `share` and the rest; at least one snapshot each.

    Raises:
        ContractError: One snapshot alone: its window holds all flows of the source.
    """
    if len(snapshots) < 2:
        msg = "One snapshot cannot be cut into an earlier and a later part."
        do = "Take shorter windows: fewer flows in each than the source has."
        raise ContractError(msg, where=f"{len(snapshots)} snapshot(s)", do=do)
    cut = min(max(round(share * len(snapshots)), 1), len(snapshots) - 1)
    return snapshots[:cut], snapshots[cut:]


def snapshots_of(
    windows: WindowStream, labels: LabelTable, nodes: int, *, ends: Ends, rule: Rule
) -> Snapshots:
    """Take snapshots of a whole train range, the addresses and classes of which are learnt first.

    Raises:
        ContractError: As `most_active` and `take_snapshots` do.
    """
    keys = most_active(require_reiterable(windows), nodes)
    names = {name for graphs in windows for name in flow_classes(labels, graphs.flow_id).names}
    classes = (NORMAL, *sorted(names - {NORMAL}))
    parts = [
        take_snapshots(graphs, labels, keys, ends=ends, rule=rule, classes=classes)
        for graphs in windows
        if len(graphs)
    ]
    return joined(parts)


def joined(parts: Sequence[Snapshots]) -> Snapshots:
    """Put snapshots over the same addresses and classes one after the other."""
    whole: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in EACH
    }
    return replace(parts[0], **whole)


class _Cells(NamedTuple):
    """Where the ends of flows stand in a (snapshot, address) grid.

    Both are -1 where either end is outside the dictionary.

    Shapes:
        src, dst: int32 [flows]
    """

    src: NDArray[np.int32]
    dst: NDArray[np.int32]


def _cells(graphs: WindowGraphs, keys: NDArray[np.uint64]) -> _Cells:
    """Look each node's key up once; flows then only index."""
    place = np.minimum(np.searchsorted(keys, graphs.node_key), len(keys) - 1)
    base = np.repeat(np.arange(len(graphs)) * len(keys), np.diff(graphs.node_ptr))
    cell = np.where(keys[place] == graphs.node_key, base + place, -1).astype(np.int32)
    src, dst = (cell.take(rows) for rows in graphs.node_rows())
    outside = (src | dst) >> 31  # all bits where either is negative, else none
    return _Cells(src | outside, dst | outside)


class _Run(NamedTuple):
    """Consecutive windows and their flows."""

    windows: slice
    flows: slice


def _runs(graphs: WindowGraphs) -> Iterator[_Run]:
    """Cut into runs of whole windows of about `BLOCK` flows, which the cache holds."""
    pointer, first = graphs.flow_ptr, 0
    while first < len(graphs):
        last = int(np.searchsorted(pointer, pointer[first] + BLOCK, side="right")) - 1
        last = max(last, first + 1)
        yield _Run(slice(first, last), slice(int(pointer[first]), int(pointer[last])))
        first = last


def _features(
    graphs: WindowGraphs,
    cells: _Cells,
    weight: NDArray[np.float64] | None,
    ends: Ends,
    nodes: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the weighted mean of each cell's flows, and how many they are."""
    sides = [cells.src]
    if ends == "both":
        # A host's flow to itself is one flow of it, not two.
        sides.append(np.where(cells.src != cells.dst, cells.dst, np.int32(-1)))
    shape = (len(graphs), nodes)
    means = group_means(sides, math.prod(shape), graphs.flow_x, weight)
    return means.x.reshape(*shape, -1), means.rows.reshape(shape)


def _links(cells: _Cells, many: int, nodes: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return who sends to whom, and which nodes a flow touches."""
    # A source's row times nodes, plus the destination's own number; the last is for outside.
    row = np.arange(many * nodes)
    begin = np.append(row * nodes - row // nodes * nodes, many * nodes**2 + 1)
    flat = np.zeros(many * nodes**2 + 1, np.bool_)
    flat[begin.take(cells.src, mode="wrap") + cells.dst] = True
    links: NDArray[np.bool_] = flat[:-1].reshape(many, nodes, nodes)
    active = np.logical_or(links.any(axis=1), links.any(axis=2))
    links[:, np.arange(nodes), np.arange(nodes)] = False
    return links, active


def _labels(
    cells: _Cells, code: NDArray[np.int32], classes: int, shape: tuple[int, int], rule: Rule
) -> NDArray[np.int64]:
    """Return the label of each cell; equal counts go to the class that comes first."""
    if classes == 1:
        return np.zeros(shape, np.int64)
    # Only "majority" asks how many normal flows there are.
    inside = cells.src >= 0
    wanted = np.flatnonzero(inside if rule == "majority" else inside & (code > 0))
    src, dst, code = cells.src[wanted], cells.dst[wanted], code[wanted]
    if rule == "any-touch":
        other = src != dst
        src, code = np.concatenate([src, dst[other]]), np.concatenate([code, code[other]])
    pair = src.astype(np.int64) * classes + code
    counts = np.bincount(pair, minlength=math.prod(shape) * classes).reshape(*shape, classes)
    if rule == "majority":
        return np.asarray(counts.argmax(-1), np.int64)
    attacks = counts[..., 1:]
    return np.where(attacks.any(-1), attacks.argmax(-1) + 1, 0)


def _ordered(
    found: Classes, classes: tuple[str, ...] | None
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Number classes as somebody else did."""
    if classes is None:
        return found.names, found.code
    if missing := [name for name in found.names if name not in classes]:
        msg = f"These flows have classes that were not known before: {', '.join(missing)}."
        raise ContractError(msg, where=f"Known: {', '.join(classes)}.")
    place = np.array([classes.index(name) for name in found.names], np.int32)
    return classes, place[found.code]


def _checked(
    weight: NDArray[np.float64] | None, graphs: WindowGraphs
) -> NDArray[np.float64] | None:
    if weight is None:
        return None
    if weight.shape != graphs.flow_id.shape or not np.isfinite(weight).all() or weight.min() < 0:
        msg = f"Weights are {len(graphs.flow_id):,} finite numbers of 0 or more, one for each flow."
        raise ContractError(msg)
    return weight


def _require_hosts(graphs: WindowGraphs) -> None:
    if not graphs.has_nodes:
        msg = f"Snapshots need windows of flows between hosts, not '{graphs.schema}'."
        raise ContractError(msg, do='Use [graph] builder = "flow-host".')
