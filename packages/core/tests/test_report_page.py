"""`report.html`: offline, nothing in it is obeyed, and it says what it leaves out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil

import pytest
from markupsafe import escape

from netvigil.errors import ConfigError, RunError
from netvigil.evaluation import printable
from netvigil.explaining.explain import Request, explain
from netvigil.explaining.results import FILE, Explanations
from netvigil.phases import Phases
from netvigil.report import open_run, open_runs, to_html, write_page, write_pngs
from netvigil.report import page as module
from netvigil.report.write import page_path

from . import fakes, finished
from .test_comparison_page import Page as Parser

LARGEST = 5_000_000
MEASURED = ("x_a", "x_b", "packets", "bytes")


class Page(Parser):
    """A page, its sections' headings, and the data its scripts draw from."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.data = [
            json.loads(found)
            for found in re.findall(
                r'<script type="application/json" class="data">(.*?)</script>', text, re.DOTALL
            )
        ]
        self.headings = re.findall(r"<h3>(.*?)</h3>", text)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A run with labels; tests only read it."""
    return finished.run(tmp_path_factory.mktemp("labelled"), fakes.traffic())


@pytest.fixture(scope="module")
def text(labelled):
    return to_html([open_run(labelled)])


def test_it_needs_nothing_from_elsewhere(text):
    assert len(text) < LARGEST
    for tag, attributes in Page(text).elements:
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "action", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(http" not in text


def test_its_policy_allows_its_own_scripts_alone(text):
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == len(module.SCRIPTS)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    (policy,) = [attrs["content"] for attrs in Page(text).all("meta") if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("script-src " + " ".join(f"'sha256-{digest}'" for digest in digests))


def test_it_shows_every_section_of_a_judged_run(text, labelled):
    page = Page(text)
    assert page.headings == [
        "Curves",
        "Scores over time",
        "Who talked to whom",
        "Alerts",
        "Found and missed",
        "Is the promised rate kept?",
        "Flows as points",
    ]
    receipt = open_run(labelled).receipt
    assert receipt.evaluation is not None
    head = receipt.evaluation.headline
    assert f"{head.attacks:,} attacks, {head.benign:,} benign" in text
    assert f"base rate {head.prevalence:.3f}" in text
    for method in head.methods:
        assert method.method in text
    (data,) = page.data
    facts = open_run(labelled).facts
    assert len(data["alerts"]) == facts.alerts
    assert sum(row[3] for row in data["bins"]) == facts.test_flows
    assert set(data["points"]["views"]) == {
        f"features|{m}|{d}" for m in ("pca", "t-sne") for d in (2, 3)
    } | {key for key in data["points"]["views"] if key.startswith("embedding")}
    assert all(alert["reasons"] for alert in data["alerts"])


def test_each_alert_stands_beside_what_is_usual(labelled, text):
    (data,) = Page(text).data
    run = open_run(labelled)
    ids = set(run.evidence.details["flow_id"].to_pylist())
    assert ids <= set(run.evidence.alerts["flow_id"].to_pylist())
    beside = [line for alert in data["alerts"] for line in alert["beside"]]
    assert {line[4] for line in beside} <= {"this pair", "all train flows", "calibration flows"}
    assert any(line[1] == "x_a" for line in beside)


@pytest.mark.slow
def test_without_labels_it_says_so_and_leaves_out_what_needs_them(tmp_path):
    rows = {name: column for name, column in fakes.traffic().items() if name != "label"}
    folder = finished.run(tmp_path, rows, labels=None, train={"drop_attacks": False})
    text = to_html([open_run(folder)])
    page = Page(text)
    assert "Nothing labels these flows" in text
    assert "Found and missed" not in page.headings
    assert "Precision and recall" not in text
    assert {"Alerts", "Scores over time", "Who talked to whom"} <= set(page.headings)
    assert not page.data[0]["labelled"]


@pytest.mark.slow
def test_no_alert_one_window_and_no_clock_are_said(tmp_path):
    folder = finished.run(
        tmp_path,
        finished.changed(fakes.traffic(clock=False), **dict.fromkeys(MEASURED, lambda _: 1)),
        split={"protocol": "rows", "train": 0.6, "calibrate": 0.2},
        graph={"builder": "flow-host", "window_flows": 100_000},
    )
    text = to_html([open_run(folder)])
    (data,) = Page(text).data
    assert "No test flow scores above the cut" in text
    assert data["alerts"] == []
    assert not data["clock"]
    assert "equal slices of rows" in text
    assert "which has no clock" in text


@pytest.mark.slow
def test_hostile_text_is_only_text(tmp_path):
    evil = finished.HOSTILE
    rows = finished.changed(
        fakes.traffic(),
        src=lambda v: evil if v == "203.0.113.9" else v,
        label=lambda v: evil if v == "scan" else v,
    )
    folder = finished.run(tmp_path, rows)
    run = open_run(folder)
    text = to_html([run])
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text.replace("\\u202e", "")
    page = Page(text)
    assert not [attrs for _, attrs in page.elements if "onmouseover" in attrs]
    assert len(page.all("script")) == len(module.SCRIPTS) + 1
    # Scripts get the text without its control characters, and set it as text.
    (data,) = page.data
    assert printable(evil) in {alert["src"] for alert in data["alerts"]}
    assert printable(evil) in data["hosts"]
    assert not {"\x1b", "\u202e"} & set(json.dumps(data, ensure_ascii=False))
    assert write_pngs([run], tmp_path / "png", phases=Phases())


@pytest.fixture(scope="module")
def why(tmp_path_factory):
    """A run whose alerts were explained, from a source with a hostile name; tests only read it."""
    evil = finished.HOSTILE
    rows = finished.changed(fakes.traffic(), src=lambda v: evil if v == "203.0.113.9" else v)
    folder = finished.run(tmp_path_factory.mktemp("why"), rows)
    (folder / FILE).write_text(explain(folder, fakes.plugins(), Request(top=7)).to_json(), "utf-8")
    return folder


def test_a_run_that_was_explained_says_what_its_alerts_rest_on(why):
    run = open_run(why)
    text = to_html([run])
    page = Page(text)
    place = page.headings.index("What the alerts rest on")
    assert page.headings[place - 1] == "Alerts"
    for title in (
        "Features over all explained flows",
        "Which features matter most",
        "The highest of them in detail",
    ):
        assert text.count(title) == 1
    assert "7 flows by permutation and occlusion; 7 of them are listed." in text
    section = text[text.index('<section class="explained">') :].split("</section>")[0]
    assert section.count("<details") == 7
    assert section.count("<details open>") == 1
    first = run.explanations.flows[0]
    assert escape(first.told[0].features[0].words) in section
    assert f"flow {first.flow_id}" in section
    assert "without the leading" in section


@pytest.mark.slow
def test_hostile_text_of_an_explanation_is_only_text(why):
    text = to_html([open_run(why)])
    assert "<script>alert" not in text
    assert "\x1b" not in text
    page = Page(text)
    assert not [attrs for _, attrs in page.elements if "onmouseover" in attrs]
    assert len(page.all("script")) == len(module.SCRIPTS) + 1
    assert str(escape(printable(finished.HOSTILE))) in text


def test_a_run_that_was_not_explained_has_no_such_section(text):
    assert "What the alerts rest on" not in text


@pytest.mark.slow
def test_explanations_without_a_flow_or_a_feature_leave_out_what_needs_them(why, tmp_path):
    folder = shutil.copytree(why, tmp_path / "run")
    found = Explanations.load(folder / FILE)
    (folder / FILE).write_text(found.model_copy(update={"flows": (), "summary": {}}).to_json())
    assert "What the alerts rest on" not in to_html([open_run(folder)])
    around = explain(why, fakes.plugins(), Request(top=2, explainers=("occlusion",)))
    (folder / FILE).write_text(around.to_json())
    text = to_html([open_run(folder)])
    assert "What the alerts rest on" in text
    assert "Which features matter most" not in text


def test_explanations_that_are_damaged_are_refused(why, tmp_path):
    folder = shutil.copytree(why, tmp_path / "run")
    (folder / FILE).write_text("{")
    with pytest.raises(RunError, match="explanations are damaged"):
        open_run(folder)


@pytest.mark.slow
def test_several_runs_get_a_tab_each_and_one_table(labelled, tmp_path):
    other = finished.run(tmp_path / "other", fakes.traffic(seed=3))
    runs, notes = open_runs([labelled, other])
    text = to_html(runs, notes=[*notes, "a remark"])
    page = Page(text)
    assert len(page.data) == 2
    assert "2 runs side by side" in text
    assert "All runs together" in text
    assert "a remark" in text
    assert len([a for a in page.all("button") if a.get("role") == "tab"]) == 2


def test_a_page_holds_some_runs_only(labelled):
    run = open_run(labelled)
    with pytest.raises(ConfigError, match="at most 8 runs"):
        to_html([run] * 9)


@pytest.mark.slow
def test_it_appears_whole_or_not_at_all(labelled, tmp_path, monkeypatch):
    target = tmp_path / "new" / "report.html"
    write_page([open_run(labelled)], target)
    first = target.read_text("utf-8")

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "render", fail)
    with pytest.raises(KeyboardInterrupt):
        write_page([open_run(labelled)], target)
    assert target.read_text("utf-8") == first
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(labelled, text):
    assert to_html([open_run(labelled)]) == text


def test_a_page_of_several_folders_needs_a_name(tmp_path):
    assert page_path([tmp_path]) == tmp_path / "report.html"
    with pytest.raises(ConfigError, match="--to"):
        page_path([tmp_path, tmp_path])


def test_a_damaged_log_is_named(tmp_path):
    folder = finished.run(tmp_path, fakes.traffic(200))
    (folder / "log.jsonl").write_text("{", "utf-8")
    with pytest.raises(RunError, match="log is damaged"):
        open_run(folder)
