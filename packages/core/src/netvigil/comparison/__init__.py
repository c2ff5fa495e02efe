"""Finished runs side by side: `netvigil compare`, and the last step of a suite.

Reads receipts and nothing else: no scores, no labels, no flows.
"""

from __future__ import annotations

from netvigil.comparison.figures import FIGURES, LONG, WIDE, Figure, chosen
from netvigil.comparison.page import to_html
from netvigil.comparison.rows import Comparison, Ground, Line, Row, compare
from netvigil.comparison.runs import Run, find_runs
from netvigil.comparison.tables import (
    Grid,
    caption,
    long_grid,
    to_csv,
    to_markdown,
    to_rows,
    wide_grid,
    words,
)
from netvigil.comparison.write import write_all
from netvigil.report.files import write_file

__all__ = [
    "FIGURES",
    "LONG",
    "WIDE",
    "Comparison",
    "Figure",
    "Grid",
    "Ground",
    "Line",
    "Row",
    "Run",
    "caption",
    "chosen",
    "compare",
    "find_runs",
    "long_grid",
    "to_csv",
    "to_html",
    "to_markdown",
    "to_rows",
    "wide_grid",
    "words",
    "write_all",
    "write_file",
]
