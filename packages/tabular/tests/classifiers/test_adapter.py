"""Every classifier behind the protocol: repeatable, calibrated, saved, and refusing bad input."""

from __future__ import annotations

import numpy as np
import pytest

from netvigil.contracts import LabelTable
from netvigil.errors import BundleError, ConfigError, ContractError, NotFittedError
from netvigil.protocols import State, Watch, Watched
from netvigil_tabular.classifiers.adapter import TabularClassifier, TrainedClassifier
from netvigil_tabular.classifiers.table import CLASSIFIERS

KINDS = {kind.name: kind for kind in CLASSIFIERS}
SMALL = {
    "random-forest": {"n_estimators": 8},
    "extra-trees": {"n_estimators": 8},
    "hist-gradient-boosting": {"max_iter": 8, "min_samples_leaf": 5},
    "voting": {"members": [{"name": "random-forest", "n_estimators": 4}, "naive-bayes"]},
    "mlp": {"hidden": [12], "epochs": 15, "batch": 32, "learning_rate": 0.02, "device": "cpu"},
}
every = pytest.mark.parametrize("name", KINDS)


def make(name, **given):
    kind = KINDS[name]
    config = kind.config.model_validate(SMALL.get(name, {}) | given)
    return (TrainedClassifier if kind.trained else TabularClassifier)(kind, config)


@pytest.fixture
def taught(flows_of, labels_of, lesson):
    x, code = lesson()
    windows = flows_of(x)
    labels = labels_of(windows, code)

    def teach(name, *, seed=0, **given):
        return make(name, **given).fit([windows], labels, seed=seed)

    return teach


def share_of(made, windows):
    terms = made.classify(windows).terms
    assert tuple(terms) == ("benign", "flood", "scan")
    return np.stack(list(terms.values()), axis=1)


@every
def test_it_knows_again_what_it_was_taught(name, taught, flows_of, lesson):
    x, code = lesson(200, seed=8)
    share = share_of(taught(name), flows_of(x))
    assert (share.argmax(axis=1) == code).mean() > 0.85
    assert share.dtype == np.float32


@every
def test_seeds_decide_only_where_the_table_says_so(name, taught, flows_of, lesson):
    probe = flows_of(lesson(80, seed=8)[0])
    first, same, other = (share_of(taught(name, seed=s), probe) for s in (0, 0, 1))
    assert first.tobytes() == same.tobytes()
    if not KINDS[name].seeded:
        assert first.tobytes() == other.tobytes()


@every
@pytest.mark.parametrize("how", ["sigmoid", "isotonic"])
def test_calibrated_ones_stay_probabilities_and_survive_a_bundle(
    name, how, taught, flows_of, lesson, carried
):
    made = taught(name, calibration=how)
    probe = flows_of(lesson(80, seed=8)[0])
    share = share_of(made, probe)
    assert share.min() >= 0
    assert share.sum(axis=1) == pytest.approx(1, abs=1e-5)
    heir = make(name, calibration=how)
    heir.set_state(carried(made.get_state(), KINDS[name].trusted_types))
    assert share_of(heir, probe).tobytes() == share.tobytes()


@pytest.mark.parametrize(
    "name", [n for n, k in KINDS.items() if "class_weight" in k.config.model_fields]
)
def test_balanced_classes_find_more_of_the_rare_one(name, flows_of, labels_of, lesson):
    x, code = lesson(600, apart=0.8)
    windows = flows_of(x)
    found = []
    for weight in ("none", "balanced"):
        made = make(name, class_weight=weight).fit([windows], labels_of(windows, code), seed=0)
        probe, truth = lesson(600, seed=9, apart=0.8)
        taken = share_of(made, flows_of(probe)).argmax(axis=1)
        found.append(np.count_nonzero(taken[truth == 2] == 2))
    assert found[1] >= found[0]


@every
def test_one_class_only_is_refused(name, flows_of, labels_of, lesson):
    windows = flows_of(lesson(60)[0])
    with pytest.raises(ContractError, match="learns from both classes"):
        make(name).fit([windows], labels_of(windows, np.zeros(60, int)), seed=0)


@every
def test_no_labels_are_refused(name, flows_of, lesson):
    with pytest.raises(ContractError, match="no attack is among the labelled flows"):
        make(name).fit([flows_of(lesson(60)[0])], LabelTable.empty(), seed=0)


@every
def test_constant_columns_alone_are_refused(name, flows_of, labels_of):
    windows = flows_of(np.full((90, 2), 3.0))
    code = np.repeat([0, 1], [60, 30])
    with pytest.raises(ContractError, match="No feature varies on the 90 labelled train flows"):
        make(name).fit([windows], labels_of(windows, code), seed=0)


def test_fewer_rows_than_neighbours_are_refused(flows_of, labels_of):
    windows = flows_of(np.arange(8.0).reshape(4, 2))
    with pytest.raises(ContractError, match="9 neighbours cannot be found among 4"):
        make("k-nearest-neighbours", n_neighbors=9).fit(
            [windows], labels_of(windows, [0, 1, 0, 1]), seed=0
        )


@every
def test_other_features_than_taught_are_refused(name, taught, flows_of):
    made = taught(name)
    other = flows_of(np.zeros((3, 4)), names=("x_0", "x_1", "x_2", "x_9"))
    with pytest.raises(ContractError, match="other features than") as caught:
        made.classify(other)
    assert "Missing: x_3; unexpected: x_9." in str(caught.value)


@every
def test_before_fit_there_is_nothing(name, flows_of):
    made = make(name)
    with pytest.raises(NotFittedError):
        made.classify(flows_of(np.zeros((2, 4))))
    with pytest.raises(NotFittedError):
        made.get_state()


@every
def test_a_state_of_something_else_is_refused(name, taught):
    state = taught(name).get_state()
    shorter = {**state.values, "features": list(state.values["features"])[:-1]}
    with pytest.raises(BundleError):
        make(name).set_state(State(state.arrays, shorter, state.estimators))
    with pytest.raises(BundleError):
        make(name).set_state(State({}, {}, {}))


def test_a_voter_that_cannot_vote_is_named():
    with pytest.raises(ConfigError, match="that can vote is named 'random-forst'") as caught:
        make("voting", members=["random-forst", "mlp"])
    assert "Did you mean 'random-forest'?" in str(caught.value)
    with pytest.raises(ConfigError, match="that can vote is named 'voting'"):
        make("voting", members=["voting", "mlp"])
    with pytest.raises(ConfigError, match="as many weights, not 1"):
        make("voting", members=["naive-bayes", "decision-tree"], weights=[1.0])
    with pytest.raises(ConfigError, match="'depth'"):
        make("voting", members=["naive-bayes", {"name": "decision-tree", "depth": 3}])


def test_votes_are_a_weighted_mean(taught, flows_of, lesson):
    probe = flows_of(lesson(50, seed=8)[0])
    members = ["naive-bayes", "decision-tree"]
    alone = [share_of(taught(name), probe).astype(float) for name in members]
    voted = share_of(taught("voting", members=members, weights=[3.0, 1.0]), probe)
    assert voted == pytest.approx((3 * alone[0] + alone[1]) / 4, abs=1e-6)


class TestMlp:
    def test_it_reports_its_epochs(self, flows_of, labels_of, lesson):
        x, code = lesson(100)
        windows, told, done = flows_of(x), [], []
        made = make("mlp", epochs=3)
        assert isinstance(made, Watched)
        assert made.passes == 3
        made.watch(Watch(done.append, lambda **line: told.append(line)))
        made.fit([windows], labels_of(windows, code), seed=5)
        assert done == [100] * 3
        assert [(line["event"], line["epoch"], line["seed"]) for line in told] == [
            ("epoch", epoch, 5) for epoch in range(3)
        ]
        assert told[-1]["train"]["total"] < told[0]["train"]["total"]

    def test_others_report_nothing(self):
        assert not isinstance(make("random-forest"), Watched)

    def test_a_lone_flow_gets_the_bits_that_it_gets_among_others(self, taught, flows_of, lesson):
        x, _ = lesson(60, seed=8)
        made = taught("mlp")
        whole, alone = share_of(made, flows_of(x)), share_of(made, flows_of(x[17:18]))
        assert whole[17:18].tobytes() == alone.tobytes()

    def test_the_notebooks_networks_are_its_presets(self):
        first, second = (
            KINDS["mlp"].presets[n]["classifier"] for n in ("notebook", "notebook-code")
        )
        assert (first["hidden"], first["epochs"], first["batch"]) == ((50, 25), 100, 1024)
        assert second == first | {"batch": 2048}
        assert KINDS["mlp"].config().model_dump().items() >= first.items()
