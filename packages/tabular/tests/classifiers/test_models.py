"""Models: blocks of one shape, classes by their own numbers, and damage that is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from netvigil.errors import BundleError, ContractError
from netvigil.protocols import State
from netvigil_tabular.classifiers.models import BLOCK, Estimator, Neighbours, in_blocks
from netvigil_tabular.classifiers.table import CLASSIFIERS

FOREST = ("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 3})


def forest(**settings):
    return Estimator(FOREST[0], FOREST[1] | settings, alone=True)


def test_blocks_have_one_shape_and_their_filling_does_not_show():
    seen = []

    def ask(x):
        seen.append(x.shape)
        return x.sum(axis=1, keepdims=True)

    x = np.ones((BLOCK + 3, 2), np.float32)
    assert in_blocks(ask, x).tolist() == [[2]] * (BLOCK + 3)
    assert seen == [(BLOCK, 2)] * 2
    assert in_blocks(ask, x[:0]).shape == (0, 1)


def test_a_class_that_no_row_has_is_improbable(lesson):
    x, _ = lesson(60)
    y = np.where(x[:, 0] > 0, 3, 1)
    share = forest().learn(x, y, None, classes=5, seed=0).share(x)
    assert share.shape == (60, 5)
    assert share[:, [0, 2, 4]].max() == 0
    assert share.sum(axis=1) == pytest.approx(1)


def test_what_scikit_learn_refuses_is_told_with_its_reason(lesson):
    x, y = lesson(30)
    x[3, 1] = np.inf
    with pytest.raises(ContractError, match="RandomForestClassifier cannot be fitted") as caught:
        forest().learn(x, y, None, classes=3, seed=0)
    assert "infinity" in str(caught.value)


def test_weights_reach_the_estimator(lesson):
    x, y = lesson(200, apart=0.5)
    weight = np.where(y == 2, 50.0, 1.0)
    made = [forest(max_depth=2).learn(x, y, w, classes=3, seed=0) for w in (None, weight)]
    plain, weighted = (model.share(x)[:, 2].mean() for model in made)
    assert weighted > 2 * plain


def test_neighbours_are_those_of_scikit_learn(lesson):
    x, y = lesson(120)
    settings = {"n_neighbors": 4, "weights": "distance", "metric": "manhattan"}
    made = Neighbours(settings).learn(x, y, None, classes=3, seed=0)
    wanted = KNeighborsClassifier(**settings).fit(x, y).predict_proba(x[:40] + 0.01)
    assert made.share(x[:40] + np.float32(0.01)) == pytest.approx(wanted, abs=1e-5)


def test_fewer_rows_than_neighbours(lesson):
    x, y = lesson(4)
    with pytest.raises(ContractError, match="5 neighbours cannot be found among 4"):
        Neighbours({"n_neighbors": 5}).learn(x, y, None, classes=3, seed=0)


def test_neighbours_cannot_weigh_classes(lesson):
    x, y = lesson(9)
    with pytest.raises(ContractError, match="cannot be weighed"):
        Neighbours({"n_neighbors": 1}).learn(x, y, np.ones(9), classes=3, seed=0)


class TestDamage:
    @pytest.mark.parametrize("what", ["features", "classes", "kind"])
    def test_an_estimator_of_something_else(self, what, lesson):
        x, y = lesson(60)
        state = forest().learn(x, y, None, classes=3, seed=0).state()
        given = {"classes": 3, "features": 4}
        if what != "kind":
            given[what] -= 1
        other = forest() if what != "kind" else Estimator("sklearn.tree:X", {}, alone=True)
        with pytest.raises(BundleError, match="This is no "):
            other.restore(state, **given)

    @pytest.mark.parametrize("source", ["ensemble:RandomForest", "tree:DecisionTree"])
    @pytest.mark.parametrize("part", ["children_left", "children_right", "feature"])
    def test_a_tree_that_points_outside_itself(self, source, part, lesson):
        x, y = lesson(60)
        made = Estimator(f"sklearn.{source}Classifier", {}, alone=True)
        state = made.learn(x, y, None, classes=3, seed=0).state()
        estimator = state.estimators["model"]
        tree = getattr(estimator, "estimators_", [estimator])[0].tree_
        getattr(tree, part)[0] = 10_000
        with pytest.raises(BundleError, match="points outside itself"):
            made.restore(state, classes=3, features=4)

    @pytest.mark.parametrize("part", ["left", "right", "feature_idx"])
    def test_a_boosted_tree_that_points_outside_itself(self, part, lesson):
        x, y = lesson(200)
        made = Estimator(
            "sklearn.ensemble:HistGradientBoostingClassifier", {"max_iter": 2}, alone=True
        )
        state = made.learn(x, y, None, classes=3, seed=0).state()
        state.estimators["model"]._predictors[0][0].nodes[part][0] = 10_000
        with pytest.raises(BundleError, match="points outside itself"):
            made.restore(state, classes=3, features=4)

    def test_neighbours_of_another_shape(self):
        made = Neighbours({"n_neighbors": 1})
        for x, y in (((3, 2), [0, 1, 2]), ((3, 4), [0, 1, 9]), ((0, 4), [])):
            state = State(arrays={"x": np.zeros(x, np.float32), "y": np.array(y, np.int64)})
            with pytest.raises(BundleError, match="no rows of 4 features and 3 classes"):
                made.restore(state, classes=3, features=4)


# Networks and votes are asked through the adapter, in its own tests.
PLAIN = [kind for kind in CLASSIFIERS if kind.name not in {"mlp", "voting"}]


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.name)
def test_a_lone_flow_gets_the_bits_that_it_gets_among_others(kind, lesson):
    x, y = lesson(400, seed=3)
    small = {"n_estimators": 5} if "n_estimators" in kind.config.model_fields else {}
    model = kind.model(kind.config(**small)).learn(x, y, None, classes=3, seed=0)
    whole = model.share(x)
    assert whole[17:18].tobytes() == model.share(x[17:18]).tobytes()
    assert whole[100:203].tobytes() == model.share(x[100:203]).tobytes()
