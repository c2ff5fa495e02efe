"""`bench/scale.py`: what it leaves, and that it sees cost and memory that grow too fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench import scale

SIZES = (1_000, 2_000, 4_000)


def _runs(cost: list[float], memory: list[float | None]) -> list[dict[str, Any]]:
    sizes = (10**5, 10**6, 10**7)
    return [
        {
            "phases": {
                name: {"flows": n, "seconds": s, "cpu_s": s, "peak_mb": mb}
                for name in scale.COUNTED
            }
        }
        for n, s, mb in zip(sizes, cost, memory, strict=True)
    ]


def test_every_size_is_measured_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "fresh", scale.step)  # seven new interpreters take a while
    sizes = ",".join(map(str, SIZES))
    # So little takes no time that could be judged.
    easy = ["--slope", "9", "--growth", "9", "--fit", "3000", "--rate", "10"]
    done = CliRunner().invoke(
        scale.main, ["--sizes", sizes, *easy, "--out", str(tmp_path)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scale.json", "scale.svg"]
    result = json.loads((tmp_path / "scale.json").read_text("utf-8"))
    assert [run["flows"] for run in result["sizes"]] == list(SIZES)
    for run in result["sizes"]:
        assert {"write", "detect"} <= set(run["phases"])
        for name in scale.COUNTED:
            assert run["phases"][name]["flows"] == run["flows"]
            assert run["phases"][name]["seconds"] > 0
    assert "detect" in result["verdicts"]
    picture = (tmp_path / "scale.svg").read_text("utf-8")
    assert "Peak memory" in picture
    assert "detect" in picture
    assert "math" not in picture
    assert "1 k<" in picture


def test_a_step_runs_in_an_interpreter_of_its_own(tmp_path: Path) -> None:
    took = scale.fresh("write", tmp_path / "w.parquet", flows=1_000, rate=10.0, seed=0)
    assert took["phases"]["write"]["flows"] == 1_000
    assert (tmp_path / "w.parquet").is_file()


@pytest.mark.parametrize(
    ("cost", "memory", "linear", "flat"),
    [
        ([1, 10, 100], [100, 500, 510], True, True),
        ([1, 10, 160], [100, 500, 510], False, True),  # only the last step is too steep
        ([1, 10, 100], [500, 500, 700], True, False),
        ([5, 14, 100], [None, None, None], True, True),  # nothing knows the memory
    ],
)
def test_growth_is_judged(
    cost: list[float], memory: list[float | None], linear: bool, flat: bool
) -> None:
    for verdict in scale.judged(_runs(cost, memory), scale.Limits()).values():
        assert (verdict["linear"], verdict["flat"]) == (linear, flat)


def test_one_size_says_nothing_about_growth() -> None:
    done = CliRunner().invoke(scale.main, ["--sizes", "1000"])
    assert done.exit_code == 2
    assert "two sizes" in done.output
