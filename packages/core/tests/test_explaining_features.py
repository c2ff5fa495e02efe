"""Explainers of features: shares by hand, permutation and Shapley values of a known score."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from netvigil.contracts import Contribution
from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.explaining import faithful
from netvigil.explaining.config import PermutationConfig, ShapConfig
from netvigil.explaining.copies import Perturbed
from netvigil.explaining.permutation import Permutation
from netvigil.explaining.shapley import Shap
from netvigil.explaining.shares import ReconstructionShares
from netvigil.parts import NoConfig
from netvigil.testing.synthetic.windows import windows

from .test_explaining_copies import scoring, window

needs_shap = pytest.mark.skipif(find_spec("shap") is None, reason="needs netvigil[shap]")


class Square:
    """An encoder whose error is the square of each feature."""

    def feature_errors(self, graphs):
        return np.square(graphs.flow_x)


def linear(weights):
    return lambda graphs: graphs.flow_x.astype(np.float64) @ np.array(weights, float)


def amounts(explanation) -> dict[str, float]:
    return {each.name: each.amount for each in explanation.contributions}


class TestShares:
    """Row 2 of the window has the features 4 and 5."""

    def explain(self, row=2, **changes):
        values = {"encoder": Square(), **changes}
        found = scoring(lambda g: np.square(g.flow_x).sum(axis=1).astype(float), **values)
        return ReconstructionShares(NoConfig()).explain(found, window(), np.array([row]))[0]

    def test_each_feature_has_its_own_error(self):
        assert [(c.name, c.amount) for c in self.explain().contributions] == [("b", 25), ("a", 16)]

    def test_the_columns_of_a_category_are_added_up(self):
        assert amounts(self.explain(groups={"proto": (0, 1)})) == {"proto": 41}

    def test_the_check_by_hand(self):
        """Both features at the median, 0, lower 41 to 0; so does any random choice of both."""
        check = self.explain().faithfulness
        assert (check.named, check.things, check.pool) == (41, 2, "features")
        assert check.difference == 0

    def test_an_encoder_that_tells_no_errors_is_refused(self):
        with pytest.raises(IncompatiblePartsError, match="by feature"):
            self.explain(encoder=object())

    def test_errors_of_another_shape_are_refused(self):
        class Short(Square):
            def feature_errors(self, graphs):
                return super().feature_errors(graphs)[:, :1]

        with pytest.raises(ContractError, match=r"\(5, 1\) for features \(5, 2\)"):
            self.explain(encoder=Short())


class TestPermutation:
    BACKGROUND = np.array([[0, 1], [0, 2], [3, 3]], np.float32)

    def explain(self, score, **settings):
        found = scoring(score, background=self.BACKGROUND, median=self.BACKGROUND[1])
        made = Permutation(PermutationConfig(**settings))
        return made.explain(found, window(), np.array([2]))[0]

    def test_the_mean_fall_of_a_linear_score_is_known(self):
        """2 (4 - mean(0, 0, 3)) and -1 (5 - mean(1, 2, 3))."""
        assert amounts(self.explain(linear([2, -1]))) == pytest.approx({"a": 6, "b": -3})

    def test_only_raising_features_are_taken_away_in_the_check(self):
        """At the median a falls from 4 to 0; of random single features, half are b: 3 higher."""
        check = self.explain(linear([2, -1])).faithfulness
        assert check.named == pytest.approx(8)
        assert check.things == 1
        assert -3 <= check.random <= 8
        assert check.random != pytest.approx(8)

    def test_where_nothing_raises_the_score_there_is_nothing_to_check(self):
        assert self.explain(linear([0, -1])).faithfulness is None

    def test_features_of_a_group_are_replaced_together(self):
        def product(graphs):
            return graphs.flow_x.prod(axis=1).astype(np.float64)

        found = scoring(product, background=self.BACKGROUND, groups={"proto": (0, 1)})
        made = Permutation(PermutationConfig()).explain(found, window(), np.array([2]))[0]
        assert amounts(made) == pytest.approx({"proto": 20 - np.mean([0, 0, 9])})

    def test_a_large_window_takes_fewer_train_flows_and_says_so(self):
        """Five flows, two features: a budget of 20 leaves two train flows, one of 9 none."""

        def total(graphs):
            sums = np.add.reduceat(graphs.flow_x[:, 0], graphs.flow_ptr[:-1])
            return np.repeat(sums, np.diff(graphs.flow_ptr)).astype(float)

        made = self.explain(total, budget=20)
        assert "2 of 3 train flows" in made.remarks[0]
        assert amounts(made)["a"] == pytest.approx(4 - np.mean([0, 3]))
        made = self.explain(total, budget=9)
        assert "median stands in" in made.remarks[0]
        assert amounts(made)["a"] == pytest.approx(4)

    def test_a_bundle_without_train_flows_is_refused(self):
        found = scoring(linear([1, 1]), background=np.empty((0, 2), np.float32))
        with pytest.raises(IncompatiblePartsError, match="no train flows"):
            Permutation(PermutationConfig()).check(found, window())


@needs_shap
class TestShap:
    def explain(self, score, *, features=8, rows=25, wide=2, budget=2_000_000):
        rng = np.random.default_rng(0)
        background = rng.normal(size=(rows, wide)).astype(np.float32)
        graphs = windows(3, features=wide)
        found = scoring(
            score,
            groups={f"x_{k}": (k,) for k in range(wide)},
            background=background,
            median=np.median(background, axis=0),
        )
        made = Shap(ShapConfig(features=features, rows=rows, budget=budget))
        row = np.array([10])
        return made.explain(found, graphs, row)[0], background, graphs.flow_x[10], graphs

    def test_of_a_linear_score_they_are_the_distances_from_the_background(self):
        made, background, x, _ = self.explain(linear([2, -1]))
        wanted = [2, -1] * (x - background.mean(axis=0, dtype=float))
        assert amounts(made) == pytest.approx({"x_0": wanted[0], "x_1": wanted[1]}, abs=1e-5)

    def test_of_a_product_they_share_what_both_make_together(self):
        """By hand: half of what a feature adds alone, half of what it adds to the other."""
        made, background, x, _ = self.explain(lambda g: g.flow_x.prod(axis=1).astype(float))
        b = background.astype(float)
        none, both = np.mean(b[:, 0] * b[:, 1]), x[0] * x[1]
        first, second = np.mean(x[0] * b[:, 1]), np.mean(b[:, 0] * x[1])
        wanted = ((first - none) + (both - second)) / 2
        assert amounts(made)["x_0"] == pytest.approx(wanted, abs=1e-5)
        assert sum(amounts(made).values()) == pytest.approx(both - none, abs=1e-5)

    def test_features_that_are_not_told_apart_count_as_one(self):
        weights = [5, -4, 3, 0.5, 0.25, 0.1]
        made, background, x, _ = self.explain(linear(weights), features=3, wide=6)
        each = weights * (x - background.mean(axis=0, dtype=float))
        told = {c.name: c.amount for c in made.contributions if c.kind == "feature"}
        (rest,) = [c.amount for c in made.contributions if c.kind == "rest"]
        assert len(told) == 3
        left = sum(each[k] for k in range(6) if f"x_{k}" not in told)
        assert rest == pytest.approx(left, abs=1e-5)

    def test_nothing_is_drawn_from_the_global_generator(self):
        before = np.random.get_state()[1].copy()  # noqa: NPY002 - to see that nobody touches it
        self.explain(linear([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), wide=12)
        assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002

    def test_a_large_window_tells_fewer_apart_and_says_so(self):
        def total(graphs):
            sums = np.add.reduceat(graphs.flow_x.sum(axis=1), graphs.flow_ptr[:-1])
            return np.repeat(sums, np.diff(graphs.flow_ptr)).astype(float)

        made, _, _, graphs = self.explain(total, wide=6, budget=1000)
        flows = graphs.flow_ptr[3] - graphs.flow_ptr[2]
        assert flows * 2**4 > 1000 >= flows * 2**3
        assert any("median stands in" in remark for remark in made.remarks)
        assert any("3 features are told apart" in remark for remark in made.remarks)


def test_without_the_library_shap_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("netvigil.explaining.shapley.find_spec", lambda _: None)
    with pytest.raises(IncompatiblePartsError, match="not installed") as refused:
        Shap(ShapConfig())
    assert "pip install 'netvigil[shap]'" in refused.value.do


class TestFaithfulness:
    """A score that eight of forty features make up."""

    WEIGHTS = np.where(np.arange(40) % 5 == 0, 1.0, 0.0)

    def check(self, named):
        x = np.full((5, 40), 2, np.float32)
        graphs = replace(window(), feature_names=tuple(f"f{k}" for k in range(40)), flow_x=x)
        found = scoring(
            linear(self.WEIGHTS),
            groups={f"f{k}": (k,) for k in range(40)},
            median=np.zeros(40, np.float32),
        )
        flow = Perturbed(found, graphs, 0, 16.0)
        listed = [Contribution("feature", 1.0 - k / 100, name=f"f{n}") for k, n in enumerate(named)]
        return faithful.of_features(found, flow, listed, np.random.default_rng(0))

    def test_the_right_features_lower_the_score_more_than_random_ones(self):
        """Three of weight 1 from 2 to 0: 6; three random ones hold 0.6 of weight 1: about 1.2."""
        check = self.check([0, 5, 10, 15])
        assert check.named == 6
        assert check.random == pytest.approx(1.2, abs=0.8)
        assert check.difference > 3

    def test_a_random_explanation_comes_out_at_about_nothing(self):
        rng = np.random.default_rng(1)
        found = [self.check(rng.choice(40, 4, replace=False).tolist()) for _ in range(60)]
        assert np.mean([check.difference for check in found]) == pytest.approx(0, abs=0.5)
