"""What a run keeps for its pictures: small tables beside the scores, whatever the capture's size.

A report is drawn from these, from the receipt and from the log, so it needs neither the source nor
the models. Everything is bounded: curves are thinned, time is cut into bins, flows are sampled, and
`Facts` says how much of what there was is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from netvigil.contracts import ALERTS
from netvigil.errors import RunError

FOLDER = "evidence"
BENIGN, UNKNOWN = "benign", "unknown"
"""What stands in a column `attack` for flows that are none, and for flows without a label."""

_TEXT = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.int64()  # microseconds since 1970 UTC, or a row number where there is no clock
SCHEMAS: Mapping[str, pa.Schema] = {
    "curves": pa.schema(
        {"method": _TEXT, "seed": pa.int64(), "curve": _TEXT, "x": pa.float32(), "y": pa.float32()}
    ),
    "histogram": pa.schema(
        {"attack": _TEXT, "low": pa.float64(), "high": pa.float64(), "flows": pa.int64()}
    ),
    "timeline": pa.schema(
        {
            "bin": pa.int32(),
            "part": _TEXT,
            "start": _TIME,
            "end": _TIME,
            "flows": pa.int64(),
            "known": pa.int64(),
            "attacks": pa.int64(),
            "alerts": pa.int64(),
            "false_alerts": pa.int64(),
            "cut": pa.float64(),
            "score_max": pa.float64(),
            "score_q95": pa.float64(),
            "score_median": pa.float64(),
        }
    ),
    "events": pa.schema({"attack": _TEXT, "start": _TIME, "end": _TIME, "flows": pa.int64()}),
    "edges": pa.schema(
        {
            "bin": pa.int32(),
            "src": _TEXT,
            "dst": _TEXT,
            "flows": pa.int64(),
            "bytes": pa.float64(),
            "score": pa.float64(),
            "alerts": pa.int64(),
            "attacks": pa.int64(),
            "attack": _TEXT,
            "services": pa.string(),
        }
    ),
    "alerts": pa.schema(
        [
            *(ALERTS.field(name) for name in ALERTS.names if name != "bundle"),
            pa.field("bin", pa.int32()),
            pa.field("attack", _TEXT),
            pa.field("packets", pa.int64()),
            pa.field("bytes", pa.int64()),
            pa.field("pair_flows", pa.int64()),
        ]
    ),
    "details": pa.schema(
        {
            "flow_id": pa.int64(),
            "kind": _TEXT,
            "name": _TEXT,
            "value": pa.float64(),
            "usual": pa.float64(),
            "usual_of": _TEXT,
        }
    ),
    "sample": pa.schema(
        {
            "flow_id": pa.int64(),
            "attack": _TEXT,
            "score": pa.float64(),
            "alert": pa.bool_(),
            "features": pa.list_(pa.float32()),
            "embedding": pa.list_(pa.float32()),
        }
    ),
}
"""Table -> its columns.

`timeline.bin` numbers the bins of the test part from 0 and is -1 in the calibration part;
`edges.bin` is -1 for the whole test part. `alerts.pair_flows` counts the train flows of the same
pair of hosts; `details.usual_of` says whose mean `usual` is. `sample.embedding` is null where the
encoder emits none of its own.
"""


class Facts(BaseModel):
    """What the tables are about, and how much of it they show; `written` is ISO 8601, UTC.

    Where the cut moves, `moved` is the lowest and the highest of the test part, `cut` the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal["netvigil.evidence/2"] = "netvigil.evidence/2"
    written: str
    method: str
    seed: int
    cut: float
    moved: tuple[float, float] | None = None
    clock: bool
    labelled: bool
    addresses: bool
    bins: str
    test_flows: int
    alerts: int
    calibrate_flows: int
    above_on_calibration: float
    bins_total: int
    bins_drawn: int
    pairs_left_out: int
    feature_names: tuple[str, ...]
    sample_of: dict[str, int]


@dataclass(frozen=True)
class Evidence:
    """The tables of one run; `SCHEMAS` says what each holds.

    Raises:
        RunError: A table has other columns.
    """

    facts: Facts
    curves: pa.Table
    histogram: pa.Table
    timeline: pa.Table
    events: pa.Table
    edges: pa.Table
    alerts: pa.Table
    details: pa.Table
    sample: pa.Table

    def __post_init__(self) -> None:
        for name, table in self.tables():
            if not table.schema.equals(SCHEMAS[name]):
                msg = f"The evidence table '{name}' has other columns than this version writes."
                raise RunError(msg, where=str(table.schema.names), do="Run the experiment again.")

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield each table with its name."""
        for each in fields(self):
            if each.name != "facts":
                yield each.name, getattr(self, each.name)

    def save(self, folder: Path) -> None:
        """Write `facts.json` and one Parquet file a table into a folder that exists."""
        for name, table in self.tables():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        text = json.dumps(self.facts.model_dump(mode="json"), indent=1)
        (folder / "facts.json").write_text(f"{text}\n", "utf-8")

    @staticmethod
    def load(folder: Path) -> Evidence:
        """Read back what `save` wrote.

        Raises:
            RunError: It is absent, damaged or of another version.
        """
        do = "Run the experiment again with this version."
        try:
            facts = Facts.model_validate_json((folder / "facts.json").read_bytes())
            tables = {
                name: pq.read_table(folder / f"{name}.parquet").cast(schema)
                for name, schema in SCHEMAS.items()
            }
        except FileNotFoundError as error:
            msg = "This run kept nothing for its pictures, or not all of it."
            raise RunError(msg, where=f"{folder}: {error}", do=do) from error
        except (ValidationError, pa.ArrowException, OSError, ValueError) as error:
            msg = "What this run kept for its pictures is damaged, or of another version."
            raise RunError(msg, where=f"{folder}: {str(error).splitlines()[0]}", do=do) from error
        return Evidence(facts, **tables)


def table(name: str, /, **columns: object) -> pa.Table:
    """Make one of the tables from columns of equal length."""
    schema = SCHEMAS[name]
    arrays = []
    for column in schema:
        values = columns[column.name]
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        made = values if isinstance(values, pa.Array) else pa.array(values, from_pandas=False)
        if column.type == _TEXT:  # each name once in its dictionary, whoever made it
            made = made.cast(pa.string()).dictionary_encode()
        arrays.append(made if made.type == column.type else made.cast(column.type))
    return pa.table(arrays, schema=schema)
