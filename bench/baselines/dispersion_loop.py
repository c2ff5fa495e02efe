"""Traffic dispersion graphs as published: Algorithm 1 of arXiv 2402.17363, a loop over rows.

Each row names two addresses, a class and features; a dictionary numbers the addresses. Where the
published loop loses rows (the one that starts a new block, and the last block), this one keeps
them, so that its graphs can be compared with ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Node:
    """What a block knows of one address."""

    total: list[float]
    flows: int = 0
    classes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """One block of rows: links, mean features and labels, address by address."""

    links: list[list[int]]
    x: list[list[float]]
    label: list[str]


Row = tuple[str, str, str, Sequence[float]]


def graphs(rows: Iterable[Row], addresses: Sequence[str], *, block: int) -> list[Graph]:
    """Cut rows into blocks and make a graph of each."""
    number = {address: place for place, address in enumerate(addresses)}
    made: list[Graph] = []
    nodes: list[Node] = []
    links: list[list[int]] = []
    width = 0
    for count, (source, target, name, features) in enumerate(rows):
        if count % block == 0:
            if nodes:
                made.append(_graph(nodes, links))
            width = len(features)
            nodes = [Node([0.0] * width) for _ in addresses]
            links = [[0] * len(addresses) for _ in addresses]
        if source not in number or target not in number:
            continue
        src, dst = number[source], number[target]
        if src != dst:
            links[src][dst] = 1
        node = nodes[src]
        node.flows += 1
        for column in range(width):
            node.total[column] += features[column]
        node.classes[name] = node.classes.get(name, 0) + 1
    if nodes:
        made.append(_graph(nodes, links))
    return made


def _graph(nodes: list[Node], links: list[list[int]]) -> Graph:
    x, label = [], []
    for node in nodes:
        x.append([value / max(node.flows, 1) for value in node.total])
        attacks = {name: many for name, many in node.classes.items() if name != "normal"}
        # The commonest; of equally common ones the first in the alphabet.
        best = min(attacks, key=lambda name: (-attacks[name], name)) if attacks else "normal"
        label.append(best)
    return Graph(links, x, label)
