"""`data inspect --html` on real captures and logs, looked at in a browser where there is one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .commands import UNSW, netvigil

CHROMIUM = shutil.which("chromium")
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
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (390, "dark")):
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            tab = context.new_page()
            wrong: list[str] = []
            tab.on("console", lambda message, wrong=wrong: wrong.append(message.text))
            tab.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
            asked: list[str] = []
            tab.on("request", lambda request, asked=asked: asked.append(request.url))
            tab.goto(page.as_uri())
            tab.click("#columns ~ .scroll th:has-text('distinct') button")
            first = tab.locator("#columns ~ .scroll tbody tr").first.inner_text()
            assert first.startswith(("flow_id", "source_row"))
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert wrong == []
            assert [url for url in asked if not url.startswith("file:")] == []
        browser.close()
