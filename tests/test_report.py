"""`report.html` of real and of hostile traffic, used as a person would use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from netvigil.contracts import FlowBatch, FlowTable
from netvigil.report import projections
from netvigil.store import FlowStore
from netvigil.testing.synthetic import stream

from .browser import SCREENS, needs_browser, opened
from .commands import UNSW, experiment, netvigil, read_json

LARGEST = 5_000_000
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e\"'$\\frac{a_"
)
GRAPH = {"builder": "flow-host", "window_s": 60}


def hostile(path: Path, flows: int) -> Path:
    """Write synthetic traffic whose busiest attacker and every attack bear a hostile name."""

    def batches() -> Iterator[FlowBatch]:
        for batch in stream(flows, seed=0):
            table, inline = batch.flows.table, batch.inline
            assert inline is not None
            attack = inline["attack"].to_pylist()
            marked = [None if name is None else f"{name}{HOSTILE}" for name in attack]
            column = inline.column_names.index("attack")
            inline = inline.set_column(column, "attack", pa.array(marked, pa.string()))
            source = table["src_ip"].cast(pa.string()).to_pylist()
            shown = [
                f"{ip}{HOSTILE}" if name is not None else ip
                for ip, name in zip(source, attack, strict=True)
            ]
            place = table.column_names.index("src_ip")
            typed = pa.array(shown, pa.string()).cast(table.schema.field("src_ip").type)
            table = table.set_column(place, "src_ip", typed)
            yield FlowBatch(FlowTable(table, batch.flows.info), batch.report, inline)

    FlowStore.write(batches(), path)
    return path


@contextmanager
def plain_points() -> Iterator[None]:
    """Put PCA in the place of t-SNE, which takes most of the time that a page takes."""
    real = projections._projected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            projections, "_projected", lambda raw, shape, _, dims: real(raw, shape, "pca", dims)
        )
        yield


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on hostile traffic with a graph method; tests only read it."""
    folder = tmp_path_factory.mktemp("evil")
    source = hostile(folder / "evil.parquet", 6_000)
    file = experiment(
        folder / "e.toml",
        source,
        graph=GRAPH,
        encoder={"name": "autographad", "epochs": 2},
        scorer={"name": "weighted-terms"},
        train={"drop_attacks": True},
        run={"seeds": [0, 1]},
    )
    with plain_points():
        netvigil("run", file, "--out", folder / "run")
    return folder / "run"


def test_a_run_draws_its_page_and_other_figures(evil: Path, tmp_path: Path) -> None:
    assert (evil / "report.html").stat().st_size < LARGEST
    done = json.loads(
        netvigil("report", evil, "--to", tmp_path / "r.html", "--png", tmp_path / "png", "--json")
    )
    assert done["report"] == str(tmp_path / "r.html")
    names = {Path(png).stem for png in done["figures"]}
    assert {
        "precision-recall",
        "timeline",
        "traffic",
        "training-loss",
        "features-t-sne-3d",
    } <= names
    for png in done["figures"]:
        assert Path(png).read_bytes().startswith(b"\x89PNG")


def test_a_run_can_do_without(evil: Path, tmp_path: Path) -> None:
    file = experiment(tmp_path / "e.toml", evil.parent / "evil.parquet", scorer={"name": "pca"})
    netvigil("run", "--no-report", file, "--out", tmp_path / "run")
    assert not (tmp_path / "run" / "report.html").exists()
    with plain_points():
        assert "Report: " in netvigil("report", tmp_path / "run")


def test_what_is_no_run_is_refused(tmp_path: Path, evil: Path) -> None:
    assert "no such run folder" in netvigil("report", tmp_path / "absent", code=2)
    assert "needs a name" in netvigil("report", evil, evil, code=2)


@needs_browser
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_a_page_of_hostile_traffic_in_a_browser(evil: Path, width: int, scheme: Any) -> None:
    with opened(evil / "report.html", width=width, scheme=scheme) as tab:
        # The graph is drawn: circles for hosts, paths for pairs.
        panel = ".panel[data-side=right]"
        assert tab.locator(f"{panel} svg circle").count() > 1
        assert tab.locator(f"{panel} svg path").count() > 1
        # A click on the timeline opens another window.
        before = tab.locator(f"{panel} select").input_value()
        picture = tab.locator("section.timeline svg")
        box = picture.bounding_box()
        assert box is not None
        chosen = set()
        for share in (0.3, 0.6, 0.9):
            picture.click(position={"x": box["width"] * share, "y": box["height"] * 0.3})
            chosen.add(tab.locator(f"{panel} select").input_value())
        assert chosen - {before}
        assert "flows" in tab.locator("section.timeline .tip").inner_text()
        # The alerts sort, by number and by text, and answer a search.
        scores = tab.locator("table.alerts tbody tr td:nth-child(2)")
        shown = [float(text.replace(",", "")) for text in scores.all_inner_texts()]
        assert shown == sorted(shown, reverse=True)
        # Hostile names are text, and nothing but text.
        words = tab.locator("table.alerts tbody").inner_text()
        assert "<img src=x onerror=alert(2)>" in words
        assert not {"\x1b", "\u202e"} & set(words)
        tab.click("table.alerts th:has-text('score') button")
        shown = [float(text.replace(",", "")) for text in scores.all_inner_texts()]
        assert shown == sorted(shown)
        tab.select_option("section.alerts select", "pair")
        assert tab.locator("table.alerts tr.group").count() > 0
        tab.select_option("section.alerts select", "")
        tab.click("table.alerts tbody tr:first-child button")
        assert "usual" in tab.locator("table.alerts tr.detail").inner_text()
        tab.fill("section.alerts input", "no alert says this")
        assert tab.locator("table.alerts tbody tr").count() == 0
        # Three dimensions, other layouts, other colours.
        for name, value in (("layout", "circle"), ("colour", "truth")):
            tab.select_option(f"section.traffic select[name={name}]", value)
        for name, value in (("dims", "3"), ("method", "pca"), ("colour", "score")):
            tab.select_option(f"section.points select[name={name}]", value)
        assert tab.locator("img").count() == 0
        assert tab.locator("script:not([type])").count() == 6


@needs_browser
def test_two_runs_on_real_flows_in_a_browser(data: Path, tmp_path: Path) -> None:
    for name in ("pca", "hbos"):
        file = experiment(
            tmp_path / f"{name}.toml",
            data / UNSW,
            scorer={"name": name},
            graph=GRAPH,
            train={"drop_attacks": True},
        )
        netvigil("run", "--no-report", file, "--out", tmp_path / "runs" / name)
    page = tmp_path / "runs" / "report.html"
    with plain_points():
        netvigil("report", tmp_path / "runs")
    assert page.stat().st_size < LARGEST
    with opened(page) as tab:
        assert tab.locator("[role=tab]").count() == 2
        assert tab.locator("article:visible").count() == 1
        tab.click("[role=tab] >> nth=1")
        assert tab.locator("#run-1").is_visible()
        assert not tab.locator("#run-0").is_visible()
        tab.fill("#filter", "pair-rarity")
        assert tab.locator("#figures tbody tr:visible").count() == 1
        header = tab.locator("#figures th:has-text('AUROC') button")
        header.click()
        tab.fill("#filter", "")
        cells = tab.locator("#figures tbody tr td[data-value]").all_inner_texts()
        assert cells


def test_many_flows_are_sampled_and_said(tmp_path: Path) -> None:
    source = tmp_path / "many.parquet"
    FlowStore.write(stream(200_000, seed=0), source)
    quick = {"resamples": 2, "baselines": []}
    file = experiment(
        tmp_path / "e.toml", source, graph=GRAPH, evaluate=quick, scorer={"name": "pca"}
    )
    with plain_points():
        netvigil("run", file, "--out", tmp_path / "run")
    text = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert len(text.encode()) < LARGEST
    facts = read_json(tmp_path / "run" / "evidence" / "facts.json")
    assert facts["test_flows"] > 50_000
    assert f"A sample of 800 of {facts['test_flows']:,} test flows" in text
    assert "highest are listed" in text
    total = sum(path.stat().st_size for path in (tmp_path / "run" / "evidence").iterdir())
    assert total < 3_000_000
    assert np.isfinite(facts["cut"])
