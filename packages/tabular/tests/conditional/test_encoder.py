"""Encoder `conditional`: it finds what is usual elsewhere but not here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import FeatureErrors, State, Watch
from netvigil_tabular.conditional.encoder import Conditional
from netvigil_tabular.config import AutoencoderConfig, ConditionalConfig
from netvigil_tabular.encoder import Reconstructor

SMALL = {"epochs": 3, "hidden": [8], "batch": 32, "device": "cpu"}


def new(**settings):
    return Conditional(ConditionalConfig(**{**SMALL, **settings}))


def drawn(flows=300, *, seed=0):
    """Draw flows of two pairs of hosts, each with features of its own."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, flows)
    pairs = [(0, 1) if each == 0 else (2, 3) for each in kind]
    x = 2.0 * np.where(kind == 0, -1, 1)[:, None] * [1, -1, 1]
    return pairs, x + 0.2 * rng.standard_normal((flows, 3))


@pytest.fixture
def train(hosts):
    return hosts(*drawn())


@pytest.fixture
def probe(hosts):
    return hosts(*drawn(40, seed=1))


def test_a_flow_that_is_usual_elsewhere_only(hosts, train):
    pairs, x = drawn(40, seed=1)
    pairs[7] = (0, 1) if pairs[7] == (2, 3) else (2, 3)
    probe = hosts(pairs, x)
    learning = {"epochs": 40, "learning_rate": 1e-2}
    found = new(**learning).fit([train], seed=0).encode(probe).terms["conditional"]
    assert found.argmax() == 7
    assert found[7] > 20 * np.delete(found, 7).max()
    alone = Reconstructor(AutoencoderConfig(**{**SMALL, **learning, "bottleneck": 2}))
    missed = alone.fit([train], seed=0).encode(probe).terms["standardised"]
    assert missed[7] < np.quantile(missed, 0.95)


def test_feature_errors_average_to_the_term(train, probe):
    made = new().fit([train], seed=0)
    assert isinstance(made, FeatureErrors)
    errors = made.feature_errors(probe)
    assert errors.shape == probe.flow_x.shape
    np.testing.assert_allclose(errors.mean(1), made.encode(probe).terms["conditional"], rtol=1e-5)


def test_what_is_usual_is_that_of_the_flows_held_out(train):
    made = new(validation=0.2).fit([train], seed=0)
    np.testing.assert_allclose(made.feature_errors(train)[240:].mean(0), 1, rtol=1e-3)


def test_the_same_seed_gives_the_same_bits_and_a_state_survives(train, probe, carried):
    first = new().fit([train], seed=0)
    score = first.encode(probe).terms["conditional"]
    again = new().fit([train], seed=0).encode(probe).terms["conditional"]
    assert score.tobytes() == again.tobytes()
    assert (
        score.tobytes() != new().fit([train], seed=1).encode(probe).terms["conditional"].tobytes()
    )
    heir = new().set_state(carried(first.get_state()))
    assert score.tobytes() == heir.encode(probe).terms["conditional"].tobytes()


def test_companions_do_not_matter(train, probe, monkeypatch):
    made = new().fit([train], seed=0)
    whole = made.encode(probe).terms["conditional"]
    monkeypatch.setattr("netvigil_tabular.conditional.encoder.BLOCK", 7)
    np.testing.assert_allclose(made.encode(probe).terms["conditional"], whole, rtol=1e-4)


def test_a_killed_fit_resumes_to_the_same_bits(train, probe, tmp_path):
    class KilledError(Exception):
        pass

    def killing(**line):
        if line.get("epoch") == 1:
            raise KilledError

    often = {"checkpoint_s": 1e-9}
    whole = new(**often).fit([train], seed=0).encode(probe).terms["conditional"]
    killed, resumed = new(**often), new(**often)
    killed.watch(Watch(write=killing, checkpoints=tmp_path))
    with pytest.raises(KilledError):
        killed.fit([train], seed=0)
    lines = []
    resumed.watch(Watch(write=lambda **line: lines.append(line), checkpoints=tmp_path))
    found = resumed.fit([train], seed=0).encode(probe).terms["conditional"]
    assert [line["epoch"] for line in lines if line["event"] == "epoch"] == [1, 2]
    assert found.tobytes() == whole.tobytes()


def test_one_flow_and_enormous_features_are_finite(hosts):
    made = new().fit([hosts([(0, 1)], [[1.0, 2.0, 3.0]])], seed=0)
    found = made.encode(hosts([(0, 1), (1, 0)], [[3e38, 0, 0], [-3e38, 0, 0]]))
    assert np.isfinite(found.terms["conditional"]).all()


def test_odd_input_is_refused(hosts, train, probe, flows_of):
    for none in ([], [train[:0]]):
        with pytest.raises(ContractError, match="no flow to train on"):
            new().fit(none, seed=0)
    with pytest.raises(ContractError, match="no feature"):
        new().fit([hosts([(0, 1)], np.empty((1, 0)))], seed=0)
    with pytest.raises(ContractError, match="have no hosts"):
        new().fit([flows_of(np.ones((5, 2)))], seed=0)
    with pytest.raises(ContractError, match="have no service keys"):
        new().fit([replace(train, flow_service=None)], seed=0)
    with pytest.raises(NotFittedError, match="used before fit"):
        new().encode(probe)
    with pytest.raises(ContractError, match="other features"):
        new().fit([train], seed=0).encode(replace(probe, feature_names=("a", "b", "c")))


def test_the_state_of_another_part_is_refused(train):
    state = new().fit([train], seed=0).get_state()
    lost = {name: a for name, a in state.arrays.items() if name != "residual"}
    for heir, other in (
        (new(hidden=[9]), state),
        (new(contexts=["source"]), state),
        (new(), State(lost, state.values)),
        (new(), State(state.arrays, {"features": ["x_0"]})),
        (new(), State({}, {})),
    ):
        with pytest.raises(BundleError, match="not a state of 'conditional'"):
            heir.set_state(other)
