"""Who talked to whom in each bin of the test part: the edges of the traffic graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts import FlowTable
from netvigil.evidence.tables import table

EDGES = 12_000  # in all bins together: about 500 kB of a page
EDGES_OF_BIN = 250  # more lines than that are a ball of wool
WHOLE = -1
SERVICES = 60  # most frequent ones, told apart by port; the rest are only called by their protocol
LISTED = 3  # services named beside an edge
PAIR = ["src", "dst"]
MISSING = "(none)"
COLUMNS = ["start", "src_ip", "dst_ip", "dst_port", "protocol", "fwd_bytes", "bwd_bytes"]
"""What a pass needs; `start` only because a flow table has one."""
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}

Walk = Callable[[], Iterable[FlowTable]]
"""Walks through the test flows in order, as often as it is called."""


@dataclass(frozen=True)
class FlowFacts:
    """What the pictures say about each test flow, in their order.

    Shapes:
        bin: int32 [flows]; score: float64 [flows]; alert: bool [flows]
        attack: dictionary string [flows], a class's name, `benign` or `unknown`; is_attack: bool
    """

    bin: NDArray[np.int32]
    score: NDArray[np.float64]
    alert: NDArray[np.bool_]
    attack: pa.DictionaryArray
    is_attack: NDArray[np.bool_]


@dataclass(frozen=True)
class Traffic:
    """Edges, how many bins have some, and how many pairs of hosts were left out of those."""

    edges: pa.Table
    bins_drawn: int
    pairs_left_out: int


def traffic(walk: Walk, facts: FlowFacts) -> Traffic:
    """Return the edges of as many bins as a page can hold, and of the whole where it is small.

    A pair of hosts is one edge, in the direction of its flows. Memory grows with the pairs, their
    services and the bins, not with the flows.
    """
    services = _frequent(walk())
    pieces = [
        _summed(_batch(flows, rows, facts, services)).astype(dict.fromkeys(PAIR, "str"))
        for flows, rows in _aligned(walk())
    ]
    fine = _summed(pd.concat(pieces, ignore_index=True))
    pairs = _summed(fine, ["bin", *PAIR])
    kept = _telling(pairs)
    drawn = kept["bin"].unique()
    left_out = int(pairs["bin"].isin(drawn).sum()) - len(kept)
    whole = _summed(fine, PAIR)
    if len(whole) <= EDGES_OF_BIN:
        kept = pd.concat([whole.assign(bin=WHOLE), kept], ignore_index=True)
        fine = pd.concat([fine.assign(bin=WHOLE), fine], ignore_index=True)
    fine = fine.merge(kept[["bin", *PAIR]], on=["bin", *PAIR])
    names = [_service_name(code) for code in services]
    listed = _listed(fine, "service", lambda code: names[code], with_counts=True)
    attacks = _listed(fine, "attack", lambda code: str(facts.attack.dictionary[code]))
    kept = kept.merge(listed, on=["bin", *PAIR]).merge(attacks, on=["bin", *PAIR])
    return Traffic(_table(kept), len(drawn), left_out)


def nothing() -> Traffic:
    """Return what flows without addresses have: no graph."""
    numbers = ["bin", "flows", "bytes", "score", "alerts", "attacks"]
    empty = pd.DataFrame({name: np.empty(0) for name in numbers})
    texts = {name: pd.Series([], dtype="str") for name in (*PAIR, "attack", "service")}
    return Traffic(_table(empty.assign(**texts)), 0, 0)


def _table(kept: pd.DataFrame) -> pa.Table:
    texts = {n: pa.array(kept[n].tolist(), pa.string()) for n in (*PAIR, "attack")}
    numbers = {n: kept[n].to_numpy() for n in ("bin", "flows", "bytes", "score", "alerts")}
    services = pa.array(kept["service"].tolist(), pa.string())
    made = table("edges", **texts, **numbers, attacks=kept["attacks"].to_numpy(), services=services)
    return made.sort_by([("bin", "ascending"), ("flows", "descending")])


def _aligned(batches: Iterable[FlowTable]) -> Iterator[tuple[FlowTable, slice]]:
    first = 0
    for flows in batches:
        yield flows, slice(first, first + len(flows))
        first += len(flows)


def _frequent(batches: Iterable[FlowTable]) -> list[int]:
    """Return the codes of the most frequent services; the first ones are protocols alone."""
    counts = np.zeros(1 << 18, np.int64)
    seen = np.zeros(256, np.int64)
    for flows in batches:
        protocol, code = _codes(flows)
        seen += np.bincount(protocol, minlength=256)
        counts += np.bincount(code[code >= 0], minlength=len(counts))
    order = np.argsort(-counts, kind="stable")[:SERVICES]
    alone = [-1 - int(protocol) for protocol in np.flatnonzero(seen)]
    return [*alone, *(int(code) for code in order if counts[code])]


def _codes(flows: FlowTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return protocols, and codes of services with a port: 2 * 65536 for TCP and for UDP."""
    protocol = _numbers(flows, "protocol", 0)
    port = _numbers(flows, "dst_port", -1)
    with_port = (port >= 0) & ((protocol == 6) | (protocol == 17))
    return protocol, np.where(with_port, (protocol == 17) * 65_536 + port, -1)


def _service_name(code: int) -> str:
    if code < 0:
        return _PROTOCOLS.get(-1 - code, f"protocol {-1 - code}")
    return f"{'udp' if code >= 65_536 else 'tcp'}/{code % 65_536}"


def _batch(flows: FlowTable, rows: slice, facts: FlowFacts, services: list[int]) -> pd.DataFrame:
    protocol, code = _codes(flows)
    known = np.array(services)
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known, code, sorter=order), len(order) - 1)]
    alone = order[np.searchsorted(known, -1 - protocol, sorter=order)]
    attack = facts.attack.indices.to_numpy()[rows]
    return pd.DataFrame(
        {
            "bin": facts.bin[rows],
            "src": _addresses(flows, "src_ip"),
            "dst": _addresses(flows, "dst_ip"),
            "service": np.where(known[place] == code, place, alone),
            "attack": attack,
            "flows": np.ones(len(flows), np.int64),
            "bytes": _numbers(flows, "fwd_bytes", 0).astype(np.float64)
            + _numbers(flows, "bwd_bytes", 0),
            "alerts": facts.alert[rows].astype(np.int64),
            "attacks": facts.is_attack[rows].astype(np.int64),
            "score": facts.score[rows],
        }
    )


def _summed(frame: pd.DataFrame, keys: list[str] | None = None) -> pd.DataFrame:
    keys = keys or ["bin", *PAIR, "service", "attack"]
    how = {"flows": "sum", "bytes": "sum", "alerts": "sum", "attacks": "sum", "score": "max"}
    return frame.groupby(keys, observed=True, sort=True).agg(how).reset_index()


def _telling(pairs: pd.DataFrame) -> pd.DataFrame:
    """Keep each bin's most telling pairs, and the bins that say most, as far as they fit.

    Pairs with alerts come first, then true attacks, then high scores. Of the bins, half of the room
    goes to those with most alerts and attacks; the rest is spread evenly over time, so that quiet
    ones can be seen beside them.
    """
    rank = np.lexsort([-pairs[name] for name in ("score", "attacks", "alerts")] + [pairs["bin"]])
    pairs = pairs.iloc[rank]
    kept = pairs[(pairs.groupby("bin").cumcount() < EDGES_OF_BIN).to_numpy()]
    if len(kept) <= EDGES:
        return kept
    number, size = np.unique(kept["bin"], return_counts=True)
    first = np.append(0, np.cumsum(size)[:-1])
    loud = np.add.reduceat((kept["alerts"] + kept["attacks"]).to_numpy(), first)
    order = np.argsort(-loud, kind="stable")
    chosen = order[np.cumsum(size[order]) <= EDGES // 2]
    rest = np.setdiff1d(np.arange(len(number)), chosen)
    room = EDGES - int(size[chosen].sum())
    spread = rest[:: max(1, -(-int(size[rest].sum()) // room))]
    spread = spread[np.cumsum(size[spread]) <= room]
    return kept[kept["bin"].isin(number[np.append(chosen, spread)]).to_numpy()]


def _listed(
    fine: pd.DataFrame, column: str, name: Callable[[int], str], *, with_counts: bool = False
) -> pd.DataFrame:
    """Name the most frequent values of each edge, most frequent first."""
    edge = ["bin", *PAIR]
    counted: pd.DataFrame = fine.groupby([*edge, column], as_index=False).agg({"flows": "sum"})
    counted = counted.iloc[np.argsort(-counted["flows"].to_numpy(), kind="stable")]
    most = LISTED if with_counts else 1
    counted = counted[(counted.groupby(edge).cumcount() < most).to_numpy()]
    words = [name(int(code)) for code in counted[column]]
    if with_counts:
        times = "\N{MULTIPLICATION SIGN}"
        words = [f"{w} {times}{n}" for w, n in zip(words, counted["flows"], strict=True)]
    listed = counted.assign(**{column: words}).groupby(edge, as_index=False)
    return listed.agg({column: ", ".join})


def _addresses(flows: FlowTable, name: str) -> pd.Categorical:
    """Return each flow's address by its code: no text per flow; a missing one is a name as well."""
    whole = flows.table[name].cast(pa.string()).combine_chunks().dictionary_encode()
    texts = whole.dictionary.to_pylist()
    if MISSING not in texts:
        texts.append(MISSING)
    codes = whole.indices.fill_null(texts.index(MISSING)).to_numpy()
    return pd.Categorical.from_codes(codes, pd.Index(texts, dtype="str"))


def _numbers(flows: FlowTable, name: str, missing: int) -> NDArray[np.int64]:
    values: NDArray[np.int64] = (
        flows.table[name].cast(pa.int64(), safe=False).fill_null(missing).to_numpy()
    )
    return values
