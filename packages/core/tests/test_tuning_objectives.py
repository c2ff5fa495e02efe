"""What trials are judged by, against hand-computed figures."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import EncodedFlows
from netvigil.errors import ConfigError, RunError
from netvigil.tuning.encodings import Encoding
from netvigil.tuning.objectives import Truth, agreement, average_precision

from . import fakes, tunable
from .tunable import search


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return fakes.write_csv(tmp_path_factory.mktemp("flows") / "a.csv", fakes.traffic(300))


class TestAgreement:
    def test_by_hand_with_ties(self):
        # Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: sum of products of (-1.5, 0, 0, 1.5) and
        # (-1.5, -.5, .5, 1.5) is 4.5; lengths are sqrt(4.5) and sqrt(5).
        found = agreement([np.array([1.0, 2, 2, 9]), np.array([1.0, 2, 3, 4])])
        assert found == pytest.approx([4.5 / np.sqrt(4.5 * 5)])

    def test_one_value_per_pair(self):
        rng = np.random.default_rng(0)
        assert len(agreement([rng.random(9) for _ in range(4)])) == 6

    @given(st.lists(st.integers(0, 5), min_size=3, max_size=30), st.integers(0, 9))
    def test_monotone_changes_of_a_seed_change_nothing(self, values, seed):
        first = np.array(values, np.float64)
        second = np.random.default_rng(seed).random(len(values))
        if len(set(values)) < 2:
            return
        assert agreement([first, second]) == pytest.approx(agreement([np.exp(first), second]))

    def test_scores_that_cannot_disagree_are_refused(self):
        with pytest.raises(RunError, match="very same scores"):
            agreement([np.arange(3.0), np.arange(3.0)])
        with pytest.raises(RunError, match="no ranks"):
            agreement([np.ones(3), np.arange(3.0)])


class TestAveragePrecision:
    def test_unknown_flows_do_not_count(self):
        truth = Truth(np.array([True, False, True, False]), np.array([True, True, True, False]))
        # Known flows by score: attack, benign, attack.
        assert average_precision(np.array([9.0, 5, 1, 99]), truth) == pytest.approx((1 + 2 / 3) / 2)

    def test_one_class_is_refused(self):
        truth = Truth(np.zeros(3, np.bool_), np.ones(3, np.bool_))
        with pytest.raises(RunError, match="no attack among the known flows"):
            average_precision(np.arange(3.0), truth)


@pytest.mark.parametrize("shared", [True, False])
def test_encodings_come_back_as_they_were(tmp_path, shared):
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    part = EncodedFlows(
        np.arange(4),
        np.zeros(4, np.int64),
        embedding=x if shared else None,
        row=np.array([0, 2, 2, 1]) if shared else None,
        terms={"kl/odd name": np.ones(4, np.float32), "x": np.zeros(4, np.float32)},
    )
    Encoding(0.5, part, part).save(tmp_path / "e" / "a.npz")
    back = Encoding.load(tmp_path / "e" / "a.npz")
    assert back.loss == 0.5
    for found in (back.train, back.calibrate):
        for name in ("flow_id", "window_start", "embedding", "row"):
            assert np.array_equal(getattr(found, name), getattr(part, name)), name
        assert list(found.terms) == list(part.terms)
        assert np.array_equal(found.terms["kl/odd name"], np.ones(4))
    Encoding(None).save(tmp_path / "e" / "b.npz")
    assert Encoding.load(tmp_path / "e" / "b.npz") == Encoding(None)
    assert sorted(p.name for p in (tmp_path / "e").iterdir()) == ["a.npz", "b.npz"]


class TestRefusals:
    """Each is made before a byte of the source is read, where that can be known."""

    @pytest.mark.parametrize(
        ("sections", "words"),
        [
            (
                {"tune": {"objective": "validation-auprc"}, "labels": None},
                ["nothing labels the flows", "[labels]"],
            ),
            (
                {"tune": {"objective": "seed-agreement"}, "run": {"seeds": [0]}},
                ["at least two", "run.seeds"],
            ),
            (
                {
                    "tune": {"objective": "seed-agreement", "space": {"scorer.power": [1.0]}},
                    "encoder": {"name": "raw"},
                    "scorer": {"name": "median-distance"},
                },
                ["Nothing is random in encoder 'raw'", "all seeds agree"],
            ),
            (
                {"tune": {"space": {"encoder.x": [1]}}, "encoder": {"name": "raw"}},
                ["'raw' reports no validation loss", "seed-agreement"],
            ),
            (
                {"tune": {"space": {"encoder.shft": [1, 2]}}},
                ["No point of the space", "'shft'", "Did you mean 'shift'?"],
            ),
            (
                {"tune": {"space": {"encoder.shift.x": [1, 2]}}},
                ["No point of the space", "'shift'"],
            ),
        ],
        ids=["no labels", "one seed", "nothing random", "no loss", "no such setting", "inside"],
    )
    def test_before_reading(self, tmp_path, sections, words):
        pytest.importorskip("optuna")
        with pytest.raises(ConfigError) as caught:
            search(tmp_path / "absent.csv", tmp_path / "t", **sections)
        for word in words:
            assert word in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_an_encoder_that_holds_nothing_out_ends_the_search(self, source, tmp_path):
        pytest.importorskip("optuna")
        encoder = {"name": "learner", "held_out": False}
        with pytest.raises(ConfigError, match="'learner' reports no validation loss"):
            search(source, tmp_path / "t", encoder=encoder)

    def test_a_calibration_part_without_attacks(self, tmp_path):
        pytest.importorskip("optuna")
        rows = fakes.traffic(300)
        rows["label"] = ["benign"] * 300
        source = fakes.write_csv(tmp_path / "a.csv", rows)
        with pytest.raises(RunError, match="no attack among the known flows"):
            search(source, tmp_path / "t", tune={"objective": "validation-auprc"})

    def test_without_optuna_the_command_to_install_it_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "optuna", None)
        with pytest.raises(ConfigError, match="pip install 'netvigil"):
            search(tmp_path / "a.csv", tmp_path / "t")
        assert tunable.load().encoder("learner")  # and nothing else needs it
