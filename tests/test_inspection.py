"""`data inspect --html` on real captures and logs, looked at in a browser where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .browser import CHROMIUM, SCREENS, opened
from .commands import UNSW, netvigil

SOURCES = {
    UNSW: ("fuzzers", "Class shares over time", "denied: TTL"),
    "westermo/flows_right.csv.gz": ("portscan", "Class shares over time", "all missing"),
    "nsl-kdd/KDDTrain+_20Percent.txt": ("no clock", "Class shares over rows", "names no address"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_page_about_real_flows(
    source: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netvigil.inspection.page.PANELS", 5)  # drawing is what takes long
    page = tmp_path / "page.html"
    found = json.loads(netvigil("data", "inspect", data / source, "--html", page, "--json"))
    assert found["page"] == str(page)
    text = page.read_text("utf-8")
    assert len(text) < 3_000_000
    for words in SOURCES[source]:
        assert words in text
    assert all(f">{column['name']}" in text for column in found["columns"])
    if CHROMIUM is not None and source == UNSW:
        _look(page)


def _look(page: Path) -> None:
    """Open the page in a browser, on a laptop and on a phone, and sort a table."""
    for width, scheme in SCREENS:
        with opened(page, width=width, scheme=scheme) as tab:
            tab.click("#columns ~ .scroll th:has-text('distinct') button")
            first = tab.locator("#columns ~ .scroll tbody tr").first.inner_text()
            assert first.startswith(("flow_id", "source_row"))
