"""A finished run for the report, on parts of a few lines, so that core needs nobody else's.

This module is a plugin like any other, and never registered but here. The method says little: each
flow's score is how far its features lie from the middle of the train flows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from netvigil import builtins, parts, runner
from netvigil.config import parse_experiment
from netvigil.contracts import (
    EncodedFlows,
    FlowBatch,
    FlowFeatures,
    FlowTable,
    ReadReport,
    ScoreTable,
    WindowGraphs,
    WindowStream,
)
from netvigil.hookspecs import hookimpl
from netvigil.phases import Phases
from netvigil.plugins import load_plugins
from netvigil.protocols import Calibration, SourceHead, State
from netvigil.store import FlowStore
from netvigil.testing.synthetic import traffic

WINDOW_US = 60_000_000
KEEP = 0.01  # share of calibration flows above the cut


class _Learnt:
    """Keeps what a part learnt, one array."""

    def __init__(self, config: parts.NoConfig) -> None:
        self.config = config
        self.learnt: NDArray[np.float64] = np.zeros(1)

    def get_state(self) -> State:
        return State(arrays={"learnt": self.learnt})

    def set_state(self, state: State) -> Self:
        self.learnt = state.arrays["learnt"]
        return self


class _Stored:
    """Reads a file that netvigil wrote."""

    def __init__(self, config: parts.NoConfig) -> None:
        self.config = config

    def sniff(self, head: SourceHead) -> str | None:
        return "Parquet" if head.head.startswith(b"PAR1") else None

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        for flows in FlowStore.open(source).batches(rows=batch_rows):
            yield FlowBatch(flows, ReadReport(read=len(flows)))


class _Minutes:
    """Windows of a minute, without hosts."""

    def __init__(self, config: parts.NoConfig) -> None:
        self.config = config

    def check(self, flows: FlowTable) -> None:
        del flows

    def window_of(self, flows: FlowTable, *, first_row: int) -> NDArray[np.int64]:
        del first_row
        return flows.start_us // WINDOW_US

    def build(
        self, flows: FlowTable, features: FlowFeatures, window: NDArray[np.int64]
    ) -> WindowGraphs:
        number, first = np.unique(window, return_index=True)
        return WindowGraphs(
            schema="flows-only",
            feature_names=features.names,
            flow_id=flows.flow_id,
            flow_x=np.ascontiguousarray(features.x),
            flow_ptr=np.append(first, len(flows)),
            window_start=number * WINDOW_US,
            flow_src=np.zeros(0, np.int32),
            flow_dst=np.zeros(0, np.int32),
            node_ptr=np.zeros(len(number) + 1, np.int64),
            node_key=np.zeros(0, np.uint64),
            flow_service=None,
        )


class Logs(_Learnt):
    """Logarithms of features, as the embedding."""

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Learn nothing."""
        del windows, seed
        return self

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Take the logarithms."""
        start = windows.window_start[windows.window_of_flow()]
        x = np.log1p(np.maximum(windows.flow_x, 0))
        return EncodedFlows(windows.flow_id, start, embedding=x)


class Middle(_Learnt):
    """The distance from the train flows' mean."""

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        """Learn the mean of each feature."""
        del seed
        self.learnt = _x(encoded).mean(axis=0, dtype=np.float64)
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        """Add up the distances from it."""
        far = np.abs(_x(encoded) - self.learnt).sum(axis=1)
        return ScoreTable(encoded.flow_id, far, encoded.window_start)


class _Share(_Learnt):
    """A quantile of the calibration scores."""

    @property
    def cut_(self) -> float:
        return float(self.learnt[0])

    def fit(self, calibration: Calibration, *, seed: int) -> Self:
        del seed
        self.learnt = np.quantile(calibration.score, [1 - KEEP])
        return self

    def provenance(self) -> str:
        return f"the {1 - KEEP:.0%} quantile of the calibration scores"


def _x(encoded: EncodedFlows) -> NDArray[np.float32]:
    assert encoded.embedding is not None
    return encoded.embedding


@hookimpl
def netvigil_flow_readers() -> Iterator[parts.FlowReader]:
    """A reader of stores."""
    yield parts.FlowReader(name="stored", summary="A store.", make=_Stored)


@hookimpl
def netvigil_graph_builders() -> Iterator[parts.GraphBuilder]:
    """A builder of windows."""
    yield parts.GraphBuilder(
        name="minutes",
        summary="Minutes.",
        make=_Minutes,
        emits="flows-only",
        needs_addresses=False,
    )


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """An encoder."""
    yield parts.Encoder(name="logs", summary="Logs.", make=Logs, accepts=("flows-only",))


@hookimpl
def netvigil_scorers() -> Iterator[parts.Scorer]:
    """A scorer."""
    yield parts.Scorer(name="middle", summary="Distance.", make=Middle)


@hookimpl
def netvigil_thresholds() -> Iterator[parts.Threshold]:
    """A threshold."""
    yield parts.Threshold(name="share", summary="A quantile.", make=_Share)


def finish_run(folder: Path, flows: int, *, seed: int) -> Path:
    """Run the experiment on synthetic traffic of so many flows and return the run's folder."""
    made = traffic(flows, seed=seed)
    store = folder / "flows.parquet"
    FlowStore.write(iter([FlowBatch(made.flows, ReadReport(read=flows))]), store)
    pq.write_table(made.labels.table, folder / "truth.parquet")
    experiment: dict[str, Any] = {
        "flows": {"source": str(store), "reader": "stored"},
        "labels": {"labeller": "table", "truth": str(folder / "truth.parquet")},
        "split": {"protocol": "time", "train": 0.5, "calibrate": 0.2},
        "features": {"transforms": []},
        "graph": {"builder": "minutes"},
        "encoder": {"name": "logs"},
        "scorer": {"name": "middle"},
        "threshold": {"name": "share"},
        "evaluate": {"resamples": 20},
        "run": {"seeds": [seed]},
    }
    plugins = load_plugins(entry_points=False, extra=[builtins, sys.modules[__name__]])
    out = folder / "run"
    runner.run(
        parse_experiment(experiment, base=folder), plugins, base=folder, out=out, phases=Phases()
    )
    return out
