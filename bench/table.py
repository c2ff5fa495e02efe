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
    "build-flow-host": "bench_dictionary_loop",
    "build-traffic-dispersion": "bench_snapshots",
    "encode-autographad-50": "bench_encode[50",
    "train-autographad-50": "bench_train[50",
    "train-autographad-4500": "bench_train[4500",
    "train-hetero-flow-gnn": "bench_train[1-thread-3]",
    "train-cggm": "bench_cggm.py::bench_train",
    "evaluate-scores": "bench_bootstrap[100000]",
}
"""Case -> part of the full name of the benchmark in this folder that has a baseline for it."""


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
    wanted = BASELINES.get(row["case"])
    ratio = next((f"{r:.3g}" for name, r in paired.items() if wanted and wanted in name), "")
    peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:,.0f}"
    limit = f"{row['times_limit']:.3g}, {row['bound']}" if "times_limit" in row else ""
    unit = "" if row["unit"] == "flows" else f" {row['unit']}"
    size = f"{row['flows']:,}"
    return row["room"], f"`{row['case']}`", size, rate(row["rate"]) + unit, peak, limit, ratio


if __name__ == "__main__":
    main(*sys.argv[1:])
