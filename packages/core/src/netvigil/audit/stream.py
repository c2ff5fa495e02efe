"""What an audit counts while flows stream past: duplicates, the clock, classes, and a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.addresses import flow_keys, mix
from netvigil.contracts import FlowTable, LabelTable
from netvigil.key_counts import KeyCounts
from netvigil.repeats import PROVENANCE, row_keys

UNKNOWN, BENIGN = -1, 0
COUNTERS = ("fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes")
ENDPOINTS = ("src_ip", "dst_ip", "src_port", "dst_port", "protocol")
MAX_KEYS = 1 << 24
"""Distinct rows that duplicates are looked for among: 16 bytes each, so about half a gigabyte at
the
peak. Beyond that the count stops and the audit says after how many flows."""
SLOT_US = 10_000_000
"""Classes are counted over time in slots of 10 s: a year of them is small, a bin of 13 minutes
many."""
GAPS = 64
MAX_CLASSES = 4094
"""Class numbers share 12 bits of a key; whoever has more classes sees the last ones merged."""


class Truth:
    """Labels prepared for many look-ups: class 0 is benign, -1 unknown, others attacks."""

    def __init__(self, labels: LabelTable) -> None:
        ids = labels.table["flow_id"].to_numpy()
        order = np.argsort(ids)
        column = labels.table["attack"].unify_dictionaries().combine_chunks()
        self.names = ["", *(str(name) for name in column.dictionary.to_pylist()), "attack"]
        unnamed = len(self.names) - 1
        number = column.indices.fill_null(unnamed - 1).to_numpy() + 1
        number = np.minimum(number, MAX_CLASSES)
        number = np.where(labels.table["is_attack"].to_numpy(), number, BENIGN)
        self._ids, self._class = ids[order], number[order].astype(np.int64)

    def classes(self, flow_id: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the class number of each flow, int64 [flows]."""
        if not len(self._ids):
            return np.full(len(flow_id), UNKNOWN, np.int64)
        row = np.minimum(np.searchsorted(self._ids, flow_id), len(self._ids) - 1)
        return np.where(self._ids[row] == flow_id, self._class[row], UNKNOWN)


class Duplicates:
    """Rows that occur before: equal in all but identity, and equal in endpoints and counters."""

    def __init__(self) -> None:
        self.flows = self.near_flows = 0
        self._rows, self._near = KeyCounts(), KeyCounts()

    def update(self, flows: FlowTable) -> None:
        """Count one batch, unless there are too many distinct rows already."""
        if len(self._rows.keys) < MAX_KEYS:
            self.flows += len(flows)
            self._rows.add(row_keys(flows.table, skip=PROVENANCE))
        if flows.has_addresses and len(self._near.keys) < MAX_KEYS:
            self.near_flows += len(flows)
            self._near.add(row_keys(flows.table.select([*ENDPOINTS, *COUNTERS])))

    @property
    def exact(self) -> int:
        """Flows that repeat an earlier one in everything but its identity."""
        return self.flows - len(self._rows.keys)

    @property
    def near(self) -> int:
        """Flows that repeat the endpoints, ports, protocol and counters of an earlier one."""
        return self.near_flows - len(self._near.keys)


class Clock:
    """First and last start, the largest gaps, whole seconds, rows that were out of order."""

    def __init__(self) -> None:
        self.flows = self.backwards = 0
        self.first: int | None = None
        self.last: int | None = None
        self.whole_seconds = True
        self._gaps: NDArray[np.int64] = np.empty((0, 2), np.int64)
        self._last_id: int | None = None

    def update(self, flows: FlowTable) -> None:
        """Look at one batch; batches come in time order."""
        if not len(flows):
            return
        self.flows += len(flows)
        ids = flows.flow_id
        if self._last_id is not None:
            ids = np.concatenate([[self._last_id], ids])
        self.backwards += int((ids[1:] < ids[:-1]).sum())
        self._last_id = int(ids[-1])
        start = flows.start_us
        self.whole_seconds &= not bool((start % 1_000_000).any())
        if self.last is not None:
            start = np.concatenate([[self.last], start])
        gap = np.diff(start)
        top = np.argsort(gap)[-GAPS:]
        self._gaps = np.concatenate([self._gaps, np.stack([gap[top], start[top]], axis=1)])
        self._gaps = self._gaps[np.argsort(-self._gaps[:, 0], kind="stable")[:GAPS]]
        self.first = int(start[0]) if self.first is None else self.first
        self.last = int(start[-1])

    def jumps(self) -> list[tuple[int, float]]:
        """Return (start in microseconds, seconds) of gaps over a minute and over 100 mean gaps.

        The longest comes first.
        A hundred mean gaps: if flows came at random, one of e^100 gaps would be that long.
        """
        if self.first is None or self.last is None or self.flows < 2:
            return []
        mean = (self.last - self.first) / (self.flows - 1)
        limit = max(60_000_000, 100 * mean)
        return [(int(at), float(gap) / 1e6) for gap, at in self._gaps if gap > limit]


class Classes:
    """Flows, sources and times of each class."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.has_sources = False
        self._sources, self._slots = KeyCounts(), KeyCounts()

    def update(self, flows: FlowTable, classes: NDArray[np.int64]) -> None:
        """Count one batch.

        Shapes:
            classes: int64 [flows], see `Truth.classes`
        """
        for number, count in zip(*np.unique(classes, return_counts=True), strict=True):
            self.counts[int(number)] = self.counts.get(int(number), 0) + int(count)
        if flows.has_addresses:
            self.has_sources = True
            # The low 12 bits carry the class, so that distinct sources can be counted by class.
            source = mix(flow_keys(flows.table["src_ip"])) & ~np.uint64(0xFFF)
            self._sources.add(source | (classes + 1).astype(np.uint64) & np.uint64(0xFFF))
        if flows.info.time_basis == "clock":
            slot = (flows.start_us // SLOT_US + (1 << 40)).astype(np.uint64)  # also before 1970
            self._slots.add((slot << np.uint64(12)) | (classes + 1).astype(np.uint64))

    def sources(self, number: int) -> int:
        """Return how many distinct sources a class has."""
        low = self._sources.keys & np.uint64(0xFFF)
        return int((low == number + 1).sum())

    def slots(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the time slots of a class and its flows in each, int64 [slots] each."""
        keys = self._slots.keys
        mine = (keys & np.uint64(0xFFF)) == number + 1
        slot = (keys[mine] >> np.uint64(12)).astype(np.int64) - (1 << 40)
        return slot, self._slots.counts[mine]


@dataclass
class Sample:
    """A seeded uniform sample of flows with known labels, in time order, whatever the batch size.

    Each flow's id is hashed with the seed; the flows of the smallest hashes stay.
    """

    size: int
    seed: int
    seen: int = 0

    def __post_init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._rank: list[NDArray[np.uint64]] = []
        self._class: list[NDArray[np.int64]] = []
        self._limit = np.uint64(2**64 - 1)

    def update(self, flows: FlowTable, classes: NDArray[np.int64]) -> None:
        """Offer one batch."""
        seed = mix(np.array([self.seed], np.uint64))[0]
        rank = mix(flows.flow_id.astype(np.uint64) ^ seed)
        keep = (classes != UNKNOWN) & (rank <= self._limit)
        self.seen += int((classes != UNKNOWN).sum())
        kept = [n for n in flows.table.column_names if n not in ("end", *PROVENANCE[1:])]
        self._tables.append(flows.take(keep).table.select(kept))
        self._rank.append(rank[keep])
        self._class.append(classes[keep])
        if sum(map(len, self._rank)) > 2 * self.size:
            self._prune()

    def result(self) -> tuple[pa.Table | None, NDArray[np.int64]]:
        """Return the sampled rows and their classes."""
        if not self._tables:
            return None, np.empty(0, np.int64)
        self._prune()
        return self._tables[0], self._class[0]

    def _prune(self) -> None:
        rank, classes = np.concatenate(self._rank), np.concatenate(self._class)
        table = pa.concat_tables(self._tables)
        if len(rank) > self.size:
            self._limit = np.partition(rank, self.size - 1)[self.size - 1]
            keep = rank <= self._limit
            rank, classes, table = rank[keep], classes[keep], table.filter(pa.array(keep))
        self._tables, self._rank, self._class = [table.combine_chunks()], [rank], [classes]
