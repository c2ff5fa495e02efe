"""The table of `bench/README.md`: every case, its distance from the limit, its ratio to a baseline.

uv run netvigil bench --json > cases.json
uv run pytest bench --benchmark-only --benchmark-json ratios.json
uv run python bench/table.py cases.json ratios.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from netvigil.bench.shown import rate

BASELINES = {
    "build-flow-host": "bench_build.py::bench_dictionary_loop",
    "snapshots-cggm": "bench_cggm.py::bench_snapshots",
    "encode-anomal-e": "bench_anomale.py::bench_embed",
    "encode-autoencoder": "bench_tabular.py::bench_score",
    "encode-autographad-50": "bench_autographad.py::bench_score[50]",
    "encode-autographad-4500": "bench_autographad.py::bench_score[4500]",
    "evaluate-scores": "bench_evaluate.py::bench_bootstrap[100000]",
    "label-ground-truth": "bench_label.py::bench_loop_over_truth[1.0]",
    "read-parquet": "bench_read.py::bench_parquet_against_csv",
    "read-suricata": "bench_sensors.py::bench_suricata",
    "read-unsw-nb15": "bench_read.py::bench_csv_against_pandas",
    "read-zeek": "bench_sensors.py::bench_zeek_tsv",
    "start-help": "bench_startup.py::bench_start[help]",
    "train-anomal-e": "bench_anomale.py::bench_train",
    "train-autoencoder": "bench_tabular.py::bench_train[256]",
    "train-autographad-50": "bench_autographad.py::bench_train[50]",
    "train-autographad-4500": "bench_autographad.py::bench_train[4500]",
    "train-cggm": "bench_cggm.py::bench_train",
    "train-hetero-flow-gnn": "bench_heterognn.py::bench_train[3-1-thread]",
    "transform-default": "bench_transform.py::bench_default_transforms",
}
"""Case -> the benchmark in this folder that has a baseline for it."""
SCORED = ("bench_score.py::bench_score[{}]", "bench_score.py::bench_score_novelty[{}]")
"""The same for `score-NAME`."""


def main(cases: str, ratios: str) -> None:
    """Print the table."""
    found = json.loads(Path(cases).read_text("utf-8"))
    paired = _paired(json.loads(Path(ratios).read_text("utf-8")))
    print("| room | case | flows | per second | peak MB | x limit | x baseline |")  # noqa: T201
    print("|---|---|---|---|---|---|---|")  # noqa: T201
    for row in found["rows"]:
        print(f"| {' | '.join(_cells(row, paired))} |")  # noqa: T201


def _paired(report: dict[str, Any]) -> dict[str, float]:
    return {
        each["fullname"]: each["extra_info"]["ratio"]
        for each in report["benchmarks"]
        if "ratio" in each["extra_info"]
    }


def _cells(row: dict[str, Any], paired: dict[str, float]) -> tuple[str, ...]:
    scorer = row["case"].removeprefix("score-")
    wanted = (BASELINES.get(row["case"]), *(name.format(scorer) for name in SCORED))
    found = (r for full, r in paired.items() if full.rpartition("/")[2] in wanted)
    ratio = next((f"{r:.3g}" for r in found), "")
    peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:,.0f}"
    limit = f"{row['times_limit']:.3g}, {row['bound']}" if "times_limit" in row else ""
    unit = "" if row["unit"] == "flows" else f" {row['unit']}"
    size = f"{row['flows']:,}"
    return row["room"], f"`{row['case']}`", size, rate(row["rate"]) + unit, peak, limit, ratio


if __name__ == "__main__":
    main(*sys.argv[1:])
