"""Labeller `events`: intervals with the addresses that caused them.

A flow that overlaps an event and has one of its addresses as an endpoint (or is between its source
and its target, and of its port and protocol where it names them) is an attack of that event's
category; every other flow within the time that the file covers is benign. Unknown are flows
outside that time, flows during an event of which no address is known, and flows during any event
that have no addresses themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts import FlowTable, LabelTable
from netvigil_flowprep.labellers.config import EventsConfig
from netvigil_flowprep.labellers.event_files import Events, read_events
from netvigil_flowprep.labellers.summary import LabelSummary, Tally
from netvigil_flowprep.labellers.truth import (
    Truth,
    TruthIndex,
    flow_times,
    require_clock,
    without_endpoint,
)

_SCANNER = ("198.18.134.99", "00:24:9b:6d:b8:89")
WESTERMO_ATTACKERS: Mapping[str, Sequence[str]] = {
    "ssh": _SCANNER,
    "portscan*": _SCANNER,
    "mitm": ("198.18.134.14", "b8:27:eb:d1:b7:ef"),
}
"""The attackers of the Westermo data set, which its event file does not name (its documentation
does), and their network cards (some flows are of layer 2). Its misconfigurations have none."""


WESTERMO_OFFSET_S = -3600.0
"""The Westermo log gives local time (CET) as if it were UTC: shifted by this, its events cover all
6,237 attack flows of `flows_bottom`; unshifted, 39."""


class EventLabels:
    """Labels flows by events; see the module. A file that only lists events covers all time."""

    def __init__(self, config: EventsConfig) -> None:
        self.config = config
        events = read_events(config.truth)
        frame, self._event = _rows(events, config)
        self._truth = Truth.of(frame)
        tolerance_us = round(config.tolerance_s * 1e6)
        aimed = frame["aimed"].to_numpy()
        rows = np.arange(frame.height)
        self._attacks = TruthIndex(self._truth, rows=rows[aimed], tolerance_us=tolerance_us)
        self._doubtful = TruthIndex(self._truth, rows=rows[~aimed], tolerance_us=tolerance_us)
        self._times = self._truth.intervals(rows[aimed], tolerance_us=tolerance_us)
        self._covered_us = _shift(events, config)
        self._tally = Tally(events.frame.height)

    def label(self, flows: FlowTable, inline: pa.Table | None) -> LabelTable:
        """Label any batch of flows; `inline` is not used.

        Raises:
            SourceError: The flows have no clock.
        """
        del inline
        require_clock(flows, where=str(self.config.truth))
        row = self._attacks.find(flows)
        known = self._covers(flows)
        if self.config.without_address == "unknown":
            known &= self._doubtful.find(flows) < 0
        nowhere = np.flatnonzero(without_endpoint(flows))
        start, end = (time[nowhere] for time in flow_times(flows))
        known[nowhere] &= self._times.find(np.zeros(len(nowhere), np.uint64), start, end) < 0
        known |= row >= 0
        labels = self._truth.labels(flows, row, known)
        return self._tally.add(len(flows), labels, np.where(row >= 0, self._event[row], -1))

    def summary(self) -> LabelSummary:
        """Return counts over all calls; `require_matches` refuses events that met no flow."""
        return self._tally.summary()

    def require_matches(self) -> None:
        """Refuse truth that met none of the flows so far: a wrong file or a wrong clock."""
        self.summary().require_matches(where=str(self.config.truth))

    def _covers(self, flows: FlowTable) -> NDArray[np.bool_]:
        start, _ = flow_times(flows)
        if self._covered_us is None or self.config.outside == "benign":
            return np.ones(len(flows), np.bool_)
        first, last = self._covered_us
        return (start >= first) & (start <= last)


def _rows(events: Events, config: EventsConfig) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Return one truth row per event and address, and the event of each row.

    `aimed` is false for an event that names nobody although addresses are asked for.
    """
    frame = events.frame.with_row_index("event")
    offset_us = _offset_us(events, config)
    frame = frame.with_columns(pl.col("start_us", "end_us") + offset_us)
    nobody = pl.lit(None, dtype=pl.String)
    if config.match == "any":
        frame = frame.with_columns(
            any_ip=nobody, src_ip=nobody, dst_ip=nobody, aimed=pl.lit(value=True)
        ).drop("port", "protocol")
    else:
        listed = _addresses(events, config)
        pair = pl.col("source").is_not_null() | pl.col("target").is_not_null()
        frame = frame.with_columns(
            any_ip=pl.when(pair).then(None).otherwise(listed),
            src_ip=pl.col("source"),
            dst_ip=pl.col("target"),
            dst_port=pl.col("port"),
        ).explode("any_ip")
        named = pl.any_horizontal(pl.col("any_ip", "src_ip", "dst_ip").is_not_null())
        frame = frame.with_columns(aimed=named | (config.without_address == "any"))
    return frame.drop("addresses"), frame["event"].to_numpy().astype(np.int64)


def _addresses(events: Events, config: EventsConfig) -> pl.Series:
    """Return the addresses of each event: its own, else those of its category."""
    default = WESTERMO_ATTACKERS if events.dialect == "westermo" else {}
    given = default if config.attackers is None else config.attackers
    attackers = {re.sub(r"[^a-z0-9*?]+", "_", name.lower()): who for name, who in given.items()}
    own = events.frame["addresses"].to_list()
    names = events.frame["category"].to_list()
    found = [
        [*(addresses or _of_category(name, attackers))] or [None]
        for name, addresses in zip(names, own, strict=True)
    ]
    return pl.Series("addresses", found, dtype=pl.List(pl.String))


def _of_category(name: str, attackers: Mapping[str, Sequence[str]]) -> Sequence[str]:
    if name in attackers:
        return attackers[name]
    pattern = next((pattern for pattern in attackers if fnmatchcase(name, pattern)), None)
    return attackers[pattern] if pattern is not None else ()


def _shift(events: Events, config: EventsConfig) -> tuple[int, int] | None:
    if events.covered_us is None:
        return None
    offset_us, tolerance_us = _offset_us(events, config), round(config.tolerance_s * 1e6)
    first, last = events.covered_us
    return first + offset_us - tolerance_us, last + offset_us + tolerance_us


def _offset_us(events: Events, config: EventsConfig) -> int:
    default = WESTERMO_OFFSET_S if events.dialect == "westermo" else 0.0
    return round((default if config.offset_s is None else config.offset_s) * 1e6)
