"""Figures of classes: by hand, against scikit-learn's own, and with classes nobody was taught."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from sklearn import metrics

from netvigil.contracts import AlignedLabels, LabelTable
from netvigil.errors import ContractError
from netvigil.evaluation import (
    ClassShares,
    ClassView,
    MethodScores,
    class_figures,
    classes_to_markdown,
    evaluate,
    to_rich,
)

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

NAMES = ("benign", "flood", "scan")


def truth_of(*classes):
    attack = np.array(["" if name == "benign" else name for name in classes])
    known = np.ones(len(classes), np.bool_)
    return AlignedLabels(known, attack != "", attack)


def figures(share, *classes, names=NAMES, binary=False):
    return class_figures(
        ClassShares(names, np.array(share, np.float32), binary), truth_of(*classes)
    )


HAND = [[0.75, 0.25, 0.0], [0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]]
"""Taken for benign, benign, flood and scan."""


class TestByHand:
    def test_confusion_and_what_follows_from_it(self):
        made = figures(HAND, "benign", "scan", "flood", "scan")
        assert made.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
        assert made.accuracy().value == 3 / 4
        assert [made.recall(k).value for k in range(3)] == [1, 1, 0.5]
        assert [made.precision(k).value for k in range(3)] == [0.5, 1, 1]
        assert made.balanced_accuracy().value == pytest.approx(2.5 / 3)
        # F1: 2/3, 1, 2/3
        assert made.class_macro_f1().value == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)

    def test_log_loss_brier_and_calibration_error(self):
        made = figures(HAND, "benign", "scan", "flood", "scan")
        own = np.array([0.75, 0.25, 1.0, 0.5])
        assert made.log_loss.value == pytest.approx(-np.log(own).mean())
        # Squares of what is missing, in sixteenths: 1 and 1; 4, 1 and 9; none; 1, 1 and 4.
        assert made.brier.value == pytest.approx((2 / 16 + 14 / 16 + 0 + 6 / 16) / 4)
        # Sure of .75 and right; .5 twice, right once: no gap; 1 and right.
        assert made.ece.value == pytest.approx(0.25 / 4)

    def test_a_probability_of_zero_costs_a_lot_and_not_everything(self):
        made = figures([[0.0, 1.0, 0.0]], "benign")
        assert made.log_loss.value == pytest.approx(-np.log(1e-7))
        assert made.brier.value == pytest.approx(2)

    def test_the_first_class_of_equals_is_taken(self):
        assert figures([[0.5, 0.5, 0.0]], "flood").confusion[1].tolist() == [1, 0, 0]

    def test_no_flow_has_no_figures(self):
        made = figures(np.empty((0, 3)))
        assert made.accuracy().reason == "no test flow has a label"
        assert made.log_loss.value is None
        assert made.f1(1).reason == "no test flow is of this class"

    def test_columns_must_be_the_classes(self):
        with pytest.raises(ContractError, match="3 classes need as many columns"):
            ClassShares(NAMES, np.zeros((4, 2), np.float32))


class TestUntaught:
    def test_a_class_of_the_test_part_alone_counts_as_errors(self):
        made = figures(HAND, "benign", "worm", "flood", "scan")
        assert made.names == (*NAMES, "worm")
        assert made.unseen == 1
        assert made.confusion[3].tolist() == [1, 0, 0]
        assert made.recall(3).value == 0
        assert made.precision(3).value is None
        assert made.accuracy().value == 3 / 4
        assert made.balanced_accuracy().value == 3 / 4  # of four classes, three found whole
        assert made.log_loss.value == pytest.approx(-np.log([0.75, 1e-7, 1.0, 0.5]).mean())

    def test_a_class_that_no_test_flow_has_does_not_count(self):
        made = figures(HAND[:1], "benign")
        assert made.recall(2).reason == "no test flow is of this class"
        assert made.balanced_accuracy().value == 1
        assert made.class_macro_f1().value == 1

    def test_binary_knows_no_names(self):
        share = [[0.9, 0.1], [0.2, 0.8]]
        made = figures(share, "benign", "worm", names=("benign", "attack"), binary=True)
        assert made.unseen == 0
        assert made.accuracy().value == 1


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_scikit_learn_agrees(data):
    flows = data.draw(st.integers(1, 60))
    seed = data.draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    names = [*NAMES, "worm"]
    codes = rng.integers(0, data.draw(st.integers(1, 4)), flows)
    share = rng.dirichlet(np.ones(3), flows).astype(np.float32)
    made = figures(share, *(names[code] for code in codes))
    taken = share.argmax(axis=1)
    # A class that the classifier was not taught stands last here, whatever its number is.
    assert made.accuracy().value == pytest.approx(metrics.accuracy_score(codes, taken))
    balanced = metrics.recall_score(
        codes, taken, average="macro", labels=np.unique(codes), zero_division=0
    )
    assert made.balanced_accuracy().value == pytest.approx(balanced)
    macro = metrics.f1_score(codes, taken, average="macro", zero_division=0)
    assert made.class_macro_f1().value == pytest.approx(macro)
    whole = np.clip(np.pad(share.astype(float), ((0, 0), (0, 1))), 1e-7, 1)
    one_hot = np.eye(4)[codes]
    assert made.log_loss.value == pytest.approx(-(np.log(whole) * one_hot).sum(1).mean())
    brier = ((np.pad(share, ((0, 0), (0, 1))) - one_hot) ** 2).sum(1).mean()
    assert made.brier.value == pytest.approx(brier, abs=1e-6)


def headline(attacks=("flood", "scan")):
    rng = np.random.default_rng(1)
    ids = np.arange(90)
    names = np.array(["", *attacks])[ids % 3]
    runs = []
    for seed in range(2):
        share = rng.dirichlet(np.ones(3), 90).astype(np.float32)
        share[ids, ids % 3] += 1
        share /= share.sum(axis=1, keepdims=True)
        shares = ClassShares(NAMES, share)
        score = 1.0 - share[:, 0]
        runs.append(MethodScores("trees", score, cut=0.5, seed=seed, classes=shares))
    runs.append(MethodScores("rarity", np.zeros(90), kind="baseline"))
    labels = LabelTable.of(ids, ids % 3 > 0, pa.array(names.tolist(), pa.string()))
    return evaluate(flow_id=ids, labels=labels, runs=runs, resamples=5).headline


def printed(view, width):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(view)
    return out.getvalue()


class TestTables:
    def test_seeds_are_summed_up(self):
        trees, rarity = headline().methods
        assert trees.supervised
        assert not rarity.supervised
        assert len(trees.classes.metrics["ece"].per_seed) == 2
        assert trees.classes.metrics["accuracy"].sd is not None
        assert [c.support for c in trees.classes.classes] == [30, 30, 30]
        assert trees.metrics.keys().isdisjoint(trees.classes.metrics)

    @pytest.mark.parametrize("width", [60, 100, 200])
    def test_the_terminal_shows_every_class_whole(self, width):
        text = printed(ClassView(headline()), width)
        assert "trees SUPERVISED" in text
        for word in ("benign", "flood", "scan", "calibration error", "as 3"):
            assert word in text
        assert max(map(len, text.splitlines())) <= width
        assert "trees SUPERVISED" in printed(to_rich(headline()), width)

    def test_without_a_classifier_there_is_nothing(self):
        ids = np.arange(4)
        labels = LabelTable.of(ids, ids > 2, pa.nulls(4, pa.string()))
        runs = [MethodScores("rarity", np.zeros(4), kind="baseline")]
        head = evaluate(flow_id=ids, labels=labels, runs=runs, resamples=5).headline
        assert printed(ClassView(head), 80) == ""
        assert classes_to_markdown(head) == ""

    def test_markdown_has_recall_by_class(self):
        lines = classes_to_markdown(headline(("flood", "worm|x"))).splitlines()
        assert lines[0].startswith("| classifier | accuracy |")
        assert lines[2].startswith("| trees SUPERVISED | ")
        assert any(
            line.startswith("| worm&#124;x (only in the test part) | 30 |") for line in lines
        )
