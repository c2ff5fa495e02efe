"""The page about a source: offline, nothing in it is obeyed, sensible where there is little."""

from __future__ import annotations

import base64
import hashlib
import re

import numpy as np
import pyarrow as pa
import pytest

from netvigil import dataset
from netvigil.contracts import FlowBatch, FlowInfo, FlowTable, LabelTable, ReadReport
from netvigil.contracts.flows import TEXT
from netvigil.dataset import Opened
from netvigil.inspection import measure
from netvigil.inspection import page as page_module
from netvigil.inspection.page import PANELS, summary, to_html
from netvigil.phases import Phases
from netvigil.sources import Reading
from netvigil.store import FlowStore
from netvigil.testing.synthetic import stream
from netvigil.truth import Truth, label_store

from .fakes import make_flows, traffic
from .test_comparison_page import Page

EVIL = "</td><script>alert(1)</script>\x1b[2J\u202e\"'$x_\\foo$&amp;"
KEPT = ("x_bidirectional_bytes", "x_src2dst_max_ps", "x_ip_version")


def page_of(store, truth=None, labels="a test"):
    """Measure a store and write its page."""
    opened = Opened(store.path, Reading(None, "as the test says"), store, None, store.path.parent)
    found = measure(store, truth, Phases())
    return found, to_html(found, dataset.inspect(opened, None), labels)


def stored(path, flows, report=None):
    return FlowStore.write([FlowBatch(flows, report or ReadReport(read=len(flows)))], path)


def few_columns(flows, keep=KEPT):
    table = flows.table
    drop = [n for n in table.column_names if n.startswith("x_") and n not in keep]
    return FlowTable(table.drop_columns(drop), flows.info)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("inspection") / "day.parquet"
    batches = [FlowBatch(few_columns(b.flows), b.report, b.inline) for b in stream(3_000, seed=0)]
    return FlowStore.write(batches, path)


class Inline:
    def label(self, flows, inline):
        attack = np.asarray(pa.compute.equal(inline["label"], "attack"))
        return LabelTable.of(inline["flow_id"].to_numpy(), attack, inline["attack"])


@pytest.fixture(scope="module")
def truth(store):
    return label_store(store, Inline())


@pytest.fixture(scope="module")
def text(store, truth):
    return page_of(store, truth)[1]


def test_it_needs_nothing_from_elsewhere(text):
    page = Page(text)
    for _, attrs in page.elements:
        assert not {"src", "action", "onclick"} & set(attrs)
        assert all((attrs.get(name) or "#").startswith("#") for name in ("href", "xlink:href"))
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    assert len(page.all("script")) == 1


def test_its_policy_allows_its_own_script_alone(text):
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [m["content"] for m in Page(text).all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_every_part_is_there(text):
    page = Page(text)
    targets = {a["href"][1:] for a in page.all("a")}
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert targets <= set(ids)
    assert len(ids) == len(set(ids))
    said = {svg["aria-label"] for svg in page.all("svg") if "aria-label" in svg}
    assert any(s.startswith("Distribution of fwd_bytes, distance of benign") for s in said)
    assert {"Share of each class over time", "Rank correlation of all features"} <= said
    assert "x_ip_version" in text  # constant: no distribution, but named
    assert not any("x_ip_version" in s for s in said)


def test_columns_can_be_sorted_by_numbers(text):
    page = Page(text)
    values = [td["data-value"] for td in page.all("td") if "data-value" in td]
    assert len(values) > 100
    assert all(value == "" or float(value) >= -1 for value in values)


def test_counts_meet_the_flows(store, truth):
    found = measure(store, truth, Phases())
    sides = found.classes.sides
    assert sides == ("benign", "attack")
    for histogram in found.histograms:
        column = next(c for c in found.columns if c.name == histogram.name)
        assert histogram.totals.sum() == len(store) - column.missing
    assert found.timeline.counts.sum(axis=1).tolist() == [c.flows for c in found.classes.listed]
    (protocol,) = [c for c in found.categories if c.name == "protocol"]
    assert sum(v.flows for v in protocol.common) == len(store)
    distances = [h.distance(0, 1) for h in found.histograms]
    assert distances == sorted(distances, reverse=True)


def test_the_size_of_batches_changes_nothing(store, truth, monkeypatch):
    whole = measure(store, truth, Phases())
    monkeypatch.setattr(FlowStore, "batches", in_pieces)
    pieces = measure(store, truth, Phases())
    assert pieces.columns == whole.columns
    assert pieces.categories == whole.categories
    assert np.array_equal(pieces.correlation.rho, whole.correlation.rho)
    for one, other in zip(pieces.histograms, whole.histograms, strict=True):
        assert np.array_equal(one.counts, other.counts)


def in_pieces(store, *, columns=None, rows=700):
    for _, flows in store.select(None, columns=columns, rows=rows):
        yield flows


def test_without_labels_classes_are_left_out_and_it_says_so(store):
    found, text = page_of(store, labels="The source has no labels, and none were given.")
    assert not found.classes.labelled
    assert "Classes are left out, as no flow has a label." in text
    assert "Flows over time" in text
    assert "distance of benign" not in text


def test_hostile_names_make_no_markup(tmp_path, truth):
    path = tmp_path / "a<script>'$x_\\foo$.parquet"
    rows = traffic(200)
    table = make_flows(rows).table
    texts = [EVIL, "x" * 3_000, "", "漢字", None] * 40
    table = table.append_column("c_evil", pa.array(texts, pa.string()).cast(TEXT))
    table = table.append_column("x_" + "long" * 60, pa.array(range(200), pa.float32()))
    report = ReadReport(read=201, rejected=1, rejects={EVIL: 1}, examples=(EVIL,))
    store = stored(path, FlowTable(table, FlowInfo("tiny", direction="uni")), report)
    names = (EVIL, "_hidden", "$x_\\foo$")
    attack = np.resize(np.arange(3, dtype=np.int32), 200)
    text = page_of(store, Truth(np.full(200, 2, np.int8), attack, names), labels=EVIL)[1]
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert any("$x_\\foo$" in t for t in page.texts)
    assert not any(len(t) > 2_000 for t in page.texts if "xxx" in t)


def test_one_flow_without_a_clock_or_addresses(tmp_path):
    rows = {name: values[:1] for name, values in traffic(1, clock=False).items()}
    rows |= {"start_us": None, "end_us": None, "src": [None], "dst": [None]}
    found, text = page_of(stored(tmp_path / "one.parquet", make_flows(rows)))
    assert found.histograms == ()
    assert "no clock" in text
    assert "names no address" in text
    assert "nothing to correlate" in text
    assert all(c.constant or c.empty for c in found.columns)


def test_many_columns_have_few_pictures_but_all_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "PANELS", 4)
    table = make_flows(traffic(60)).table
    rng = np.random.default_rng(0)
    for number in range(120):
        values = pa.array(rng.random(60, np.float32), pa.float32())
        table = table.append_column(f"x_n{number}", values)
    found, text = page_of(stored(tmp_path / "wide.parquet", FlowTable(table, FlowInfo("tiny"))))
    pictures = text.count('data-figure="d')
    assert pictures == 4
    assert f"{len(found.histograms) - 4} more features have no picture" in text
    assert all(f">{column.name}" in text for column in found.columns)
    pictures = len(text) - len(re.sub(r"<svg .*?</svg>", "", text, flags=re.DOTALL))
    assert len(text) + pictures * (PANELS // 4) < 3_000_000


def test_the_summary_counts(store, truth):
    found = measure(store, truth, Phases())
    said = " ".join(summary(found))
    assert "3.0 % of the flows are attacks." in said
    assert "1 column with one value only." in said or "columns with one value only." in said
