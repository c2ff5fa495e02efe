from __future__ import annotations

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from netvigil.contracts import LabelTable
from netvigil.evaluation import (
    MethodScores,
    evaluate,
    printable,
    to_csv,
    to_json,
    to_markdown,
    to_rich,
    to_rows,
)

EVIL = "=cmd|' /C calc'!A0\x1b[31m[bold]a|b</td>\u202e"
IDS = np.arange(200)
TRUTH = IDS % 10 == 0


def headline(method="hbos", cut=1.0, attack="scan", exclude=()):
    rng = np.random.default_rng(0)
    runs = [
        MethodScores(
            method=method, score=rng.normal(size=200) + 2 * TRUTH, cut=cut, seed=s, fit_s=1.0
        )
        for s in range(2)
    ]
    runs.append(
        MethodScores(
            method="pair-rarity", score=np.zeros(200), cut=0.0, kind="baseline", score_s=0.5
        )
    )
    found = evaluate(
        flow_id=IDS,
        labels=LabelTable.of(IDS, TRUTH, pa.array(np.where(IDS % 20 == 0, attack, "flood"))),
        runs=runs,
        start_us=IDS * 1_000_000,
        exclude=exclude,
        resamples=20,
    )
    return found.without_excluded if exclude else found.headline


def printed(view, width):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(view)
    return out.getvalue()


class TestTerminal:
    @pytest.mark.parametrize("width", [60, 80, 120, 200])
    def test_no_figure_is_lost_or_squeezed_at_any_width(self, width):
        head = headline()
        shown = printed(to_rich(head), width)
        auroc = head.methods[0].metrics["auroc"]
        assert f"{auroc.mean:.3f} ± {auroc.sd:.3f}" in shown
        for header in ("AUROC", "(base 0.100)", "within pair", "alerts/h", "score s"):
            assert header in shown
        assert "…" not in shown
        assert max(map(len, shown.splitlines())) <= width

    def test_missing_figures_are_dashes_and_one_run_has_no_deviation(self):
        row = next(r for r in printed(to_rich(headline()), 250).splitlines() if "pair-rarity" in r)
        assert "0.500" in row
        assert "±" not in row
        assert (
            row.count("\u2013") >= 2
        )  # no precision without alerts, no within-pair without addresses

    def test_hostile_names_are_shown_and_not_obeyed(self):
        shown = printed(to_rich(headline(method=EVIL)), 300)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[bold]a|b" in shown

    def test_the_second_headline_says_what_it_leaves_out(self):
        assert "without scan: 190 test flows" in printed(to_rich(headline(exclude=["scan"])), 200)

    def test_a_hostile_class_name_in_the_title(self):
        shown = printed(to_rich(headline(attack="x\x07[/]", exclude=["x\x07[/]"])), 200)
        assert r"without x\x07[/]" in shown


class TestMarkdown:
    def test_every_row_has_every_cell(self):
        lines = to_markdown(headline()).splitlines()
        widths = {line.count(" | ") for line in lines if line.startswith("|")}
        assert widths == {12}
        assert "AUPRC (base 0.100)" in lines[0]
        assert lines[2].startswith("| **hbos** |")
        assert lines[3].startswith("| *pair-rarity* |")

    def test_hostile_names_make_no_markup(self):
        shown = to_markdown(headline(method=EVIL))
        row = shown.splitlines()[2]
        assert row.count("|") == 14
        for markup in ("<", "[", "\x1b", "\u202e"):
            assert markup not in row


class TestCsv:
    def test_it_reads_back(self):
        head = headline()
        rows = list(csv.DictReader(io.StringIO(to_csv({"today": head}))))
        assert [row["method"] for row in rows] == ["hbos", "pair-rarity"]
        spread = head.methods[0].metrics["auprc"]
        first = rows[0]
        assert float(first["auprc"]) == spread.mean
        assert float(first["auprc_sd"]) == spread.sd
        assert (float(first["auprc_low"]), float(first["auprc_high"])) == (spread.low, spread.high)
        assert (first["run"], first["seeds"], float(first["prevalence"])) == ("today", "2", 0.1)
        assert rows[1]["precision"] == ""

    def test_no_cell_is_a_formula(self):
        rows = list(csv.reader(io.StringIO(to_csv({"-run": headline(method=EVIL)}))))
        assert rows[1][0] == "'-run"
        assert rows[1][1].startswith("'=cmd")
        assert "\x1b" not in rows[1][1]


class TestJson:
    def test_it_holds_the_rows_with_nulls(self):
        head = headline()
        rows = json.loads(to_json({"a": head, "b": head}))
        assert rows == to_rows({"a": head, "b": head})
        assert [row["run"] for row in rows] == ["a", "a", "b", "b"]
        assert rows[1]["precision"] is None
        assert rows[0]["fit_s"] == 1.0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode 漢字", "plain, ünïcode 漢字"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\u2028\u200b\ufeff", r"\u2028\u200b\ufeff"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown
