"""Ground truth as rows of endpoints, a time and a category, and the search for a flow's row.

Every labeller that knows attacks from outside the source brings its truth into this form. An empty
cell matches anything, both directions of a flow match, and where several rows match the most
specific one wins.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.addresses import combine, flow_keys
from netvigil.contracts import FlowTable, LabelTable
from netvigil.errors import SourceError
from netvigil_flowprep.labellers.intervals import IntervalIndex

Keys = NDArray[np.uint64]

BLOCK = 32_768  # flows: the dozen arrays that make their keys fit into a core's level 2 cache
ALWAYS_US = 1 << 62  # later than any clock, and an offset still fits into int64
_SWAPPED = {"src_ip": "dst_ip", "dst_ip": "src_ip", "src_port": "dst_port", "dst_port": "src_port"}
_FLOW_COLUMN = {
    "any_ip": "src_ip"
}  # either endpoint: the source forwards, the destination backwards
COLUMNS = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol", "any_ip")
"""What may identify a flow; `any_ip` matches either endpoint."""


@dataclass(frozen=True)
class Truth:
    """Rows of truth.

    Shapes:
        keys: name of `COLUMNS` -> uint64 [rows]; present: the same names -> bool [rows], false
        matches anything
        start_us, end_us: int64 [rows], both inclusive; category: int64 [rows], into `categories`
        is_attack: bool [rows]
    """

    keys: Mapping[str, Keys]
    present: Mapping[str, NDArray[np.bool_]]
    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]
    category: NDArray[np.int64]
    categories: tuple[str, ...]
    is_attack: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start_us)

    @property
    def has_times(self) -> bool:
        """Whether any row is limited in time."""
        return bool(np.any(self.end_us < ALWAYS_US) or np.any(self.start_us > -ALWAYS_US))

    @staticmethod
    def of(frame: pl.DataFrame) -> Truth:
        """Take truth out of a frame of `COLUMNS`, `start_us`, `end_us`, `category`, `is_attack`.

        All columns may be missing. Addresses are text, ports and protocols integers, times
        microseconds; nulls match anything. Without `is_attack` every row is an attack.
        """
        rows = frame.height
        keys, present = {}, {}
        for name in COLUMNS:
            if name in frame.columns and frame[name].null_count() < rows:
                present[name] = frame[name].is_not_null().to_numpy()
                keys[name] = (
                    _address_keys(frame[name]) if name.endswith("ip") else _numbers(frame[name])
                )
        category = _codes(category_names(_column(frame, "category", pl.String)))
        return Truth(
            keys=keys,
            present=present,
            start_us=_column(frame, "start_us", pl.Int64).fill_null(-ALWAYS_US).to_numpy(),
            end_us=_column(frame, "end_us", pl.Int64).fill_null(ALWAYS_US).to_numpy(),
            category=category.indices.to_numpy().astype(np.int64),
            categories=tuple(category.dictionary.to_pylist()),
            is_attack=_column(frame, "is_attack", pl.Boolean).fill_null(value=True).to_numpy(),
        )

    def intervals(self, rows: NDArray[np.int64], *, tolerance_us: int) -> IntervalIndex:
        """Return the times of some rows, whoever they are about, under the key 0."""
        start, end = self.start_us[rows] - tolerance_us, self.end_us[rows] + tolerance_us
        return IntervalIndex(np.zeros(len(rows), np.uint64), start, end)

    def labels(
        self, flows: FlowTable, row: NDArray[np.int64], known: NDArray[np.bool_]
    ) -> LabelTable:
        """Label the known flows by the truth row found for each (-1: benign)."""
        is_attack = row >= 0
        if len(self):
            is_attack = is_attack & self.is_attack[row]
        names = pa.array([*self.categories, ""], pa.string())
        code = np.where(is_attack, self.category[row] if len(self) else 0, len(names) - 1)
        attack = pc.take(names, pa.array(code[known]))
        return LabelTable.of(flows.flow_id[known], is_attack[known], attack)


class TruthIndex:
    """Truth rows, ready to be searched by flow.

    `tolerance_us` widens every row at both ends.
    """

    def __init__(self, truth: Truth, *, rows: NDArray[np.int64], tolerance_us: int) -> None:
        self._parts: list[tuple[tuple[str, ...], NDArray[np.int64], IntervalIndex]] = []
        pattern = np.zeros(len(rows), np.int64)
        for bit, name in enumerate(truth.keys):
            pattern |= truth.present[name][rows].astype(np.int64) << bit
        for number in np.unique(pattern):
            names = tuple(n for bit, n in enumerate(truth.keys) if number >> bit & 1)
            own = rows[pattern == number]
            columns = {name: truth.keys[name][own] for name in names}
            (key, *_) = _row_keys(names, columns, columns, len(own))
            start, end = truth.start_us[own] - tolerance_us, truth.end_us[own] + tolerance_us
            self._parts.append((names, own, IntervalIndex(key, start, end)))
        self._parts.sort(key=lambda part: -len(part[0]))

    def find(self, flows: FlowTable) -> NDArray[np.int64]:
        """Return the truth row of each flow, or -1, int64 [flows]."""
        found = np.full(len(flows), -1, np.int64)
        if not self._parts:
            return found
        start, end = flow_times(flows)
        needed = {_FLOW_COLUMN.get(n, n) for names, _, _ in self._parts for n in names}
        columns = {
            name: _flow_column(flows, name)
            for name in needed | {_SWAPPED.get(n, n) for n in needed}
        }
        swapped = {name: columns[_SWAPPED.get(name, name)] for name in columns}
        for side in (columns, swapped):
            if "src_ip" in side:
                side["any_ip"] = side["src_ip"]
        for first in range(0, len(flows), BLOCK):
            block = slice(first, min(first + BLOCK, len(flows)))
            sides = [
                {n: column[block] for n, column in side.items()} for side in (columns, swapped)
            ]
            self._search(found[block], sides[0], sides[1], start[block], end[block])
        return found

    def _search(
        self,
        found: NDArray[np.int64],
        forward: Mapping[str, Keys],
        backward: Mapping[str, Keys],
        start: NDArray[np.int64],
        end: NDArray[np.int64],
    ) -> None:
        """Write the truth rows of some flows into `found`."""
        for names, rows, index in self._parts:
            for key in _row_keys(names, forward, backward, len(found)):
                hit = index.find(key, start, end)
                new = (found < 0) & (hit >= 0)
                found[new] = rows[hit[new]]


def flow_times(flows: FlowTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return start and end of each flow in microseconds; zeros for a source without a clock."""
    if flows.info.time_basis != "clock":
        return np.zeros(len(flows), np.int64), np.zeros(len(flows), np.int64)
    return flows.start_us, flows.end_us


def without_endpoint(flows: FlowTable) -> NDArray[np.bool_]:
    """Say which flows lack an address on either side, bool [flows]."""
    lacking: list[NDArray[np.bool_]]
    lacking = [flows.table[name].is_null().to_numpy() for name in ("src_ip", "dst_ip")]
    return lacking[0] | lacking[1]


def require_clock(flows: FlowTable, *, where: str) -> None:
    """Refuse to compare truth that has times with flows that have none."""
    if flows.info.time_basis != "clock":
        msg = (
            f"Flows read as '{flows.info.format}' have no clock to compare with the truth's times."
        )
        raise SourceError(
            msg, where=where, do="Use the source's own labels, or truth without times."
        )


def category_names(texts: pl.Series) -> pl.Series:
    """Return categories as lower_snake; what is empty is called "attack".

    Example:
        >>> category_names(pl.Series([" MISCONF-Duplication ", None])).to_list()
        ['misconf_duplication', 'attack']
    """
    name = texts.str.to_lowercase().str.replace_all("[^a-z0-9]+", "_").str.strip_chars("_")
    return name.replace("", None).fill_null("attack")


def canonical_address(text: str) -> str:
    """Return an address in the one spelling that readers use; what is no IP address stays as it is.

    Example:
        >>> canonical_address(" 2001:DB8:0::1 "), canonical_address("EXT_SERVER")
        ('2001:db8::1', 'EXT_SERVER')
    """
    text = text.strip()
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _row_keys(
    names: tuple[str, ...], forward: Mapping[str, Keys], backward: Mapping[str, Keys], rows: int
) -> list[Keys]:
    """Return the keys to look under: one for symmetric columns, else one per direction."""
    if not names:
        return [np.zeros(rows, np.uint64)]
    ports = {"src_port", "dst_port"} & set(names)
    if {"src_ip", "dst_ip"} <= set(names) and len(ports) != 1 and "any_ip" not in names:
        source, target = forward["src_ip"], forward["dst_ip"]
        if ports:
            source = combine(source, forward["src_port"])
            target = combine(target, forward["dst_port"])
        ordered = [np.minimum(source, target), np.maximum(source, target)]
        return [combine(*ordered, *(forward[n] for n in names if n == "protocol"))]
    keys = [combine(*(forward[name] for name in names))]
    if set(names) != {"protocol"} and backward is not forward:
        keys.append(combine(*(backward[name] for name in names)))
    return keys


def _flow_column(flows: FlowTable, name: str) -> Keys:
    if name.endswith("_ip"):
        return flow_keys(flows.table[name])
    # A flow without ports (ICMP) is port 0 in the usual truth files.
    numbers: Keys = flows.table[name].fill_null(0).to_numpy().astype(np.uint64)
    return numbers


def _address_keys(texts: pl.Series) -> Keys:
    codes = _codes(texts)
    spelled = pa.array([canonical_address(t) for t in codes.dictionary.to_pylist()], pa.string())
    return flow_keys(pa.chunked_array([pa.DictionaryArray.from_arrays(codes.indices, spelled)]))


def _codes(texts: pl.Series) -> pa.DictionaryArray:
    return texts.to_arrow().cast(pa.large_string()).dictionary_encode()


def _numbers(values: pl.Series) -> Keys:
    numbers: Keys = values.fill_null(0).cast(pl.UInt64).to_numpy()
    return numbers


def _column(frame: pl.DataFrame, name: str, dtype: type[pl.DataType]) -> pl.Series:
    if name in frame.columns:
        return frame[name].cast(dtype)
    return pl.Series(name, [None] * frame.height, dtype=dtype)
