from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import average_precision_score

from netvigil.contracts import EncodedFlows
from netvigil.errors import BundleError, ConfigError, ContractError, NotFittedError
from netvigil.protocols import CalibratedScorer, State
from netvigil_scorers import plugin
from netvigil_scorers.fusion.fused import Fused, FusedConfig

PART = next(part for part in plugin.netvigil_scorers() if part.name == "fused")


def terms(**columns) -> EncodedFlows:
    made = {name.replace("__", "."): np.asarray(c, np.float32) for name, c in columns.items()}
    flows = len(next(iter(made.values())))
    return EncodedFlows(np.arange(flows), np.zeros(flows, np.int64), terms=made)


def drawn(flows: int, *, seed: int, attacks: int = 0, noise: str = "") -> EncodedFlows:
    """Two questions of two agreeing parts each; half the attacks stand out in either.

    `noise` names a part without signal.
    """
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, flows, 1)) + 0.3 * rng.standard_normal((2, flows, 2))
    x[: attacks // 2] += 4
    y[attacks // 2 : attacks] += 4
    extra = {noise: rng.standard_normal(flows)} if noise else {}
    return terms(x__a=x[:, 0], x__b=x[:, 1], y__a=y[:, 0], y__b=y[:, 1], **extra)


ATTACKS = 60
TRUTH = np.arange(2000) < ATTACKS


def found(noise: str = "") -> float:
    """The average precision that `fused` reaches on `drawn` flows."""
    train, held = drawn(2000, seed=1, noise=noise), drawn(5000, seed=2, noise=noise)
    test = drawn(2000, seed=3, attacks=ATTACKS, noise=noise)
    return float(average_precision_score(TRUTH, fused(train, held).score(test).score))


def fused(train: EncodedFlows, held: EncodedFlows, **settings) -> Fused:
    return Fused(FusedConfig(**settings)).fit(train, seed=0).calibrate(held, seed=0)


def test_by_hand():
    """Held out: 1, 2, 3 in one group of one part, so a vote's probability is the part's own."""
    held = terms(a__x=[1, 2, 3], b__x=[1, 2, 3])
    made = fused(held, held)
    score = made.score(terms(a__x=[3, 3, 0], b__x=[3, 0, 0])).score
    assert score.tolist() == pytest.approx([-2 * np.log(0.5), -np.log(0.5), 0.0])


def test_each_encoder_is_a_group_and_detectors_join_the_main_one():
    encoded = replace(
        terms(error=[1, 2, 3, 4], rarity__pair=[1, 2, 3, 4], rarity__source=[1, 2, 3, 4]),
        embedding=np.arange(8, dtype=np.float32).reshape(4, 2),
    )
    made = fused(encoded, encoded, detectors=("hbos",))
    assert made.get_state().values["groups"] == {
        "features": ["detector.hbos", "error"],
        "rarity": ["rarity.pair", "rarity.source"],
    }


def test_groups_by_hand_are_kept_and_checked():
    encoded = terms(a__x=[1, 2], a__y=[1, 2], b__x=[1, 2])
    made = fused(encoded, encoded, groups={"one": ["a.x", "b.*"], "two": ["a.y"]})
    assert made.get_state().values["groups"] == {"one": ["a.x", "b.x"], "two": ["a.y"]}
    with pytest.raises(ConfigError, match="no part is"):
        fused(encoded, encoded, groups={"one": ["c.*"]})
    with pytest.raises(ConfigError, match=r"both take 'a\.x'"):
        fused(encoded, encoded, groups={"one": ["a.*"], "two": ["a.x"]})


def test_it_finds_what_each_part_alone_misses():
    test = drawn(2000, seed=3, attacks=ATTACKS)
    alone = [average_precision_score(TRUTH, term) for term in test.terms.values()]
    assert found() > 0.8
    assert max(alone) < 0.6


@pytest.mark.parametrize("noise", ["x__c", "z__a"])
def test_a_part_without_signal_does_not_decide(noise):
    """Beside two parts of one question, or as a question of its own: still better than any part."""
    assert found(noise) > 0.6


@pytest.mark.parametrize("rule", ["fisher", "max", "mean-rank", "higher-criticism"])
def test_every_rule_ranks_a_flow_that_stands_out_first(rule):
    held = drawn(500, seed=2)
    test = drawn(50, seed=3)
    out = {name: np.append(term, 30.0).astype(np.float32) for name, term in test.terms.items()}
    score = (
        fused(held, held, within=rule, across=rule)
        .score(terms(**{name.replace(".", "__"): column for name, column in out.items()}))
        .score
    )
    assert score.argmax() == 50


def test_monotone_changes_of_a_part_change_nothing_within_the_held_out_range():
    held, test = drawn(400, seed=2), drawn(100, seed=3)
    limits = {name: held.terms[name].max() for name in held.terms}
    inside = EncodedFlows(
        test.flow_id,
        test.window_start,
        terms={name: np.minimum(term, limits[name]) for name, term in test.terms.items()},
    )

    def bent(encoded):
        return replace(encoded, terms={n: np.exp(t / 2) for n, t in encoded.terms.items()})

    plain = fused(held, held).score(inside).score
    assert np.allclose(fused(bent(held), bent(held)).score(bent(inside)).score, plain)


def test_a_state_travels(carried, flows):
    train = replace(flows(300), terms={"error": np.arange(300, dtype=np.float32)})
    settings = FusedConfig(detectors=("gmm", "iforest"))
    made = Fused(settings).fit(train, seed=0).calibrate(train, seed=0)
    again = Fused(settings).set_state(carried(made.get_state(), PART.trusted_types))
    assert np.array_equal(again.score(train).score, made.score(train).score)
    with pytest.raises(BundleError, match="not a state of scorer 'fused'"):
        Fused(settings).set_state(State(values={"groups": {}}))


def test_it_says_how_much_parts_agree():
    """Parts of a group share a cause in `drawn`, groups do not; a constant part says nothing."""
    held = drawn(3000, seed=2)
    held = replace(held, terms={**held.terms, "z.flat": np.zeros(3000, np.float32)})
    agreed = fused(held, held).dependence_
    assert list(agreed) == ["within x", "within y", "across"]
    assert agreed["within x"] > 0.8
    assert agreed["within y"] > 0.8
    assert abs(agreed["across"]) < 0.05


def test_many_held_out_flows_are_sampled_by_the_seed():
    train, held = drawn(300, seed=1), drawn(300, seed=2)
    one, two, other = (
        Fused(FusedConfig(held_rows=50)).fit(train, seed=s).calibrate(held, seed=s).score(held)
        for s in (0, 0, 1)
    )
    assert np.array_equal(one.score, two.score)
    assert not np.array_equal(one.score, other.score)


def test_what_it_refuses(flows):
    with pytest.raises(ContractError, match="nothing to combine"):
        Fused(FusedConfig(detectors=())).fit(flows(10), seed=0)
    with pytest.raises(NotFittedError):
        Fused(FusedConfig()).calibrate(flows(10), seed=0)
    half = Fused(FusedConfig()).fit(drawn(10, seed=0), seed=0)
    assert isinstance(half, CalibratedScorer)
    with pytest.raises(NotFittedError, match="calibrate"):
        half.score(drawn(10, seed=0))
    with pytest.raises(ContractError, match="no held-out flows"):
        half.calibrate(drawn(0, seed=0), seed=0)
    with pytest.raises(ContractError, match="other terms"):
        fused(drawn(10, seed=0), drawn(10, seed=0)).score(terms(error=[1.0]))
    with pytest.raises(ValidationError, match="gmn"):
        FusedConfig(detectors=("gmn",))
