"""Labels for a million flows, against reading the same rows and against a loop over the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from bench.baselines.label_loop import ENDS, by_rows
from bench.baselines.tiled_flows import source, tiled
from netvigil.contracts import FlowTable
from netvigil_flowprep.labellers.config import GroundTruthConfig
from netvigil_flowprep.labellers.ground_truth import GroundTruth

COPIES = 50
EVERY = 10  # a tenth of the flows is truth: 100,000 rows
COLUMNS = [*ENDS, "protocol", "start", "end"]


def _truth(flows: FlowTable) -> pl.DataFrame:
    return pl.DataFrame(flows.table.select(COLUMNS)).gather_every(EVERY)


def _join(flows: FlowTable, labeller: GroundTruth) -> Callable[[], int]:
    def once() -> int:
        return len(labeller.label(flows, None))

    return once


def bench_ground_truth_join(paired: Any, tmp_path: Path) -> None:
    """Read the truth, index it and label, against merely splitting the flows' lines into texts."""
    flows = tiled(COPIES)
    truth, rows = tmp_path / "truth.csv", tmp_path / "rows.csv"
    _truth(flows).write_csv(truth)
    rows.write_bytes(source().read_bytes() * COPIES)

    def ours() -> int:
        return len(GroundTruth(GroundTruthConfig(truth=truth)).label(flows, None))

    def reading() -> int:
        return pl.read_csv(rows, has_header=False, infer_schema=False).height

    paired(ours, reading, name="ground-truth join vs polars.read_csv of the flows", floor=1)


def bench_join_alone(alone: Any, tmp_path: Path) -> None:
    flows = tiled(COPIES)
    path = tmp_path / "truth.parquet"
    _truth(flows).write_parquet(path)
    labeller = GroundTruth(GroundTruthConfig(truth=path))
    alone(_join(flows, labeller), name="ground-truth join, 1 M flows, 100,000 rows")


@pytest.mark.parametrize("tolerance_s", [1.0])
def bench_loop_over_truth(paired: Any, tmp_path: Path, tolerance_s: float) -> None:
    flows = tiled(1)
    path = tmp_path / "truth.parquet"
    _truth(flows).write_parquet(path)
    labeller = GroundTruth(GroundTruthConfig(truth=path, tolerance_s=tolerance_s))
    frame = flows.table.select(COLUMNS).to_pandas()
    frame = frame.assign(**{n: frame[n].dt.tz_localize(None) for n in ("start", "end")})
    truth = pd.read_parquet(path).head(200)
    whole = len(pd.read_parquet(path))

    def loop() -> int:
        # As many flows as it would label in this time, had it all rows of truth to look at.
        return max(1, len(by_rows(frame, truth, tolerance_s=tolerance_s)) * len(truth) // whole)

    paired(_join(flows, labeller), loop, name="ground-truth join vs loop over 2,000 rows")
