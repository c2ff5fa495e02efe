"""From a CSV file to scores and alerts, against the published way; and peak memory, at any length.

The published way is what the notebooks do: pandas, scikit-learn, a networkx multigraph of the
flows, PyOD directly. Ours is `netvigil detect` with a fitted bundle: the same features, flow-host
windows, the same detector, and alerts with reasons on top.

    uv run pytest bench/bench_end_to_end.py --benchmark-only
    uv run pytest bench/bench_end_to_end.py --benchmark-only --rows 10000000
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyod.models.pca import PCA

from bench.baselines.networkx_graph import multigraph
from bench.baselines.pandas_transforms import Preprocessing
from bench.baselines.tiled_flows import SHIFT_S, source
from netvigil import runner
from netvigil.config import parse_experiment
from netvigil.dataset import convert
from netvigil.phases import Phases
from netvigil.plugins import load_plugins

ROWS_OF_SOURCE = 20_000
BUDGET_MB = 2_000  # what a laptop has to spare, whatever the length of the capture
TIMES = (28, 29)  # columns of the start and the end, in seconds


def tile_csv(target: Path, rows: int) -> Path:
    """Write the 20,000 real rows again and again, each copy 802 s later."""
    lines = source().read_text("utf-8-sig").splitlines()
    cells = [line.split(",") for line in lines]
    heads = [",".join(c[: TIMES[0]]) for c in cells]
    times = np.array([[int(c[t]) for t in TIMES] for c in cells])
    tails = [",".join(c[TIMES[1] + 1 :]) for c in cells]
    with target.open("w", encoding="utf-8") as file:
        for copy in range(rows // ROWS_OF_SOURCE):
            moved = (times + copy * SHIFT_S).tolist()
            rows_of_copy = zip(heads, moved, tails, strict=True)
            file.writelines(f"{a},{s},{e},{b}\n" for a, (s, e), b in rows_of_copy)
    return target


def fit_bundle(folder: Path, **sections: dict[str, Any]) -> Path:
    """Fit a bundle on the real rows; sections replace those that are usual here."""
    bundle = folder / "bundle"
    values: dict[str, Any] = {
        "flows": {"source": str(source())},
        "labels": {"labeller": "inline"},
        "split": {"axis": "flows"},
        "train": {"drop_attacks": True},
        "graph": {"builder": "flow-host", "window_s": 180},
        "scorer": {"name": "pca"},
        "threshold": {"name": "quantile", "keep": 0.005},
    }
    experiment = parse_experiment(values | sections, base=folder)
    runner.fit(experiment, load_plugins(), base=folder, out=bundle, phases=Phases())
    return bundle


def detect(bundle: str, flows: str, out: str) -> int:
    """Score a file; module-level, so that a fresh interpreter can run it."""
    shutil.rmtree(out, ignore_errors=True)
    plugins = load_plugins()
    return runner.detect(Path(bundle), Path(flows), plugins, out=Path(out), phases=Phases()).flows


def to_parquet(flows: str, target: str) -> int:
    """Convert a file; module-level, so that a fresh interpreter can run it."""
    return int(convert(Path(flows), Path(target), Phases())["flows"])


class Published:
    """pandas rows, a networkx multigraph, PyOD's own scores."""

    def __init__(self, path: Path) -> None:
        self.path = path
        numbers, texts = self._columns(self._read())
        self.preprocessing = Preprocessing().fit(numbers, texts)
        x = self.preprocessing.transform(numbers, texts)
        self.detector = PCA(n_components=0.98).fit(x[:, x.std(axis=0) > 0])
        self.kept = x.std(axis=0) > 0

    def detect(self) -> int:
        """Read, prepare, build the graph and score."""
        frame = self._read()
        x = self.preprocessing.transform(*self._columns(frame))
        multigraph(frame[0].tolist(), frame[2].tolist(), x)
        return len(self.detector.decision_function(x[:, self.kept]))

    def _read(self) -> pd.DataFrame:
        return pd.read_csv(self.path, header=None, low_memory=False)

    def _columns(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        texts = frame[[4, 5, 13]].astype(str)
        left_out = [0, 1, 2, 3, 4, 5, 9, 10, 13, 20, 21, 28, 29, 36, 47, 48]
        numbers = frame.drop(columns=left_out)
        return numbers.apply(pd.to_numeric, errors="coerce"), texts


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit_bundle(tmp_path_factory.mktemp("fitted"))


def bench_detect_against_the_published_way(paired: Any, bundle: Path, tmp_path: Path) -> None:
    flows = tile_csv(tmp_path / "flows.csv", 200_000)
    few = tile_csv(tmp_path / "few.csv", ROWS_OF_SOURCE)
    published = Published(few)
    out = tmp_path / "out"
    paired(
        lambda: detect(str(bundle), str(flows), str(out)),
        published.detect,
        name="detect, CSV to alerts, vs pandas + networkx + PyOD",
        floor=10,
        rounds=2,
    )


def bench_detect_with_a_graph_encoder(alone: Any, tmp_path: Path) -> None:
    """From our parquet to scores and alerts: 0.4 M flows/s on busy cores; 1 M is wanted on two."""
    pytest.importorskip("netvigil_autographad")
    encoder = {"name": "autographad", "epochs": 2}
    bundle = fit_bundle(tmp_path, encoder=encoder, scorer={"name": "weighted-terms"})
    csv, flows = tile_csv(tmp_path / "flows.csv", 1_000_000), tmp_path / "flows.parquet"
    to_parquet(str(csv), str(flows))
    out = str(tmp_path / "out")
    alone(lambda: detect(str(bundle), str(flows), out), name="detect, AutoGraphAD, from parquet")


@pytest.mark.parametrize("what", ["convert", "detect"])
def bench_memory_does_not_grow_with_the_capture(
    what: str, bundle: Path, fresh: Any, benchmark: Any, request: Any, tmp_path: Path
) -> None:
    """Peak memory of a fresh process stays within the budget, and barely differs at a quarter."""
    rows = request.config.getoption("--rows")
    peaks = {}

    def measure() -> None:
        for size in (rows // 4, rows):
            flows = tile_csv(tmp_path / "flows.csv", size)
            if what == "convert":
                peaks[size] = fresh(to_parquet, str(flows), str(tmp_path / "flows.parquet"))
            else:
                peaks[size] = fresh(detect, str(bundle), str(flows), str(tmp_path / "out"))
            flows.unlink()

    benchmark.pedantic(measure, rounds=1)
    whole = peaks[rows]
    benchmark.extra_info.update(
        rows=rows,
        flows_per_s=whole.flows / whole.seconds,
        peak_mb=whole.peak_mb,
        peak_mb_at_a_quarter=peaks[rows // 4].peak_mb,
    )
    assert whole.peak_mb < BUDGET_MB, peaks
