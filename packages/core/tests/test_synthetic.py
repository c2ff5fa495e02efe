"""Synthetic traffic: same seed same bits, counters that agree, attacks where they belong."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.addresses import combine, flow_keys
from netvigil.errors import ConfigError
from netvigil.features import CORE35, select_features
from netvigil.testing.synthetic import KINDS, Scenario, stream, traffic
from netvigil.testing.synthetic.campaigns import CASTS, HABITS, apportion
from netvigil.testing.synthetic.routines import routines
from netvigil.testing.synthetic.world import World

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it


@pytest.fixture(scope="module")
def capture():
    return traffic(30_000, seed=11)


def column(flows, name):
    return flows.table[name].to_numpy()


def test_same_seed_same_bits_and_another_seed_other_bits(capture):
    again = traffic(30_000, seed=11)
    assert capture.flows.table.equals(again.flows.table)
    assert capture.labels.table.equals(again.labels.table)
    assert not capture.flows.table.equals(traffic(30_000, seed=12).flows.table)


def test_the_stream_is_the_whole_in_pieces():
    whole = traffic(150_000, seed=3, duration_s=3_600)
    pieces = list(stream(150_000, seed=3, duration_s=3_600))
    assert len(pieces) > 1
    assert pa.concat_tables([p.flows.table for p in pieces]).combine_chunks() == whole.flows.table
    for early, late in pairwise(pieces):
        assert early.flows.start_us[-1] <= late.flows.start_us[0]
        assert early.flows.flow_id[-1] + 1 == late.flows.flow_id[0]
    assert sum(p.report.read for p in pieces) == 150_000


def test_memory_does_not_grow_with_the_capture():
    peaks = []
    for flows in (200_000, 600_000):
        tracemalloc.start()
        rows = sum(len(batch.flows) for batch in stream(flows, seed=2, duration_s=7_200, hosts=300))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert rows == flows
    assert peaks[1] < 1.25 * peaks[0]


@settings(max_examples=25, deadline=None)
@given(
    flows=st.integers(1, 3_000),
    seed=st.integers(0, 10**6),
    duration_s=st.floats(1, 1e6),
    attack_share=st.floats(0, 0.9),
    train_attacks=st.floats(0, 1),
)
def test_any_scenario_gives_as_many_flows_and_attacks_as_asked(
    flows, seed, duration_s, attack_share, train_attacks
):
    made = traffic(
        flows,
        seed=seed,
        duration_s=duration_s,
        attack_share=attack_share,
        train_attacks=train_attacks,
    )
    assert len(made.flows) == len(made.labels) == flows
    assert np.array_equal(made.flows.flow_id, np.arange(flows))
    attacks = made.labels.table["is_attack"].to_numpy().sum()
    assert attacks == round(flows * attack_share)


def test_every_kind_of_attack_is_in_train_calibration_and_test(capture):
    flows, labels = capture
    truth = labels.align(flows.flow_id)
    share = (flows.start_us - Scenario().start_us) / 7.2e9
    for low, high in ((0, 0.7), (0.7, 0.8), (0.8, 1.01)):
        there = (share >= low) & (share < high)
        assert set(truth.attack[there & truth.is_attack]) == set(KINDS)
    early = truth.is_attack & (share < 0.7)
    assert early.sum() == pytest.approx(0.2 * truth.is_attack.sum(), rel=0.05)


def test_train_part_can_be_clean_and_kinds_can_be_chosen():
    kinds = ("beacon", "syn_flood")
    flows, labels = traffic(8_000, seed=4, train_attacks=0.0, kinds=kinds, train_until=0.5)
    truth = labels.align(flows.flow_id)
    first = flows.start_us[truth.is_attack].min()
    assert first >= Scenario().start_us + 3_600_000_000
    assert set(truth.attack[truth.is_attack]) == set(kinds)
    none = traffic(500, seed=4, kinds=()).labels.table["is_attack"].to_numpy()
    assert not none.any()


def test_counters_agree_with_each_other(capture):
    flows = capture.flows
    packets = {s: column(flows, f"{s}_packets").astype(float) for s in ("fwd", "bwd")}
    size = {s: column(flows, f"{s}_bytes").astype(float) for s in ("fwd", "bwd")}
    assert (packets["fwd"] >= 1).all()
    for side in ("fwd", "bwd"):
        # 28 bytes are the smallest IP packet with a transport header, 1,500 the largest frame's
        # payload.
        assert (size[side] >= 28 * packets[side]).all()
        assert (size[side] <= 1_500 * packets[side]).all()
    total = packets["fwd"] + packets["bwd"]
    assert np.allclose(column(flows, "x_bidirectional_packets"), total)
    assert np.allclose(column(flows, "x_bidirectional_bytes"), size["fwd"] + size["bwd"], rtol=1e-6)
    duration = column(flows, "duration_s")
    assert (duration[total == 1] == 0).all()
    assert (duration[total > 1] > 0).all()
    assert np.array_equal(flows.end_us - flows.start_us, np.rint(duration * 1e6).astype(np.int64))


@pytest.mark.parametrize("direction", ["bidirectional", "src2dst", "dst2src"])
@pytest.mark.parametrize("of", ["ps", "piat_ms"])
def test_statistics_are_possible_ones(capture, direction, of):
    low, mean, deviation, high = (
        column(capture.flows, f"x_{direction}_{name}_{of}").astype(float)
        for name in ("min", "mean", "stddev", "max")
    )
    slack = 1e-3 * (1 + high)
    assert (low >= 0).all()
    assert (low <= mean + slack).all()
    assert (mean <= high + slack).all()
    # Bhatia and Davis: no distribution between low and high with this mean deviates more.
    most = np.sqrt(np.maximum((high - mean) * (mean - low), 0))
    assert (deviation <= most + slack).all()
    if of == "ps":
        assert (high <= 1_500).all()


def test_gaps_fit_into_the_duration(capture):
    flows = capture.flows
    packets = column(flows, "x_bidirectional_packets").astype(float)
    duration_ms = column(flows, "duration_s") * 1e3
    longest = column(flows, "x_bidirectional_max_piat_ms").astype(float)
    shortest = column(flows, "x_bidirectional_min_piat_ms").astype(float)
    assert (longest <= duration_ms * (1 + 1e-4) + 1e-3).all()
    several = packets > 2
    needed = shortest * (packets - 2) + longest
    assert (needed[several] <= duration_ms[several] * (1 + 1e-3) + 1e-3).all()


def test_flags_and_states_tell_one_story(capture):
    flows = capture.flows
    state = np.array(flows.table["conn_state"].to_pylist())
    tcp = column(flows, "protocol") == 6
    for side, name in (("fwd", "src2dst"), ("bwd", "dst2src")):
        bits = flows.table[f"{side}_tcp_flags"].fill_null(0).to_numpy()
        for flag, bit in (("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16)):
            counted = column(flows, f"x_{name}_{flag}_packets")
            assert np.array_equal((bits & bit) > 0, counted > 0)
            assert (counted <= column(flows, f"{side}_packets").astype(float)).all()
    assert (column(flows, "x_bidirectional_rst_packets")[tcp & (state == "REJ")] == 1).all()
    assert (column(flows, "bwd_packets")[state == "S0"] == 0).all()
    assert flows.table["tcp_flags"].null_count == (~tcp).sum()
    icmp = column(flows, "protocol") == 1
    assert icmp.any()
    assert flows.table["dst_port"].null_count == icmp.sum()


def test_features_serve_the_feature_sets(capture):
    flows = capture.flows
    names, texts = flows.table.column_names, flows.category_names
    theirs = {"x_src2dst_packets": "fwd_packets", "x_src2dst_bytes": "fwd_bytes"}
    theirs |= {"x_dst2src_packets": "bwd_packets", "x_dst2src_bytes": "bwd_bytes"}
    theirs |= {"x_bidirectional_duration_ms": "duration_s"}
    assert not {theirs.get(n, n) for n in CORE35} - set(names)
    contract = select_features(names, texts)
    assert {"conn_state", "l7_proto"} <= set(contract.categories)
    assert {name for name, _ in contract.denied} <= {"x_ip_version"}


def test_novelty_alone_is_no_attack(capture):
    flows, labels = capture
    attack = labels.align(flows.flow_id).is_attack
    source, target = (flow_keys(flows.table[c]) for c in ("src_ip", "dst_ip"))
    pair = combine(source, target)
    late = flows.start_us >= Scenario().start_us + int(0.8 * 7.2e9)
    new = late & ~np.isin(pair, pair[~late])
    assert (new & ~attack).sum() > (new & attack).sum()
    known_source = np.isin(source, source[~late & ~attack])
    assert 0.1 < known_source[late & attack].mean() < 0.9
    truth = labels.align(flows.flow_id)
    lateral = late & (truth.attack == "lateral_movement")
    assert np.isin(pair[lateral], pair[~late & ~attack]).mean() > 0.5


def test_attack_and_benign_features_overlap(capture):
    """No single feature separates any kind of attack from all benign flows."""
    flows, labels = capture
    truth = labels.align(flows.flow_id)
    x = np.stack([column(flows, n).astype(float) for n in flows.feature_names], axis=1)
    for kind in KINDS:
        mine = x[truth.attack == kind]
        inside = (mine >= x[~truth.is_attack].min(axis=0)) & (
            mine <= x[~truth.is_attack].max(axis=0)
        )
        assert inside.mean() > 0.99


def test_sizes_have_heavy_tails_and_the_day_a_rhythm():
    flows, _ = traffic(40_000, seed=6, duration_s=86_400, attack_share=0)
    size = np.sort(
        column(flows, "fwd_bytes").astype(float) + column(flows, "bwd_bytes").astype(float)
    )
    assert size[-len(size) // 100 :].sum() > 0.35 * size.sum()
    hour = (flows.start_us // 3_600_000_000) % 24
    office, night = ((hour >= 9) & (hour < 16)).sum() / 7, (hour < 5).sum() / 5
    assert office > 3 * night


def test_machines_keep_their_periods():
    scenario = Scenario(flows=20_000, seed=5)
    plans = routines(scenario, World.of(scenario))
    events = plans.between(0, scenario.duration_s)
    assert len(events) == plans.total
    polls = np.flatnonzero((plans.jitter == 0.02) & (plans.count > 20))[0]
    mine = np.sort(
        plans.between(0, 7_200).time[events.dst == plans.actions[plans.action_at[polls], 0]]
    )
    gaps = np.diff(mine)
    assert np.median(gaps) == pytest.approx(plans.period[polls], rel=0.05)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.floats(0, 7_200), min_size=1, max_size=6))
def test_planned_events_do_not_depend_on_how_time_is_cut(cuts):
    scenario = Scenario(flows=3_000, seed=5)
    plans = routines(scenario, World.of(scenario))
    edges = [0.0, *sorted(cuts), scenario.duration_s]
    pieces = [plans.between(low, high) for low, high in pairwise(edges)]
    whole = np.sort(plans.between(0, scenario.duration_s).time)
    assert np.array_equal(np.sort(np.concatenate([p.time for p in pieces])), whole)


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20), st.integers(0, 10_000))
def test_apportion_is_exact_and_fair(weights, total):
    shares = apportion(np.array(weights), total)
    assert shares.sum() == total
    assert np.abs(shares - np.array(weights) / np.sum(weights) * total).max() < 1 + 1e-6


def test_every_kind_has_a_habit_and_a_cast():
    assert set(KINDS) == set(HABITS) == set(CASTS)
    assert sum(habit.share for habit in HABITS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flows": 0},
        {"seed": -1},
        {"duration_s": 0.0},
        {"attack_share": 1.0},
        {"train_until": 1.0},
        {"train_attacks": 1.5},
        {"hosts": 3},
        {"start": Scenario().start.replace(tzinfo=None)},
        {"kinds": ("beacons",)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_impossible_scenarios_are_refused_in_words(wrong):
    with pytest.raises(ConfigError, match=r"synthetic scenario|Did you mean 'beacon'"):
        Scenario(**wrong)


def test_hosts_follow_from_the_rate_unless_given():
    assert Scenario(flows=60_000).inside == 250
    assert Scenario(flows=60_000, hosts=77).inside == 77
    world = World.of(Scenario(flows=60_000, hosts=77))
    assert len(set(world.addresses.to_pylist())) == len(world.addresses)
    assert {f.name for f in fields(World)} >= {"home", "favourites", "arrives"}
