"""The files of a comparison; each appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

from netvigil.comparison.figures import LONG, WIDE, chosen
from netvigil.comparison.page import to_html
from netvigil.comparison.rows import Comparison
from netvigil.comparison.tables import to_csv, to_markdown
from netvigil.report.files import write_file


def write_all(comparison: Comparison, folder: Path) -> list[Path]:
    """Write `comparison.html`, `.csv` and `.md` into a folder."""
    wide, long = chosen(None, WIDE), chosen(None, LONG)
    texts = {
        "comparison.html": to_html(comparison),
        "comparison.csv": to_csv(comparison),
        "comparison.md": f"{to_markdown(comparison, wide, wide=True)}\n"
        f"{to_markdown(comparison, long, wide=False)}",
    }
    for name, text in texts.items():
        write_file(folder / name, text)
    return [folder / name for name in texts]
