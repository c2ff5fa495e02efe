"""Tables that somebody saved as Parquet: the same dialects, with types already there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from netvigil.errors import SourceError
from netvigil_flowprep.readers.dialect import Dialect
from netvigil_flowprep.readers.layout import Header, distinct_slugs
from netvigil_flowprep.readers.parsing import DataType, Layout
from netvigil_flowprep.readers.plan import Plan, frame_plan


def is_parquet(head: bytes) -> bool:
    """Whether these are the first bytes of a Parquet file."""
    return head.startswith(b"PAR1")


def parquet_plan(path: Path, dialect: Dialect, config: Any) -> Plan | None:
    """Return the plan for a Parquet file, None where its columns are another dialect's.

    Raises:
        SourceError: The file is damaged.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        msg = "The source is no readable Parquet file."
        raise SourceError(msg, where=f"{path}: {error}", do="Export it again.") from error
    header = Header(tuple(schema.names), distinct_slugs(schema.names), ",", 0)
    names = (dialect.rename_header(header) if dialect.rename_header else header).names
    if not names:  # the renaming found that this is another dialect
        return None
    types = {
        name: dialect.types.get(name, _type(field.type))
        for name, field in zip(names, schema, strict=True)
    }
    source_names = dict(zip(names, schema.names, strict=True))
    return frame_plan(path, dialect, config, Layout(types, ","), source_names)


def parquet_frames(plan: Plan, batch_rows: int) -> Iterator[pl.DataFrame]:
    """Yield the file's rows as raw frames with `row`."""
    names = plan.source_names or {}
    used = {root for expr in plan.outputs.values() for root in expr.meta.root_names()}
    checks = [*plan.rejects.values(), *plan.repairs.values(), *plan.prepare.values()]
    used |= {root for expr in checks for root in expr.meta.root_names()}
    wanted = [name for name in plan.layout.types if name in used]
    row = 0
    with pq.ParquetFile(plan.path) as file:
        for batch in file.iter_batches(batch_rows, columns=[names[name] for name in wanted]):
            frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
            frame = frame.rename({names[name]: name for name in wanted})
            frame = frame.with_columns(
                pl.col(name).cast(plan.layout.types[name], strict=False)
                for name in wanted
                if frame.schema[name] != plan.layout.types[name]
            )
            yield frame.with_columns(row=pl.int_range(row, row + frame.height))
            row += frame.height


def _type(arrow: pa.DataType) -> DataType:
    is_number = pa.types.is_integer(arrow) or pa.types.is_floating(arrow)
    return pl.Float32 if is_number or pa.types.is_boolean(arrow) else pl.String
