"""Selection: which columns stay and why, what passes on, who may see labels, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil import parts
from netvigil.contracts import FlowFeatures
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.plugins import load_plugins
from netvigil.protocols import State, SupervisedTransform
from netvigil_tabular import plugin
from netvigil_tabular.features.choices import correlations

PARTS = {
    r.part.name: r.part
    for r in load_plugins(entry_points=False, extra=[plugin]).of(parts.FlowTransform)
}
LABELLED = ("forest-importance", "recursive-elimination", "mutual-information")
SMALL = {
    "forest-importance": {"n_estimators": 20},
    "recursive-elimination": {"n_estimators": 5},
}
labelled = pytest.mark.parametrize("name", LABELLED)


def make(name, **given):
    part = PARTS[name]
    return part.make(part.config.model_validate(SMALL.get(name, {}) | given))


def features(x, *names, text=None):
    x = np.asarray(x, np.float32)
    column = {} if text is None else {"c_state": pa.array(text, pa.string()).dictionary_encode()}
    return FlowFeatures(x, names or tuple(f"x_{i}" for i in range(x.shape[1])), column)


def taught(rows=400, seed=0):
    """Return features of which the second tells attacks apart, and the fourth almost."""
    rng = np.random.default_rng(seed)
    attack = rng.random(rows) < 0.3
    x = rng.standard_normal((rows, 5))
    x[:, 1] += 4 * attack
    x[:, 3] += 2 * attack
    x[:, 4] = 6.0
    return features(x), attack


class TestLabelled:
    @labelled
    def test_it_keeps_what_tells_attacks_apart(self, name):
        given, attack = taught()
        made = make(name, keep=2).fit_labelled(given, attack, seed=0)
        assert made.transform(given).names == ("x_1", "x_3")
        assert max(made.worth_, key=made.worth_.get) in {"x_1", "x_3"}
        assert made.worth_["x_4"] <= made.worth_["x_3"]

    @labelled
    def test_what_it_went_by_is_in_the_state_and_in_words(self, name, carried):
        given, attack = taught()
        made = make(name, keep=2).fit_labelled(given, attack, seed=0)
        state = carried(made.get_state())
        assert state.values["kept"] == ["x_1", "x_3"]
        assert set(state.values["worth"]) == set(given.names)
        assert made.told().startswith("keeps 2 of 5 features, first x_")
        heir = make(name, keep=2).set_state(state)
        assert heir.told() == made.told()
        assert heir.transform(given).x.tobytes() == made.transform(given).x.tobytes()

    @labelled
    def test_more_than_there_are_keeps_all_and_says_so(self, name):
        given, attack = taught()
        made = make(name, keep=50).fit_labelled(given, attack, seed=0)
        assert made.transform(given).names == given.names
        assert "keeps 5 of 5 features (50 were asked for)" in made.told()

    @labelled
    def test_without_labels_or_with_one_class_it_is_refused(self, name):
        given, attack = taught()
        made = make(name)
        assert isinstance(made, SupervisedTransform)
        assert PARTS[name].supervised
        with pytest.raises(ContractError, match="learns from labels and was given none"):
            made.fit(given, seed=0)
        with pytest.raises(ContractError, match="every flow is benign"):
            made.fit_labelled(given, np.zeros_like(attack), seed=0)
        with pytest.raises(ContractError, match="every flow is an attack"):
            made.fit_labelled(given, np.ones_like(attack), seed=0)
        with pytest.raises(ContractError, match="3 labels for 400 flows"):
            made.fit_labelled(given, attack[:3], seed=0)

    @labelled
    def test_constant_and_all_missing_columns_are_worth_nothing(self, name):
        given, attack = taught()
        x = given.x.copy()
        x[:, 0] = np.nan
        made = make(name, keep=1).fit_labelled(features(x), attack, seed=0)
        assert made.transform(features(x)).names == ("x_1",)
        lowest = min(made.worth_.values())
        assert made.worth_["x_0"] == pytest.approx(lowest, abs=0.2)

    @labelled
    def test_the_same_seed_chooses_the_same(self, name):
        given, attack = taught()
        first, second = (make(name).fit_labelled(given, attack, seed=7) for _ in range(2))
        assert first.get_state() == second.get_state()

    @labelled
    def test_a_limit_on_rows_is_a_seeded_sample(self, name):
        given, attack = taught(3_000)
        made = make(name, keep=2, fit_rows=300).fit_labelled(given, attack, seed=1)
        assert made.transform(given).names == ("x_1", "x_3")

    @pytest.mark.parametrize("model", ["random-forest", "decision-tree", "logistic-regression"])
    @pytest.mark.parametrize("step", [1, 2, 0.4])
    def test_elimination_ranks_what_it_drops(self, model, step):
        given, attack = taught()
        made = make("recursive-elimination", keep=2, model=model, step=step)
        made.fit_labelled(given, attack, seed=0)
        assert made.worth_["x_1"] == 1
        ranks = sorted(round(1 / worth) for worth in made.worth_.values())
        assert ranks == {1: [1, 1, 2, 3, 4], 2: [1, 1, 2, 3, 3], 0.4: [1, 1, 2, 3, 3]}[step]

    def test_mutual_information_of_a_binary_column_by_hand(self):
        # Equal to the label of one half: its entropy, log 2; independent of it: nothing.
        attack = np.array([True, True, False, False] * 50)
        other = np.array([True, False, True, False] * 50)
        given = features(np.stack([attack, other], axis=1))
        made = make("mutual-information", keep=1).fit_labelled(given, attack, seed=0)
        assert made.worth_["x_0"] == pytest.approx(np.log(2))
        assert made.worth_["x_1"] == pytest.approx(0, abs=1e-12)

    def test_fewer_flows_of_a_class_than_neighbours(self):
        given, attack = taught()
        attack[:] = False
        attack[:3] = True
        with pytest.raises(ContractError, match="3 neighbours need more than 3 flows"):
            make("mutual-information").fit_labelled(given, attack, seed=0)


class TestCorrelationFilter:
    def test_the_first_of_two_stays(self):
        rng = np.random.default_rng(0)
        a, b = rng.standard_normal((2, 200))
        given = features(np.stack([a, b, -2 * a + 1, a + b], axis=1), "a", "b", "c", "d")
        made = make("correlation-filter", limit=0.9).fit(given, seed=0)
        assert made.transform(given).names == ("a", "b", "d")
        assert made.notes_ == {"c": "|r| = 1.0000 with a"}
        assert not PARTS["correlation-filter"].supervised

    def test_a_dropped_feature_drops_no_other(self):
        # b is like a, c is like b but not enough like a.
        rng = np.random.default_rng(1)
        a = rng.standard_normal(500)
        b = a + 0.5 * rng.standard_normal(500)
        c = b + 0.5 * rng.standard_normal(500)
        given = features(np.stack([a, b, c], axis=1))
        made = make("correlation-filter", limit=0.85).fit(given, seed=0)
        assert made.transform(given).names == ("x_0", "x_2")

    def test_constant_and_missing_columns_have_no_correlation(self):
        x = np.ones((50, 3))
        x[:, 1] = np.nan
        x[:, 2] = np.arange(50)
        made = make("correlation-filter").fit(features(x), seed=0)
        assert made.transform(features(x)).names == ("x_0", "x_1", "x_2")

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 1000), st.floats(1e-30, 1e30))
    def test_numpy_agrees_whatever_the_scale(self, seed, scale):
        x = np.random.default_rng(seed).standard_normal((40, 4)) * scale
        assert correlations(x) == pytest.approx(np.corrcoef(x.T / scale), abs=1e-9)


class TestSelection:
    def test_categories_pass_on_untouched(self):
        given, _ = taught(40)
        text = features(given.x, text=["SF", "S0"] * 20)
        made = make("correlation-filter").fit(text, seed=0)
        assert made.transform(text).categories["c_state"].to_pylist() == ["SF", "S0"] * 20

    def test_missing_values_pass_on(self):
        given, _ = taught(40)
        x = given.x.copy()
        x[3, 0] = np.nan
        made = make("correlation-filter").fit(features(x), seed=0)
        assert np.isnan(made.transform(features(x)).x[3, 0])

    def test_other_features_are_refused(self):
        given, _ = taught(40)
        made = make("correlation-filter").fit(given, seed=0)
        with pytest.raises(ContractError, match="fitted on other features") as caught:
            made.transform(features(given.x, "x_0", "x_1", "x_2", "x_3", "x_9"))
        assert "Missing: x_4; unexpected: x_9." in str(caught.value)

    @pytest.mark.parametrize("name", ["correlation-filter", "pca-features"])
    @pytest.mark.parametrize("shape", [(0, 3), (1, 3), (9, 0)])
    def test_too_little_to_learn_from(self, name, shape):
        with pytest.raises(ContractError, match="cannot be fitted on"):
            make(name).fit(features(np.zeros(shape)), seed=0)

    @pytest.mark.parametrize("name", PARTS)
    def test_before_fit_there_is_nothing(self, name):
        with pytest.raises(NotFittedError):
            make(name).transform(features(np.zeros((2, 2))))
        with pytest.raises(NotFittedError):
            make(name).get_state()

    def test_a_state_that_keeps_what_is_not_there_is_refused(self):
        values = {"names": ["a"], "kept": ["b"], "worth": {"a": 1.0}, "notes": {}}
        with pytest.raises(BundleError, match="not a state of transform"):
            make("correlation-filter").set_state(State(values=values))
