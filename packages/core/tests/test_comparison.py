"""Finished runs side by side: what compares stands together, once; the rest is said."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from netvigil.comparison import (
    LONG,
    WIDE,
    chosen,
    compare,
    find_runs,
    long_grid,
    to_csv,
    to_markdown,
    to_rows,
    wide_grid,
    words,
    write_all,
)
from netvigil.comparison.runs import Run
from netvigil.errors import ConfigError, RunError
from netvigil.evaluation import (
    DataUse,
    Evaluation,
    FeatureUse,
    Hardware,
    Headline,
    LabelUse,
    MethodResult,
    PartUse,
    Receipt,
    SplitUse,
    Spread,
    ThresholdUse,
)
from netvigil.evaluation.results import BootstrapUse, OracleResult, PairSupport
from netvigil.suite import Begun, SuiteNote

FREE = ThresholdUse(mode="label-free", rule="quantile", provenance="top 5 %")
EVIL = "=cmd|' /C calc'!A0\x1b[31m[bold]a|b</td><script>alert(1)</script>\u202e"
NONE = Spread(mean=None, per_seed=(), reason="no")
FIGURES = (
    *("auroc", "auprc", "tpr_at_fpr_0.1%", "tpr_at_fpr_0.5%", "tpr_at_fpr_1%", "tpr_at_fpr_5%"),
    *("within_pair_auroc", "precision", "recall", "f1", "macro_f1", "mcc", "fpr"),
    "alerts_per_hour",
)


def method(name, auroc=0.9, auprc=0.5, tpr=0.25, *, kind="method", seeds=(0, 1), **changes):
    """Make a row by hand: two seeds 0.01 apart in AUROC where it has seeds."""
    sd = 0.01 if seeds else None
    spreads = {
        "auroc": Spread(
            mean=auroc, sd=sd, per_seed=(auroc,), low=auroc - 0.02, high=auroc + 0.02, resamples=9
        ),
        "auprc": Spread(mean=auprc, per_seed=(auprc,)),
        "tpr_at_fpr_1%": Spread(mean=tpr, per_seed=(tpr,)),
    }
    values = {
        "method": name,
        "kind": kind,
        "seeds": seeds,
        "metrics": {key: spreads.get(key, NONE) for key in FIGURES},
        "within_pair": PairSupport(pairs=0, flows=0, comparisons=0),
        "attacks": (),
        "threshold": FREE,
        "cuts": (),
        "confusions": (),
        "ppv": (),
        "oracle": OracleResult(f1=NONE, precision=NONE, recall=NONE, cuts=()),
        "fit_s": 1.5,
        "score_s": 0.25,
    }
    return MethodResult(**(values | changes))


RULE = method("pair-rarity", 0.7, 0.2, 0.0, kind="baseline", seeds=())


def headline(*methods, flows=1000, attacks=100, excluded=None):
    boot = BootstrapUse(by="flow", units=flows, why="", resamples=9, level=0.95, seed=0)
    return Headline(
        flows=flows,
        attacks=attacks,
        benign=flows - attacks,
        prevalence=attacks / flows,
        excluded=excluded or {},
        bootstrap=boot,
        methods=methods,
        differences=(),
    )


def receipt(*methods, source="a.csv", sha256="a" * 64, test=1000, without=None, **changes):
    head = headline(*methods, flows=test)
    second = headline(*methods, flows=test - 60, attacks=40, excluded=without) if without else None
    values = {
        "data": (
            DataUse(source=source, sha256=sha256, flows=5000, format="tiny", time_basis="clock"),
        ),
        "split": SplitUse(
            protocol="time", parts={"train": PartUse(flows=3000), "test": PartUse(flows=test)}
        ),
        "features": FeatureUse(feature_set="auto", names=("x",), sha256="0" * 64),
        "labels": LabelUse(train_filter=False),
        "threshold": FREE,
        "train_attack_share": None,
        "evaluation": Evaluation(
            test_flows=test, unknown=0, seconds=60.0, headline=head, without_excluded=second
        ),
        "phases": (),
        "hardware": Hardware(
            cpu="cpu", cores=2, memory_bytes=None, platform="Linux", python="3.11"
        ),
        "versions": {"netvigil": "0.1.0"},
        "code_version": "0.1.0",
        "seeds": (0, 1),
        "config": {},
        "pitfalls": (),
    }
    return Receipt(**(values | changes))


def runs(**receipts):
    return [Run(name, made) for name, made in receipts.items()]


def printed(view, width=200):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(view)
    return out.getvalue()


def markdown(found, *, wide=True):
    return to_markdown(found, chosen(None, WIDE if wide else LONG), wide=wide)


class TestRows:
    def test_a_shared_baseline_appears_once(self):
        found = compare(runs(a=receipt(RULE, method("m")), b=receipt(RULE, method("n"))))
        assert [row.method.method for row in found.rows] == ["pair-rarity", "m", "n"]
        assert [len(row.runs) for row in found.rows] == [2, 1, 1]
        assert len(found.grounds) == 1
        assert not found.notes

    def test_its_times_may_differ(self):
        slower = RULE.model_copy(update={"score_s": 9.0})
        found = compare(runs(a=receipt(RULE), b=receipt(slower)))
        assert [row.method.score_s for row in found.rows] == [0.25]

    @pytest.mark.parametrize(
        "other",
        [
            receipt(method("pair-rarity", 0.71, 0.2, 0.0, kind="baseline", seeds=())),
            receipt(RULE, labels=LabelUse(train_filter=True)),
            receipt(RULE, sha256="b" * 64),
            receipt(
                RULE, split=SplitUse(protocol="time", parts={"test": PartUse(flows=1000, known=9)})
            ),
        ],
        ids=["figures", "labels", "data", "split"],
    )
    def test_a_baseline_that_differs_in_anything_stays(self, other):
        found = compare(runs(a=receipt(RULE), b=other))
        assert [len(row.runs) for row in found.rows] == [1, 1]

    def test_two_methods_with_equal_figures_both_stay(self):
        found = compare(runs(a=receipt(method("m")), b=receipt(method("m"))))
        assert [row.runs[0].name for row in found.rows] == ["a", "b"]

    def test_baselines_come_first_in_their_order_and_methods_by_name(self):
        second = method("all-benign", 0.5, 0.1, 0.0, kind="baseline", seeds=())
        found = compare(runs(a=receipt(method("z"), RULE, method("b"), second)))
        assert [row.method.method for row in found.rows] == ["pair-rarity", "all-benign", "b", "z"]

    def test_sorted_by_a_figure(self):
        (auprc,) = chosen("auprc", ())
        methods = [method("low", auprc=0.1), method("high", auprc=0.8), RULE]
        lost = method("lost", metrics=method("x").metrics | {"auprc": NONE})
        found = compare(runs(a=receipt(lost, *methods)), sort=auprc)
        order = ["pair-rarity", "high", "low", "lost"]
        assert [row.method.method for row in found.rows] == order
        assert [line.name for line in found.lines()] == order

    def test_of_times_the_lowest_is_first(self):
        (fit_s,) = chosen("fit_s", ())
        slow, quick = method("a", fit_s=9.0), method("b", fit_s=0.1)
        found = compare(runs(a=receipt(slow, quick)), sort=fit_s)
        assert [row.method.method for row in found.rows] == ["b", "a"]

    def test_other_test_parts_of_the_same_data_do_not_compare(self):
        found = compare(runs(a=receipt(RULE), b=receipt(RULE, test=500)))
        assert [ground.name for ground in found.grounds] == [
            "a.csv (test part 1)",
            "a.csv (test part 2)",
        ]
        (note,) = found.notes
        assert note == (
            "a.csv was tested on different parts, which do not compare: "
            "a.csv (test part 1): 1,000 flows, 100 attacks, in a; "
            "a.csv (test part 2): 500 flows, 100 attacks, in b."
        )

    def test_random_splits_with_other_seeds_are_other_test_parts(self):
        split = SplitUse(
            protocol="paper-shuffled", shuffled=True, parts={"test": PartUse(flows=1000)}
        )
        drawn = [receipt(RULE, split=split, config={"split": {"seed": seed}}) for seed in (0, 1)]
        assert len(compare(runs(a=drawn[0], b=drawn[1])).grounds) == 2

    def test_equal_names_of_other_data_get_a_digest(self):
        found = compare(runs(a=receipt(RULE), b=receipt(RULE, sha256="b" * 64)))
        assert [g.name for g in found.grounds] == ["a.csv aaaaaaaa", "a.csv bbbbbbbb"]
        found = compare(runs(a=receipt(RULE), b=receipt(RULE, sha256="b" * 64, source="b.csv")))
        assert [g.name for g in found.grounds] == ["a.csv", "b.csv"]

    def test_the_second_headline_is_a_ground_of_its_own(self):
        found = compare(runs(a=receipt(RULE, without={"misconf": 60})))
        assert [(g.name, g.flows) for g in found.grounds] == [
            ("a.csv", 1000),
            ("a.csv without misconf", 940),
        ]
        assert not found.notes

    def test_runs_without_labels_other_machines_and_versions_are_said(self):
        other = Hardware(cpu="gpu", cores=8, memory_bytes=None, platform="L", python="3.11")
        found = compare(
            runs(
                a=receipt(RULE),
                blank=receipt(RULE, evaluation=None),
                c=receipt(RULE, hardware=other, code_version="0.2.0"),
            )
        )
        assert list(found.notes) == [
            "blank: nothing labels its flows, so it has no figures.",
            "The runs come from 2 kinds of machine: their times do not compare.",
            "The runs were made by different versions of netvigil: 0.1.0, 0.2.0.",
        ]


class TestLines:
    def test_one_method_twice_on_one_ground_is_told_apart_by_its_run(self):
        found = compare(runs(a=receipt(method("m", 0.9)), b=receipt(method("m", 0.8))))
        assert [line.name for line in found.lines()] == ["m (a)", "m (b)"]

    def test_in_a_suite_by_as_few_axes_as_will_do(self):
        def run(data, regime, model, figure):
            rule = method("rule", figure / 2, kind="baseline", seeds=())
            made = receipt(rule, method(model, figure), source=f"{data}.csv", sha256=data * 64)
            at = {"data": {"a": "unsw", "b": "westermo"}[data], "regime": regime, "model": model}
            return Run("/".join(at.values()), made, at)

        found = compare(
            [
                run("a", "natural", "ag", 0.9),
                run("a", "natural", "ae", 0.9),
                run("a", "dropped", "ag", 0.8),
                run("a", "dropped", "ae", 0.8),
                run("b", "natural", "ag", 0.7),
            ]
        )
        assert [ground.name for ground in found.grounds] == ["unsw", "westermo"]
        lines = {
            line.name: [len(row.runs) for row in line.cells.values()] for line in found.lines()
        }
        assert lines == {
            "rule (natural)": [2, 1],
            "rule (dropped)": [2],
            "ae (dropped)": [1],
            "ae (natural)": [1],
            "ag (dropped)": [1],
            "ag (natural)": [1, 1],
        }

    def test_a_shared_row_stands_in_one_line_where_another_run_differs(self):
        def at(leak, **changes):
            judged = receipt(RULE, method("m", 0.8 + 0.01 * len(leak)), **changes)
            return Run(leak, judged, at={"leak": leak}, base={"leak": "none"})

        leaky = {"labels": LabelUse(train_filter=False, transforms=True)}
        lines = compare([at("none"), at("ttl"), at("time"), at("aware", **leaky)]).lines()
        assert [line.name for line in lines] == [
            *("pair-rarity (base)", "pair-rarity (leak aware)"),
            *("m (base)", "m (leak aware)", "m (leak time)", "m (leak ttl)"),
        ]

    def test_in_a_suite_test_parts_are_named_by_the_axis_that_tells_them(self):
        made = {"strict": receipt(RULE), "late": receipt(RULE, test=500)}
        found = compare([Run(name, r, {"split": name}) for name, r in made.items()])
        assert [g.name for g in found.grounds] == ["a.csv (strict)", "a.csv (late)"]


MARKED = [
    ({}, "m", "pair-rarity"),
    ({"labels": LabelUse(train_filter=True)}, "m {F}", "pair-rarity {F}"),
    ({"labels": LabelUse(train_filter=False, model=True)}, "m {S}", "pair-rarity"),
    ({"labels": LabelUse(train_filter=False, tuning=True)}, "m {T}", "pair-rarity"),
    ({"config": {"tuned": {"objective": "validation-loss"}}}, "m {U}", "pair-rarity"),
    ({"parity": ("RANDOM SPLIT",)}, "m {P}", "pair-rarity {P}"),
    (
        {"split": SplitUse(protocol="paper-shuffled", shuffled=True, parts={})},
        "m {R}",
        "pair-rarity {R}",
    ),
    ({"labels": LabelUse(train_filter=True, transforms=True)}, "m {F L}", "pair-rarity {F L}"),
]


class TestMarks:
    @pytest.mark.parametrize(("changes", "own", "baseline"), MARKED)
    def test_uses_of_labels_stand_beside_the_name_with_a_legend(self, changes, own, baseline):
        found = compare(runs(a=receipt(RULE, method("m"), **changes)))
        rows = wide_grid(found, chosen(None, WIDE)).rows
        assert [row[0] for row in rows[1:]] == [baseline, own]
        signs = set(own.partition("{")[2].strip("}").split())
        assert {line[1] for line in words(found)} == signs

    def test_a_cut_chosen_by_labels(self):
        cut = FREE.model_copy(update={"mode": "validation-labels"})
        oracle = FREE.model_copy(update={"mode": "oracle"})
        found = compare(
            runs(a=receipt(method("m", threshold=cut), method("n", threshold=oracle), method("o")))
        )
        assert [row.marks for row in found.rows] == [("C",), ("O",), ()]

    def test_only_what_learnt_from_generated_flows_says_so(self):
        use = LabelUse(train_filter=False, model=True, augmentation=True)
        found = compare(runs(a=receipt(RULE, method("m"), labels=use)))
        marks = {row.method.method: row.marks for row in found.rows}
        assert marks["m"] == ("S", "A")
        assert marks["pair-rarity"] == ()

    def test_what_learns_nothing_has_no_mark(self):
        benign = method("all-benign", kind="baseline", seeds=())
        found = compare(runs(a=receipt(benign, labels=LabelUse(train_filter=True))))
        assert found.rows[0].marks == ()


class TestWide:
    def test_it_is_the_table_of_a_readme(self):
        other = receipt(
            RULE,
            method("m", 0.95, 0.6, 0.5),
            source="b.csv",
            sha256="b" * 64,
            without={"misconf": 60},
        )
        assert markdown(compare(runs(a=receipt(RULE, method("n")), b=other))) == (
            "| method | a.csv | b.csv | b.csv without misconf |\n"
            "| --- | ---: | ---: | ---: |\n"
            "| *test flows, base rate* | 1,000, 0.1000 | 1,000, 0.1000 | 940, 0.0426 |\n"
            "| *pair-rarity* | 0.700 / 0.200 / 0.000 | 0.700 / 0.200 / 0.000"
            " | 0.700 / 0.200 / 0.000 |\n"
            "| **m** |  | 0.950 ±.010 / 0.600 / 0.500 | 0.950 ±.010 / 0.600 / 0.500 |\n"
            "| **n** | 0.900 ±.010 / 0.500 / 0.250 |  |  |\n"
            "\n"
            "AUROC / AUPRC / TPR@1%: the mean over seeds, "
            "± the deviation of the first over seeds.\n"
        )

    def test_figures_are_chosen(self):
        found = compare(runs(a=receipt(method("m"))))
        grid = wide_grid(found, chosen("auprc,f1", WIDE))
        assert grid.rows[1] == ("m", "0.500 / \u2013")

    @pytest.mark.parametrize("width", [60, 80, 200])
    def test_no_figure_is_lost_at_any_width(self, width):
        datas = "abcd"
        made = {d: receipt(method("m"), source=f"{d}.csv", sha256=d * 64) for d in datas}
        shown = printed(wide_grid(compare(runs(**made)), chosen(None, WIDE)), width)
        assert shown.count("0.900 ±.010 / 0.500 / 0.250") == 4
        assert all(f"{d}.csv" in shown for d in datas)
        assert "…" not in shown


class TestLong:
    def test_one_row_for_each_method(self):
        found = compare(runs(a=receipt(RULE, method("m")), b=receipt(RULE, method("n"))))
        grid = long_grid(found, chosen(None, LONG))
        assert grid.header == (
            *("data", "method", "run", "kind", "base rate", "AUROC", "AUPRC", "TPR@1%"),
            *("within pair", "alerts/h", "F1", "fit s", "score s", "seeds"),
        )
        no = "\u2013"
        assert grid.rows == (
            (
                *("a.csv", "pair-rarity", "2 runs", "baseline", "0.1000"),
                *("0.700 [0.680, 0.720]", "0.200", "0.000", no, no, no, "1.50", "0.25", no),
            ),
            (
                *("a.csv", "m", "a", "method", "0.1000", "0.900 ± 0.010 [0.880, 0.920]"),
                *("0.500", "0.250", no, no, no, "1.50", "0.25", "2"),
            ),
            (
                *("a.csv", "n", "b", "method", "0.1000", "0.900 ± 0.010 [0.880, 0.920]"),
                *("0.500", "0.250", no, no, no, "1.50", "0.25", "2"),
            ),
        )

    def test_markdown_keeps_intervals_readable(self):
        shown = markdown(compare(runs(a=receipt(method("m")))), wide=False)
        assert "| 0.900 ± 0.010 [0.880, 0.920] |" in shown
        assert "| a.csv | **m** | a |" in shown

    def test_an_unknown_figure_names_the_nearest(self):
        with pytest.raises(ConfigError, match=r"no figure 'aurc'[\s\S]*Did you mean 'au"):
            chosen("auroc,aurc", LONG)


class TestHostileNames:
    """Names come from folders, traffic and label files."""

    @pytest.fixture
    def found(self):
        evil = receipt(
            method(EVIL),
            source=EVIL,
            without={EVIL: 60},
            labels=LabelUse(train_filter=True),
            parity=(EVIL,),
        )
        return compare([Run(EVIL, evil), Run("-run", receipt(method("@m"), test=7))])

    @pytest.mark.parametrize("wide", [True, False])
    def test_in_a_terminal(self, found, wide):
        grid = (wide_grid if wide else long_grid)(found, chosen(None, WIDE))
        shown = printed(grid, 400) + "".join(words(found))
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[bold]a|b" in shown

    @pytest.mark.parametrize("wide", [True, False])
    def test_in_markdown(self, found, wide):
        shown = markdown(found, wide=wide)
        rows = [line for line in shown.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) == 1
        for markup in ("<", "[bold", "\x1b", "\u202e"):
            assert markup not in shown

    def test_in_a_spreadsheet(self, found):
        rows = list(csv.DictReader(io.StringIO(to_csv(found))))
        texts = [value for row in rows for value in row.values()]
        assert all(
            value[:1] not in {"=", "@"} and (value[:1] != "-" or float(value) < 0)
            for value in texts
        )
        assert {row["method"] for row in rows} == {"'@m", rows[0]["method"]}
        assert rows[0]["method"].startswith("'=cmd")
        assert "'-run" in {row["runs"] for row in rows}


class TestCsv:
    def test_it_reads_back(self):
        found = compare(runs(a=receipt(RULE, method("m"))))
        rows = list(csv.DictReader(io.StringIO(to_csv(found))))
        assert [row["method"] for row in rows] == ["pair-rarity", "m"]
        assert (rows[1]["auroc"], rows[1]["auroc_sd"], rows[1]["auroc_low"]) == (
            "0.9",
            "0.01",
            "0.88",
        )
        assert (rows[1]["f1"], rows[1]["fit_s"], rows[1]["prevalence"]) == ("", "1.5", "0.1")
        assert list(rows[0]) == list(to_rows(found)[0])

    def test_without_rows_it_is_empty(self):
        assert to_csv(compare(runs(a=receipt(RULE, evaluation=None)))) == ""


class TestFindRuns:
    @pytest.fixture
    def write(self, tmp_path):
        def write_run(name: str, made: Receipt | None = None) -> Path:
            folder = tmp_path / name
            folder.mkdir(parents=True)
            (folder / "receipt.json").write_text((made or receipt(RULE)).to_json(), "utf-8")
            return folder

        return write_run

    def test_a_run_is_called_by_its_folder(self, write):
        folder = write("unsw")
        for given in (folder, folder / "receipt.json"):
            found, notes = find_runs([given])
            assert [run.name for run in found] == ["unsw"]
            assert not notes

    def test_runs_within_a_folder_are_called_by_their_path(self, write, tmp_path):
        write("all/b/y")
        write("all/a/x")
        write("all/a/x/bundle/deeper")
        write("all/.hidden/x.partial")
        found, notes = find_runs([tmp_path / "all", tmp_path / "all" / "a"])
        assert [run.name for run in found] == ["a/x", "b/y"]
        assert notes == [f"{tmp_path}/all/.hidden/x.partial is unfinished and left out."]

    def test_runs_of_one_name_get_their_whole_path(self, write, tmp_path):
        found, _ = find_runs([write("one/unsw"), write("two/unsw"), write("three")])
        here = tmp_path.resolve().as_posix()
        names = [f"{here}/one/unsw", f"{here}/two/unsw", "three"]
        assert [run.name for run in found] == names

    def test_a_suite_keeps_its_order_and_its_axes(self, write, tmp_path):
        for name in ("unsw", "iot", "west"):
            write(f"suite/{name}")
        begun = {n: Begun(at={"data": n}, experiment={}) for n in ("west", "unsw")}
        note = SuiteNote(combinations=begun)
        (tmp_path / "suite" / "suite.json").write_text(note.model_dump_json(), "utf-8")
        found, _ = find_runs([tmp_path / "suite"])
        assert [(run.name, run.at.get("data")) for run in found] == [
            ("west", "west"),
            ("unsw", "unsw"),
            ("iot", None),
        ]

    @pytest.mark.parametrize("name", ["absent", "empty", "x.partial"])
    def test_a_folder_that_is_no_run(self, tmp_path, name, write):
        (tmp_path / "empty").mkdir()
        write("x.partial")
        with pytest.raises(ConfigError) as caught:
            find_runs([tmp_path / name])
        said = {"absent": "no such run folder", "empty": "no run folder", "x.partial": "unfinished"}
        assert said[name] in str(caught.value)
        assert name in str(caught.value)

    @pytest.mark.parametrize("text", ["", "{}", "[1", '{"schema_version": "netvigil.receipt/9"}'])
    def test_a_damaged_receipt(self, write, text):
        folder = write("x")
        (folder / "receipt.json").write_text(text, "utf-8")
        with pytest.raises(RunError, match="damaged, or of another version"):
            find_runs([folder])


def test_all_files_are_written_whole(tmp_path):
    found = compare(runs(a=receipt(RULE, method("m"))))
    for _ in range(2):
        written = write_all(found, tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(p.name for p in written)
    both = (tmp_path / "new" / "comparison.md").read_text("utf-8")
    assert both.count("| --- |") == 2
