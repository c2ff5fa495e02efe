"""`occlusion`: which flows around a flow raise its score: leave some out and score it again.

For methods that look at windows with hosts. A flow's neighbours are the flows of its window that
share a host with it. Left out, one group at a time, are all those of either of its hosts, those of
each pair of hosts (the largest pairs), and single flows (of the pairs that matter most); the fall
of the score is the group's amount. Groups overlap: their amounts do not add up to anything. The
flow itself always stays, and in the copies of the window the others do not appear at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import Contribution, Explanation, Faithfulness, WindowGraphs
from netvigil.contracts.explanations import Kind
from netvigil.errors import IncompatiblePartsError
from netvigil.explaining import faithful
from netvigil.explaining.config import OcclusionConfig
from netvigil.explaining.copies import each_flow, scores_without
from netvigil.protocols import Scoring

Rows = NDArray[np.int64]
KINDS: tuple[Kind, ...] = ("pair", "host", "flow")
"""The most telling first."""


@dataclass(frozen=True)
class Group:
    """Flows that are left out together."""

    kind: Kind
    rows: Rows


class Occlusion:
    """Leaves neighbours out; see the module."""

    def __init__(self, config: OcclusionConfig) -> None:
        self.config = config

    def check(self, scoring: Scoring, windows: WindowGraphs) -> None:
        """Refuse windows without hosts, in which no flow has a neighbour."""
        del scoring
        if not windows.has_nodes:
            msg = "These windows have no hosts, so no flow has neighbours."
            do = "Use --explainer permutation, or a graph method."
            raise IncompatiblePartsError(msg, do=do)

    def explain(
        self, scoring: Scoring, windows: WindowGraphs, rows: NDArray[np.int64]
    ) -> list[Explanation]:
        """Say what each of these flows owes to the flows around it."""
        self.check(scoring, windows)
        found = []
        for window, row, first in each_flow(windows, rows):
            found.append(self._explain(scoring, window, row, first))
            scoring.advance(1)
        return found

    def _explain(self, scoring: Scoring, window: WindowGraphs, row: int, first: int) -> Explanation:
        near = neighbours(window, row)
        if not len(near):
            return Explanation((), remarks=("no other flow of its window shares a host with it",))
        room = max(self.config.budget // len(window.flow_id), 8)
        all_pairs = pairs(window, near)
        shown = all_pairs[: min(self.config.pairs, room // 4)]
        groups = [*hosts(window, row, near), *shown]
        fall = _falls(scoring, window, row, groups)
        ranked = sorted(zip(groups, fall, strict=True), key=lambda each: -each[1])
        leading = [group.rows for group, _ in ranked if group.kind == "pair"]
        singles = [
            Group("flow", np.array([other]))
            for other in _nearest(leading, row)[: min(self.config.flows, room // 4)]
        ]
        amounts = [*fall, *_falls(scoring, window, row, singles)]
        listed = _distinct([*groups, *singles], amounts)
        check, said = self._faithful(
            scoring, window, row, listed, near, draws=min(faithful.DRAWS, room // 4)
        )
        return Explanation(
            tuple(Contribution(g.kind, amount, rows=g.rows + first) for g, amount in listed),
            check,
            (*_remarks(near, all_pairs, shown), *said),
        )

    def _faithful(
        self,
        scoring: Scoring,
        window: WindowGraphs,
        row: int,
        listed: list[tuple[Group, float]],
        near: Rows,
        *,
        draws: int,
    ) -> tuple[Faithfulness | None, tuple[str, ...]]:
        """Leave the leading groups out together, and as many neighbours drawn at random.

        Where the named are most of the neighbours, a random choice would be of the same flows, so
        it is out of the whole window; where they are most of that too, there is nothing to compare
        with, which a remark says.
        """
        others = np.delete(np.arange(len(window.flow_id)), row)
        named = _named(listed, together=len(near) // 2, alone=len(others) // 2)
        if named is None:
            return None, ()
        pool, words = near, "its neighbours"
        if 2 * len(named) > len(near):
            pool, words = others, "the flows of its window"
        if 2 * len(named) > len(pool):
            said = "no check: most of the window was named, so a random choice would be the same"
            return None, (said,)
        rng = faithful.generator(scoring, int(window.flow_id[row]))
        drawn = [rng.choice(pool, len(named), replace=False) for _ in range(draws)]
        fall = _falls(scoring, window, row, [Group("flow", rows) for rows in [named, *drawn]])
        mean = float(np.mean(fall[1:]))
        return Faithfulness(fall[0], mean, things=len(named), draws=draws, pool=words), ()


def _named(listed: list[tuple[Group, float]], *, together: int, alone: int) -> Rows | None:
    """Return the flows of the leading groups that raise the score; None where nothing does.

    Groups of more than `alone` flows are passed over where there are others, and several are taken
    while they have no more than `together`. Single flows count only where no group raises it.
    """
    raising = [group for group, amount in listed if amount > 0]
    groups = [group.rows for group in raising if group.kind != "flow"]
    groups = groups or [group.rows for group in raising]
    leading = [rows for rows in groups if len(rows) <= alone][: faithful.NAMED] or groups[:1]
    if not leading:
        return None
    named = leading[0]
    for rows in leading[1:]:
        both = np.union1d(named, rows)
        named = both if len(both) <= together else named
    return named


def neighbours(window: WindowGraphs, row: int) -> Rows:
    """Return the other flows of a window that share a host with one, rising."""
    ends = (window.flow_src[row], window.flow_dst[row])
    near = np.isin(window.flow_src, ends) | np.isin(window.flow_dst, ends)
    near[row] = False
    return np.flatnonzero(near)


def pairs(window: WindowGraphs, near: Rows) -> list[Group]:
    """Return the neighbours by pair of hosts, both directions together, the largest first."""
    low = np.minimum(window.flow_src[near], window.flow_dst[near]).astype(np.int64)
    high = np.maximum(window.flow_src[near], window.flow_dst[near])
    _, place, count = np.unique(
        low * len(window.node_key) + high, return_inverse=True, return_counts=True
    )
    ranked = np.argsort(-count, kind="stable")
    return [Group("pair", near[place == pair]) for pair in ranked]


def hosts(window: WindowGraphs, row: int, near: Rows) -> list[Group]:
    """Return all other flows of the source, and all of the destination."""
    ends = dict.fromkeys((int(window.flow_src[row]), int(window.flow_dst[row])))
    found = []
    for host in ends:
        touches = (window.flow_src[near] == host) | (window.flow_dst[near] == host)
        if touches.any():
            found.append(Group("host", near[touches]))
    return found


def _falls(scoring: Scoring, window: WindowGraphs, row: int, groups: list[Group]) -> list[float]:
    """Return how far the score of a flow falls without each group."""
    none = np.empty(0, np.int64)
    found = scores_without(scoring, window, [none, *(group.rows for group in groups)])
    return [float(found[0][row] - score[row]) for score in found[1:]]


def _nearest(leading: list[Rows], row: int) -> list[int]:
    """Return single flows, those of the pairs that matter most first, of each the nearest in time.

    Rows of a window are in the order of time.
    """
    return [k for rows in leading for k in sorted(rows.tolist(), key=lambda k: (abs(k - row), k))]


def _distinct(groups: list[Group], amounts: list[float]) -> list[tuple[Group, float]]:
    """Return each set of flows once, by amount; of equal sets the most telling kind stays."""
    told: dict[bytes, tuple[Group, float]] = {}
    for group, amount in sorted(
        zip(groups, amounts, strict=True), key=lambda each: KINDS.index(each[0].kind)
    ):
        told.setdefault(group.rows.tobytes(), (group, amount))
    return sorted(told.values(), key=lambda each: -each[1])


def _remarks(near: Rows, all_pairs: list[Group], shown: list[Group]) -> tuple[str, ...]:
    left = all_pairs[len(shown) :]
    if not left:
        return ()
    flows = sum(len(group.rows) for group in left)
    return (
        f"{len(left):,} smaller pairs of hosts ({flows:,} of {len(near):,} neighbours) were not "
        "left out one by one",
    )
