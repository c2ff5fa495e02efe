"""Consecutive pieces of one conversation become one flow.

Exporters cut long conversations at their timeouts, and some at every direction. Pieces with the
same two endpoints and protocol, in either direction, whose gap is below a timeout belong together;
the first piece gives the flow its direction and its identity. `merge_rules` says how each column
merges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from netvigil.addresses import combine, flow_keys
from netvigil.contracts import FlowTable, JoinedFlows
from netvigil.errors import ConfigError
from netvigil.parts import PartConfig
from netvigil_flowprep.merging import merge
from netvigil_flowprep.so_far import largest_so_far

_NO_PORT = 1 << 16  # no port is no number of a port


class TimeoutConfig(PartConfig):
    """Settings of the joiner `timeout`."""

    timeout_s: float = Field(
        120.0,  # NFStream's idle timeout: what it would not have cut
        ge=0,
        description="gap in seconds below which pieces belong together; 0 joins nothing",
    )


class Timeout:
    """Joins pieces whose gap is below a timeout; see the module."""

    def __init__(self, config: TimeoutConfig) -> None:
        self.config = config

    def join(self, batches: Iterable[FlowTable]) -> Iterator[JoinedFlows]:
        """Join a stream of batches in start order; see `join_batches`."""
        return join_batches(batches, timeout_s=self.config.timeout_s)


def join(flows: FlowTable, *, timeout_s: float) -> JoinedFlows:
    """Join pieces whose gap is below `timeout_s`; 0 joins nothing.

    Flows without an address on either side stay alone. A unidirectional source becomes
    bidirectional: its reversed pieces give the backward counters.

    Raises:
        ConfigError: A negative timeout.
        ContractError: The flows have no clock.
    """
    if timeout_s < 0:
        msg = f"A timeout of {timeout_s:g} s is negative."
        raise ConfigError(msg, do="Give the largest gap within a conversation, in seconds.")
    if timeout_s == 0 or not len(flows):
        return JoinedFlows(flows, flows.flow_id, flows.flow_id)
    groups = _Groups.of(flows, round(timeout_s * 1e6))
    info = replace(
        flows.info, direction="bi" if flows.info.direction == "uni" else flows.info.direction
    )
    table = merge(flows.table, of_piece=groups.of_piece, first=groups.first, reverse=groups.reverse)
    return JoinedFlows(FlowTable(table, info), flows.flow_id, flows.flow_id[groups.first_of_piece])


def join_batches(batches: Iterable[FlowTable], *, timeout_s: float) -> Iterator[JoinedFlows]:
    """Join a stream of batches in start order, holding back only conversations that may go on.

    Each result is in start order, but a long conversation comes out when it ends, so the results
    together are not: write them with `FlowStore.write`, which sorts.
    """
    held: FlowTable | None = None
    for batch in batches:
        if not len(batch):
            continue
        whole = batch if held is None else _stack(held, batch)
        if timeout_s == 0:
            yield join(batch, timeout_s=0)
            continue
        groups = _Groups.of(whole, round(timeout_s * 1e6))
        goes_on = groups.last_end + round(timeout_s * 1e6) > whole.start_us[-1]
        waits = goes_on[groups.of_piece]
        held = whole.take(waits)
        if not waits.all():
            yield join(whole.take(~waits), timeout_s=timeout_s)
    if held is not None and len(held):
        yield join(held, timeout_s=timeout_s)


def _stack(held: FlowTable, batch: FlowTable) -> FlowTable:
    return FlowTable.trusted(pa.concat_tables([held.table, batch.table]), batch.info)


@dataclass(frozen=True)
class _Groups:
    """Which pieces belong together.

    Shapes:
        of_piece, first_of_piece: int64 [pieces]: number of the flow, and row of its first piece
        first: int64 [flows], rows of first pieces, increasing; last_end: int64 [flows]
        reverse: bool [pieces], whether a piece runs against its flow's direction
    """

    of_piece: NDArray[np.int64]
    first_of_piece: NDArray[np.int64]
    first: NDArray[np.int64]
    last_end: NDArray[np.int64]
    reverse: NDArray[np.bool_]

    @staticmethod
    def of(flows: FlowTable, timeout_us: int) -> _Groups:
        source, target, alone = _endpoints(flows)
        key = combine(np.minimum(source, target), np.maximum(source, target), _protocol(flows))
        order = _by_key(key)
        ordered = key[order]
        changed = np.append(True, ordered[1:] != ordered[:-1])
        start, end = flows.start_us[order], flows.end_us[order]
        latest = largest_so_far(np.cumsum(changed), end)
        # Pieces that overlap have no gap at all.
        gap = np.maximum(start - np.append(0, latest[:-1]), 0)
        begins = changed | (gap >= timeout_us) | alone[order]
        # A flow starts with its first piece, so numbering by first pieces keeps start order.
        run = np.cumsum(begins) - 1
        first_of_run = order[begins]
        first_of_piece = np.empty(len(order), np.int64)
        first_of_piece[order] = first_of_run[run]
        is_first = np.zeros(len(order), np.bool_)
        is_first[first_of_run] = True
        first = np.flatnonzero(is_first)
        of_piece = (np.cumsum(is_first) - 1)[first_of_piece]
        last_end = np.empty(len(first), np.int64)
        last_end[of_piece[first_of_run]] = np.maximum.reduceat(end, np.flatnonzero(begins))
        reverse = source != source[first_of_piece]
        return _Groups(of_piece, first_of_piece, first, last_end, reverse)


def _by_key(key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return rows key by key, in their own order within a key; keys come as they first occur.

    Numbered keys leave room for the row in the same 64 bits, and plain numbers sort fastest.
    """
    number = pa.array(key).dictionary_encode().indices.to_numpy().astype(np.int64)
    both = np.sort((number << 32) | np.arange(len(key)))
    return both & 0xFFFF_FFFF


def _endpoints(
    flows: FlowTable,
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Return a key of each flow's two endpoints, and whether one of them is unknown."""
    table = flows.table
    hosts = [flow_keys(table[name]) for name in ("src_ip", "dst_ip")]
    ports = [
        table[name].cast(pa.int32()).fill_null(_NO_PORT).to_numpy()
        for name in ("src_port", "dst_port")
    ]
    source, target = (combine(host, port) for host, port in zip(hosts, ports, strict=True))
    return source, target, (hosts[0] == 0) | (hosts[1] == 0)


def _protocol(flows: FlowTable) -> NDArray[np.int16]:
    number: NDArray[np.int16] = flows.table["protocol"].cast(pa.int16()).fill_null(-1).to_numpy()
    return number
