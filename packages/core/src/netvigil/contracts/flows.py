"""`FlowTable`: flows with fixed identities, and `FlowBatch`: what a reader yields.

A flow table has no label column and never will: labels live in `LabelTable`. Missing values are
Arrow nulls; NaN and infinity are refused, so a reader must turn them into nulls and count that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.contracts.ids import distinct
from netvigil.errors import ContractError

TIMESTAMP = pa.timestamp("us", tz="UTC")
TEXT = pa.dictionary(pa.int32(), pa.string())

CANONICAL: Mapping[str, pa.DataType] = {
    "flow_id": pa.int64(),
    "start": TIMESTAMP,
    "end": TIMESTAMP,
    "duration_s": pa.float64(),
    "src_ip": TEXT,
    "dst_ip": TEXT,
    "src_port": pa.uint16(),
    "dst_port": pa.uint16(),
    "protocol": pa.uint8(),
    "fwd_packets": pa.uint64(),
    "bwd_packets": pa.uint64(),
    "fwd_bytes": pa.uint64(),
    "bwd_bytes": pa.uint64(),
}
"""The columns every flow table has, in this order. All but `flow_id` may hold nulls, with a
meaning: a null port is "not TCP/UDP", a null `bwd_` counter is "unidirectional record", a null time
is only legal when `time_basis` is `row-order`, null addresses only where the source has none."""

OPTIONAL: Mapping[str, pa.DataType] = {
    "icmp_type": pa.uint8(),
    "icmp_code": pa.uint8(),
    "tcp_flags": pa.uint8(),
    "fwd_tcp_flags": pa.uint8(),
    "bwd_tcp_flags": pa.uint8(),
    "conn_state": TEXT,
    "l7_proto": TEXT,
    "server_name": TEXT,
    "source_uid": pa.string(),
    "source_file": TEXT,
    "source_row": pa.int64(),
}
"""Columns with a fixed meaning that a source may have. `source_uid` is the exporter's own id (Zeek
uid, Suricata flow_id), `source_file` and `source_row` lead back to the input line."""

FEATURE = re.compile(r"^x_[a-z0-9_]+$")
"""Any further numeric column of the source: float32."""
CATEGORY = re.compile(r"^c_[a-z0-9_]+$")
"""Any further text column of the source with few values: dictionary strings."""
LABEL_LIKE = re.compile(r"(^|_)(label|labels|attack|attacks|attack_cat|is_attack|malicious)(_|$)")

TimeBasis = Literal["clock", "row-order"]
BytesLayer = Literal["l2", "ip", "l4", "payload", "unknown"]
Direction = Literal["bi", "uni", "unknown"]


@dataclass(frozen=True)
class FlowInfo:
    """What every row of a flow table has in common.

    `format` is the reader's name; `time_basis` says whether `start` is a clock or only the row
    order means anything; `bytes_layer` says what the byte counters count (l2 frames, IP packets,
    transport segments, payload); `direction` whether a row is one or both directions of a
    conversation.
    """

    format: str
    time_basis: TimeBasis = "clock"
    bytes_layer: BytesLayer = "unknown"
    direction: Direction = "unknown"

    def to_metadata(self) -> dict[bytes, bytes]:
        """Return the Arrow schema metadata that carries this."""
        return {b"netvigil.flows": json.dumps({"version": 1, **asdict(self)}).encode()}

    @staticmethod
    def from_metadata(metadata: Mapping[bytes, bytes] | None) -> FlowInfo:
        """Read the metadata back; refuses a table that netvigil did not write."""
        raw = (metadata or {}).get(b"netvigil.flows")
        if raw is None:
            msg = "This Arrow table carries no netvigil flow metadata."
            raise ContractError(msg, do="Convert the source with `netvigil data convert` first.")
        values: dict[str, Any] = json.loads(raw)
        version = values.pop("version", None)
        if version != 1:
            msg = f"This flow table has schema version {version}; this netvigil reads version 1."
            raise ContractError(msg)
        return FlowInfo(**values)


@dataclass(frozen=True)
class FlowTable:
    """Flows as one Arrow table, in time order, each with an identity that never changes.

    Shapes:
        table: [flows, columns]; the columns of `CANONICAL`, any of `OPTIONAL`, `x_*` float32
            features and `c_*` dictionary-string categories

    Raises:
        ContractError: A column is missing, unknown, mistyped or label-like; ids repeat; rows are
            not in start order; `end` is before `start`; a feature holds NaN or infinity.
    """

    table: pa.Table
    info: FlowInfo

    def __post_init__(self) -> None:
        _check_schema(self.table.schema)
        _check_rows(self.table, self.info)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def flow_id(self) -> NDArray[np.int64]:
        """Identity of each flow, int64 [flows]."""
        ids: NDArray[np.int64] = self.table["flow_id"].to_numpy()
        return ids

    @property
    def start_us(self) -> NDArray[np.int64]:
        """Start of each flow, int64 [flows], microseconds since 1970; refuses row-order sources."""
        return self._us("start")

    @property
    def end_us(self) -> NDArray[np.int64]:
        """End of each flow, int64 [flows], microseconds since 1970; refuses row-order sources."""
        return self._us("end")

    @property
    def has_addresses(self) -> bool:
        """Whether the flows have any endpoint addresses at all."""
        return len(self) > int(self.table["src_ip"].null_count)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the `x_*` columns, in table order."""
        return tuple(name for name in self.table.column_names if FEATURE.match(name))

    @property
    def category_names(self) -> tuple[str, ...]:
        """Names of the text columns that may serve as categories, in table order."""
        fixed = ("conn_state", "l7_proto")
        return tuple(n for n in self.table.column_names if n in fixed or CATEGORY.match(n))

    def slice(self, offset: int, length: int | None = None) -> FlowTable:
        """Return rows [offset, offset + length) without copying or checking again."""
        return FlowTable.trusted(self.table.slice(offset, length), self.info)

    def take(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> FlowTable:
        """Return the flows where a boolean mask is true, or at increasing row numbers."""
        rows = pa.array(keep)
        table = self.table.filter(rows) if keep.dtype == np.bool_ else self.table.take(rows)
        return FlowTable.trusted(table, self.info)

    @staticmethod
    def trusted(table: pa.Table, info: FlowInfo) -> FlowTable:
        """Wrap rows that were checked before (a slice, a file we wrote) without a new check."""
        flows = object.__new__(FlowTable)
        object.__setattr__(flows, "table", table)
        object.__setattr__(flows, "info", info)
        return flows

    def _us(self, column: str) -> NDArray[np.int64]:
        if self.info.time_basis != "clock":
            msg = f"Flows read as '{self.info.format}' have no clock, only a row order."
            raise ContractError(msg, do="Use count windows and a split by row order.")
        times: NDArray[np.int64] = self.table[column].cast(pa.int64()).to_numpy()
        return times


@dataclass(frozen=True)
class ReadReport:
    """Row accounting: every row of the source is accepted, repaired and accepted, or rejected.

    `repairs` and `rejects` count by reason; `examples` keeps the first few with their place.
    """

    read: int = 0
    repaired: int = 0
    rejected: int = 0
    repairs: Mapping[str, int] = field(default_factory=dict)
    rejects: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    skipped_files: tuple[str, ...] = ()

    def __add__(self, other: ReadReport) -> ReadReport:
        return ReadReport(
            read=self.read + other.read,
            repaired=self.repaired + other.repaired,
            rejected=self.rejected + other.rejected,
            repairs=_add(self.repairs, other.repairs),
            rejects=_add(self.rejects, other.rejects),
            examples=(self.examples + other.examples)[:EXAMPLES],
            skipped_files=self.skipped_files + other.skipped_files,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def facts(self) -> dict[str, Any]:
        """Return what whoever gave the source wants to know of its rows, by name."""
        return {
            "rows read": self.read,
            "rows repaired": dict(self.repairs),
            "rows rejected": dict(self.rejects),
            "remarks": list(self.examples),
            "files skipped": list(self.skipped_files),
        }


EXAMPLES = 8  # enough to see a pattern in a message, few enough to print


@dataclass(frozen=True)
class FlowBatch:
    """One piece of a source as its reader yields it.

    `flows` is in start order within the batch; across batches order is not promised (the store
    sorts). `inline` carries the source's own label text for the `inline` labeller and for nobody
    else: `flow_id` int64 plus string columns `label` and, where the source has one, `attack`.
    """

    flows: FlowTable
    report: ReadReport
    inline: pa.Table | None = None


def _add(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {
        k: left.get(k, 0) + right.get(k, 0) for k in (*left, *(k for k in right if k not in left))
    }


def _check_schema(schema: pa.Schema) -> None:
    missing = [name for name in CANONICAL if name not in schema.names]
    if missing:
        msg = f"A flow table lacks the columns {', '.join(missing)}."
        raise ContractError(msg, do="A reader fills a column that its source lacks with nulls.")
    if len(set(schema.names)) != len(schema.names):
        msg = "A flow table has two columns of one name."
        raise ContractError(msg)
    for name in schema.names:
        wanted = CANONICAL.get(name) or OPTIONAL.get(name)
        if wanted is None and FEATURE.match(name):
            wanted = pa.float32()
        elif wanted is None and CATEGORY.match(name):
            wanted = TEXT
        if wanted is None:
            msg = f"A flow table has no place for a column '{name}'."
            raise ContractError(
                msg, do="Numeric features are called x_<name>, categories c_<name>."
            )
        if schema.field(name).type != wanted:
            msg = f"Column '{name}' is {schema.field(name).type}, not {wanted}."
            raise ContractError(msg)
        if name not in CANONICAL and LABEL_LIKE.search(name):
            msg = f"Column '{name}' looks like a label; labels never travel with flows."
            raise ContractError(msg, do="Give it to a labeller, which writes a LabelTable.")


def _check_rows(table: pa.Table, info: FlowInfo) -> None:
    ids = table["flow_id"]
    if ids.null_count:
        msg = f"{ids.null_count} flows have no flow_id."
        raise ContractError(msg)
    if distinct(ids.to_numpy()) != len(ids):
        msg = "Two flows share one flow_id."
        raise ContractError(
            msg, do="A reader assigns each id once; each flow appears exactly once."
        )
    _check_times(table, info)
    for name in table.column_names:
        # The sum is finite exactly when every value is, but for a float64 overflow of float32
        # values.
        if FEATURE.match(name) and not np.isfinite(pc.sum(table[name]).as_py() or 0.0):
            msg = f"Feature '{name}' holds NaN or infinity."
            raise ContractError(
                msg, do="A reader turns these into nulls and counts them as repaired."
            )


def _check_times(table: pa.Table, info: FlowInfo) -> None:
    if info.time_basis == "row-order":
        if table["start"].null_count != table.num_rows:
            msg = "A source without a clock must leave `start` empty."
            raise ContractError(msg, do="Inventing a timestamp is not allowed.")
        return
    if table["start"].null_count or table["end"].null_count:
        msg = "A flow of a source with a clock has no start or end."
        raise ContractError(msg, do="A reader rejects such rows and counts them.")
    start = table["start"].cast(pa.int64()).to_numpy()
    end = table["end"].cast(pa.int64()).to_numpy()
    if np.any(start[1:] < start[:-1]):
        msg = "Flows are not in the order of their start times."
        raise ContractError(msg, do="Sort by start (stable) before making a FlowTable.")
    if np.any(end < start):
        msg = f"{int(np.sum(end < start))} flows end before they start."
        raise ContractError(msg, do="A reader repairs or rejects such rows and counts them.")
