"""Planted anomalies: a test of detectors that needs no attack and reads no label of one.

Settings are chosen on something. Choosing them on labelled attacks of a test part makes its figures
worthless; here flows of a benign range are copied and some of the latest are made strange, each in
one way of which is known what it is:

    new-source  from an address that the range never had
    new-pair    to a host of the range that its source never talked to
    behaviour   with the counters and features of another service's flow, between its own hosts
    volume      with 10 to 1,000 times its packets and bytes

They are easier and more evenly mixed than attacks: they say which of two settings is deaf to one of
these, not what either reaches on attacks. (The kinds of synthetic anomaly, global, local and
dependency, follow Han et al., ADBench, NeurIPS 2022, section 3.3.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.addresses import combine, flow_keys
from netvigil.contracts import FlowTable, LabelTable
from netvigil.errors import ConfigError

Kind = Literal["new-source", "new-pair", "behaviour", "volume"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STRANGERS = tuple(f"192.0.2.{host}" for host in range(1, 255))  # TEST-NET-1 of RFC 5737
IDENTITY = frozenset(
    [
        *("flow_id", "start", "end", "src_ip", "dst_ip", "src_port", "dst_port", "protocol"),
        *("icmp_type", "icmp_code", "server_name", "source_uid", "source_file", "source_row"),
    ]
)
COUNTERS = ("fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes")
TRIES = 32  # draws of a destination for each new pair
MOST_COUNT = 2.0**53  # where float64 still counts in ones
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Planted:
    """Flows with planted anomalies and the truth about every one.

    `given_up` counts flows for which no anomaly of their kind could be made; they stay as they are.
    """

    flows: FlowTable
    labels: LabelTable
    counts: Mapping[str, int]
    given_up: int


def plant(
    flows: FlowTable,
    *,
    from_share: float = 0.7,
    share: float = 0.05,
    kinds: tuple[Kind, ...] = KINDS,
    seed: int = 0,
) -> Planted:
    """Make `share` of the flows after the first `from_share` strange, kinds in equal numbers.

    Shapes:
        flows: [flows], benign as far as known, in time order; their order, ids and starts stay

    Raises:
        ConfigError: A kind that these flows cannot have, or too few flows to plant anything.
    """
    kinds = tuple(dict.fromkeys(kinds))
    if not flows.has_addresses and {"new-source", "new-pair"} & set(kinds):
        msg = "These flows have no addresses, so none can be new."
        raise ConfigError(msg, do="Plant --kind behaviour and --kind volume.")
    rng = np.random.default_rng(seed)
    first = int(from_share * len(flows))
    chosen = rng.permutation(np.arange(first, len(flows)))[: round(share * (len(flows) - first))]
    if len(chosen) < len(kinds):
        msg = f"Only {len(chosen)} of {len(flows):,} flows would be made strange."
        raise ConfigError(msg, do="Give more flows, a larger --share or an earlier --from.")
    table = flows.table.unify_dictionaries().combine_chunks()
    kind = np.full(len(flows), -1)
    counts: dict[str, int] = {}
    for number, rows in enumerate(np.array_split(chosen, len(kinds))):
        table, done = _PLANTERS[kinds[number]](table, np.sort(rows), rng)
        kind[done] = number
        counts[kinds[number]] = len(done)
    names = pa.array(np.array([*kinds, ""])[kind], pa.string())
    labels = LabelTable.of(flows.flow_id, kind >= 0, names)
    made = FlowTable(table, flows.info)
    return Planted(made, labels, counts, len(chosen) - sum(counts.values()))


def _new_source(table: pa.Table, rows: Rows, rng: np.random.Generator) -> tuple[pa.Table, Rows]:
    known = set(table["src_ip"].combine_chunks().dictionary.to_pylist())
    known |= set(table["dst_ip"].combine_chunks().dictionary.to_pylist())
    strangers = [address for address in STRANGERS if address not in known]
    drawn = rng.choice(strangers, len(rows)) if strangers else np.empty(0, dtype=str)
    rows = rows[: len(drawn)]
    return _with_texts(table, "src_ip", rows, drawn.tolist()), rows


def _new_pair(table: pa.Table, rows: Rows, rng: np.random.Generator) -> tuple[pa.Table, Rows]:
    source, destination = flow_keys(table["src_ip"]), flow_keys(table["dst_ip"])
    known = np.unique(combine(source, destination))
    drawn = rng.integers(len(table), size=(TRIES, len(rows)))
    pairs = combine(np.tile(source[rows], TRIES), destination[drawn].ravel()).reshape(drawn.shape)
    fits = ~np.isin(pairs, known) & (destination[drawn] != source[rows])
    fits &= (destination[drawn] != 0) & (source[rows] != 0)
    found = fits.any(axis=0)
    rows, donor = rows[found], drawn[np.argmax(fits, axis=0), np.arange(len(rows))][found]
    texts = table["dst_ip"].take(pa.array(donor)).cast(pa.string()).to_pylist()
    return _with_texts(table, "dst_ip", rows, texts), rows


def _behaviour(table: pa.Table, rows: Rows, rng: np.random.Generator) -> tuple[pa.Table, Rows]:
    ports = table["dst_port"].fill_null(0).to_numpy().astype(np.int64)
    protocol = table["protocol"].fill_null(255).to_numpy().astype(np.int64)
    service = combine(flow_keys(table["dst_ip"]), ports, protocol)
    drawn = rng.integers(len(table), size=(TRIES, len(rows)))
    fits = service[drawn] != service[rows]
    found = fits.any(axis=0)
    rows, donor = rows[found], drawn[np.argmax(fits, axis=0), np.arange(len(rows))][found]
    origin = np.arange(len(table))
    origin[rows] = donor
    taken = pa.array(origin)
    for place, name in enumerate(table.column_names):
        if name not in IDENTITY:
            table = table.set_column(place, table.schema.field(name), table[name].take(taken))
    lasted = pc.subtract(table["end"], table["start"]).take(taken)
    end = pc.add(table["start"], lasted).cast(table.schema.field("end").type)
    place = table.column_names.index("end")
    return table.set_column(place, table.schema.field("end"), end), rows


def _volume(table: pa.Table, rows: Rows, rng: np.random.Generator) -> tuple[pa.Table, Rows]:
    factor = np.ones(len(table))
    factor[rows] = 10 ** rng.uniform(1, 3, len(rows))
    for name in COUNTERS:
        count = table[name].cast(pa.float64(), safe=False)
        more = pc.min_element_wise(
            pc.round(pc.multiply(count, pa.array(factor))), MOST_COUNT, skip_nulls=False
        )
        grown = pc.if_else(pa.array(factor > 1), more.cast(pa.uint64()), table[name])
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), grown)
    return table, rows


_PLANTERS: dict[Kind, Callable[[pa.Table, Rows, np.random.Generator], tuple[pa.Table, Rows]]] = {
    "new-source": _new_source,
    "new-pair": _new_pair,
    "behaviour": _behaviour,
    "volume": _volume,
}


def _with_texts(table: pa.Table, column: str, rows: Rows, texts: list[str]) -> pa.Table:
    """Replace a text column's values at rising row numbers."""
    mask = np.zeros(len(table), np.bool_)
    mask[rows] = True
    old = table[column].cast(pa.string()).combine_chunks()
    new = pc.replace_with_mask(old, pa.array(mask), pa.array(texts, pa.string()))
    place = table.column_names.index(column)
    field = table.schema.field(column)
    return table.set_column(place, field, new.dictionary_encode().cast(field.type))
