"""Finished runs on small honest parts, for tests of what is drawn of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from netvigil import runner
from netvigil.phases import Phases

from . import fakes

HOSTILE = "</script><script>alert('1')</script><b onmouseover=\"x\">$\\frac{a\x1b[31m\u202e_"
"""Ends a script, opens a tag, quotes both ways, mathematics, control and formatting characters."""


def run(folder: Path, rows: Mapping[str, list[Any]], **sections: Any) -> Path:
    """Run an experiment on rows and return the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    source = fakes.write_csv(folder / "a.csv", rows)
    settings: dict[str, Any] = {"evaluate": {"baselines": [], "resamples": 5}, **sections}
    runner.run(
        fakes.experiment(source, **settings),
        fakes.plugins(),
        base=folder,
        out=folder / "run",
        phases=Phases(),
    )
    return folder / "run"


def changed(rows: Mapping[str, list[Any]], **columns: Callable[[Any], Any]) -> dict[str, list[Any]]:
    """Return rows with some columns put through a function."""
    return {n: [columns[n](v) for v in c] if n in columns else c for n, c in rows.items()}
