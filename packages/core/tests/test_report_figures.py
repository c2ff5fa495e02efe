"""Figures: what they show, how the page colours them, and that no text in them is obeyed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from netvigil import report
from netvigil.report import graph, projections, theme
from netvigil.report.runs import Edge

from . import fakes, finished

PROJECTED = projections._projected  # before `plain_points` of conftest.py replaces it


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with labels; tests only read it."""
    folder = tmp_path_factory.mktemp("figures")
    also = {"evaluate": {"also": ["forest"], "baselines": [], "resamples": 5}}
    return report.open_run(finished.run(folder, fakes.traffic(), **also, run={"seeds": [0, 1]}))


FIGURES = [
    name
    for name in report.__all__
    if name
    not in {
        "populations",
        "ReportedRun",
        "open_run",
        "open_runs",
        "to_html",
        "write_page",
        "write_pngs",
    }
]


@pytest.mark.parametrize("name", FIGURES)
def test_every_plot_is_a_function_that_returns_a_figure(run, name):
    made = getattr(report, name)(run)
    assert isinstance(made, Figure)
    svg = theme.to_svg(made, name=name, words='a "b" <c>')
    assert theme.to_png(made, dpi=50).startswith(b"\x89PNG")
    assert svg.startswith("<svg ")
    assert 'aria-label="a &#34;b&#34; &lt;c&gt;"' in svg
    assert "<metadata" not in svg
    assert "<style" not in svg
    colours = set(re.findall(r"#[0-9a-f]{6}", svg))
    assert colours <= set(), f"colours that no theme changes: {colours}"
    assert svg == theme.to_svg(getattr(report, name)(run), name=name, words='a "b" <c>')


def test_all_is_what_it_says():
    assert set(report._MODULES) >= {"curves", "graph", "over_time"}
    for name in report.__all__:
        assert getattr(report, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = report.absent


def test_colours_differ_and_the_dark_sheet_has_all():
    assert len(set(theme.PALETTE.values())) == len(theme.PALETTE)
    sheet = theme.__spec__.loader.get_data(
        str(theme.__file__).replace("theme.py", "base.css")
    ).decode()
    light, dark = sheet.split("@media (prefers-color-scheme: dark)", 1)
    for name, colour in theme.PALETTE.items():
        assert f"--{name}: {colour}" in light, name
        assert f"--{name}:" in dark.split("}")[0], name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$x_2$", "$x_2$"),
        ("a\x1b[1m", r"a\x1b[1m"),
        ("_private", "\u200b_private"),
        ("x" * 99, "x" * 35 + "\u2026"),
        ("\u4e2d", "\ufffd"),
    ],
)
def test_names_are_drawn_as_they_are(text, shown):
    assert theme.named(text) == shown


def test_recall_curve_ends_at_one(run):
    axes = report.precision_recall(run).axes[0]
    assert axes.get_xlabel() == "recall"
    assert max(max(line.get_xdata()) for line in axes.lines) == pytest.approx(1.0)
    own = [line for line in axes.lines if line.get_color() == theme.INK["own"]]
    assert own


def test_confusion_counts_are_the_receipts(run):
    words = " ".join(text.get_text() for text in report.confusion(run).axes[0].texts)
    found = run.own.confusions[0]
    for count in (found.true_positives, found.false_positives, found.true_negatives):
        assert f"{count:,}" in words


class TestGraph:
    EDGES = (
        Edge("10.0.0.2", "10.0.0.10", 3, 90.0, 1.0, 0, 0, "benign", "tcp/80"),
        Edge("10.0.0.10", "10.0.0.3", 1, 10.0, 9.0, 1, 1, "scan", "tcp/22"),
        Edge("a.example", "a.example", 1, 0.0, 0.0, 0, 0, "benign", "udp/5"),
    )

    def test_on_a_circle_hosts_stand_in_the_order_of_their_addresses(self):
        placed = graph.positions(self.EDGES, "circle")
        assert list(placed) == ["10.0.0.2", "10.0.0.3", "10.0.0.10", "a.example"]
        assert np.hypot(*np.array(list(placed.values())).T) == pytest.approx(1.0)

    def test_by_forces_they_stay_apart_and_inside(self):
        placed = graph.positions(self.EDGES, "force")
        at = np.array(list(placed.values()))
        assert np.hypot(*at.T).max() == pytest.approx(1.0)
        apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
        assert apart[~np.eye(len(at), dtype=bool)].min() > 0.1
        assert placed == graph.positions(self.EDGES, "force")

    def test_the_telling_bins_are_a_quiet_and_the_loudest_one(self, run):
        quiet, loud = graph.telling_bins(run)
        test = run.timeline[run.timeline["part"] == "test"]
        alerts = test.set_index("bin")["alerts"]
        assert alerts[loud] == alerts.max()
        assert alerts[quiet] == alerts[[b for b in run.edges if b >= 0]].min()

    def test_a_bin_without_a_graph_is_refused(self, run):
        with pytest.raises(ValueError, match="no graph of bin 99999"):
            report.traffic_graph(run, 99_999)


@pytest.mark.slow
class TestProjections:
    @pytest.fixture(autouse=True)
    def _real_points(self, monkeypatch):
        monkeypatch.setattr(projections, "_projected", PROJECTED)

    @pytest.mark.parametrize("method", ["pca", "t-sne"])
    @pytest.mark.parametrize("dims", [2, 3])
    def test_points_lie_in_a_box_and_are_repeatable(self, run, method, dims):
        x = projections.points(run, "features", method, dims)
        assert x.shape == (run.evidence.sample.num_rows, dims)
        assert np.abs(x).max() == pytest.approx(1.0)
        projections._projected.cache_clear()
        assert (projections.points(run, "features", method, dims) == x).all()

    def test_pca_is_that_of_the_textbook(self):
        rng = np.random.default_rng(0)
        x = (rng.normal(size=(50, 3)) * [5, 1, 1]).astype(np.float32)
        x[:, 1] = 1.0  # constant columns say nothing
        made = projections._projected(x.tobytes(), x.shape, "pca", 2)
        standard = (x[:, [0, 2]] - x[:, [0, 2]].mean(0)) / x[:, [0, 2]].std(0)
        _, _, axes = np.linalg.svd(standard, full_matrices=False)
        textbook = standard @ axes.T
        for k in range(2):
            assert abs(np.corrcoef(made[:, k], textbook[:, k])[0, 1]) == pytest.approx(1, abs=1e-4)

    def test_flows_that_are_all_alike_are_one_point(self):
        x = np.ones((20, 4), np.float32)
        assert not projections._projected(x.tobytes(), x.shape, "pca", 3).any()


class TestPopulations:
    def test_real_and_synthetic_rows_lie_in_one_picture(self):
        rng = np.random.default_rng(0)
        groups = {
            "real": rng.normal(size=(900, 5)).astype(np.float32),
            finished.HOSTILE: rng.normal(3, 1, size=(20, 5)).astype(np.float32),
        }
        made = report.populations(groups, "pca", most=300)
        drawn = {c.get_label(): len(c.get_offsets()) for c in made.axes[0].collections}
        assert sorted(drawn.values()) == [20, 300]
        assert "real, of 900 (300)" in drawn
        assert "<metadata" not in theme.to_svg(made, name="p", words="")

    @pytest.mark.parametrize("shapes", [((9, 3),), ((20, 3), (20, 4))])
    def test_what_has_no_common_columns_is_refused(self, shapes):
        groups = {str(k): np.zeros(shape, np.float32) for k, shape in enumerate(shapes)}
        with pytest.raises(ValueError, match="same columns"):
            report.populations(groups)
