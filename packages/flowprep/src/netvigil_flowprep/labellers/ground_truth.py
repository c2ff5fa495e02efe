"""Labeller `ground-truth`: a table of attack flows by endpoints, ports, protocol and time.

Rows need not be flows of the same exporter: a flow matches a row whose endpoints are its own, in
    either direction, and whose time overlaps its own. Columns that the table lacks, and cells that
    are empty, match anything.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from netvigil.contracts import FlowTable, LabelTable
from netvigil.errors import SourceError
from netvigil_flowprep.labellers.cells import integers, protocols, texts, times_us
from netvigil_flowprep.labellers.config import GroundTruthConfig
from netvigil_flowprep.labellers.mapping import Mapping
from netvigil_flowprep.labellers.summary import LabelSummary, Tally
from netvigil_flowprep.labellers.truth import Truth, TruthIndex, require_clock

BENIGN = ("benign", "normal", "legitimate")
UNKNOWN = ("background", "unknown", "suspicious")


class GroundTruth:
    """Labels flows by a table; see the module.

    A row whose category is benign or normal (or whose `is_attack` is 0) makes flows benign, one of
    background or unknown makes them unknown; a flow that matches an attack row too is an attack.
    """

    def __init__(self, config: GroundTruthConfig) -> None:
        self.config = config
        self._truth, self._unknown = read_truth(config)
        tolerance_us = round(config.tolerance_s * 1e6)
        rows = np.arange(len(self._truth))
        attacks = self._truth.is_attack
        self._indexes = [
            TruthIndex(self._truth, rows=rows[kind], tolerance_us=tolerance_us)
            for kind in (attacks, ~attacks & ~self._unknown, self._unknown)
        ]
        self._tally = Tally(len(self._truth))

    def label(self, flows: FlowTable, inline: pa.Table | None) -> LabelTable:
        """Label any batch of flows; `inline` is not used."""
        del inline
        if self._truth.has_times:
            require_clock(flows, where=str(self.config.truth))
        row = np.full(len(flows), -1, np.int64)
        for index in self._indexes:
            found = index.find(flows)
            row = np.where(row < 0, found, row)
        known = (row >= 0) | (self.config.others == "benign")
        known &= ~((row >= 0) & self._unknown[row])
        return self._tally.add(len(flows), self._truth.labels(flows, row, known), row)

    def summary(self) -> LabelSummary:
        """Return counts over all calls; `require_matches` refuses truth that matched nothing."""
        return self._tally.summary()

    def require_matches(self) -> None:
        """Refuse truth that met none of the flows so far: a wrong file or a wrong clock."""
        self.summary().require_matches(where=str(self.config.truth))


def read_truth(
    config: GroundTruthConfig,
) -> tuple[Truth, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Read the table; returns the truth and which of its rows say "unknown".

    Raises:
        SourceError: The table is missing, empty or holds cells that cannot be read.
        ConfigError: The mapping does not fit the table.
    """
    where = str(config.truth)
    table = _read_table(config.truth)
    mapping = Mapping.read(config.mapping)
    found = mapping.resolve(table.columns, where=where)
    table = table.select(pl.col(theirs).alias(ours) for ours, theirs in found.items())
    table = table.with_columns(_parsed(table, mapping, where))
    offset_us = round(config.offset_s * 1e6)
    times = [pl.col(n).alias(f"{n}_us") + offset_us for n in ("start", "end") if n in table.columns]
    table = table.with_columns(times)
    if "start_us" in table.columns and "end_us" not in table.columns:
        table = table.with_columns(pl.col("start_us").alias("end_us"))
    table = _kinds(table)
    return Truth.of(table), table["unknown"].to_numpy()


def _read_table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix in (".parquet", ".pq"):
            table = pl.read_parquet(path)
        else:
            table = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy")
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = "The truth table cannot be read."
        raise SourceError(msg, where=f"{path}: {str(error).splitlines()[0]}") from error
    if not table.height:
        msg = "The truth table has no rows."
        raise SourceError(msg, where=str(path))
    return table


def _parsed(table: pl.DataFrame, mapping: Mapping, where: str) -> list[pl.Series]:
    parsed = []
    for name in table.columns:
        cells = table[name]
        if name in ("start", "end"):
            time = mapping.time
            parsed.append(times_us(cells, where=where, unit=time.unit, time_format=time.format))
        elif name in ("src_port", "dst_port"):
            parsed.append(integers(cells, where=where, highest=0xFFFF))
        elif name == "protocol":
            parsed.append(protocols(cells, where=where))
        elif name == "is_attack":
            cells = cells.cast(pl.Int8) if cells.dtype == pl.Boolean else _truth_words(cells)
            parsed.append(integers(cells, where=where, highest=1).cast(pl.Boolean))
        else:
            parsed.append(texts(cells))
    return [series.alias(name) for series, name in zip(parsed, table.columns, strict=True)]


def _truth_words(cells: pl.Series) -> pl.Series:
    return texts(cells).str.to_lowercase().replace(["true", "false"], ["1", "0"])


def _kinds(table: pl.DataFrame) -> pl.DataFrame:
    if "category" in table.columns:
        word = pl.col("category").str.to_lowercase().fill_null("")
        table = table.with_columns(unknown=word.is_in(UNKNOWN), benign=word.is_in(BENIGN))
    else:
        table = table.with_columns(unknown=pl.lit(value=False), benign=pl.lit(value=False))
    said = pl.col("is_attack") if "is_attack" in table.columns else pl.lit(None, dtype=pl.Boolean)
    is_attack = said.fill_null(~pl.col("benign")) & ~pl.col("unknown")
    return table.with_columns(is_attack=is_attack)
