"""What an inspection measures, against values computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts.flows import TEXT, TIMESTAMP
from netvigil.inspection.categories import CategoryCounter, rare_below
from netvigil.inspection.classes import SHOWN, Classes
from netvigil.inspection.columns import ColumnSketch
from netvigil.inspection.correlation import MOST, blocks, correlate, rank
from netvigil.inspection.distinct import Distinct
from netvigil.inspection.histograms import HistogramCounter, Scale, choose_scale
from netvigil.inspection.memory import footprint, totals, whole_type
from netvigil.inspection.timeline import MOST_BINS, TimelineCounter
from netvigil.inspection.words import number, share, size, span, tick, unit
from netvigil.truth import Truth


def column(values, kind, *, name="x_a", pieces=2):
    """Measure a column in several pieces."""
    sketch = ColumnSketch(name, kind)
    for piece in np.array_split(np.arange(len(values)), pieces):
        part = [values[i] for i in piece]
        sketch.update(
            pa.chunked_array(
                [pa.array(part, pa.string()).cast(kind)] if kind == TEXT else [pa.array(part, kind)]
            )
        )
    return sketch.result()


class TestColumns:
    def test_numbers(self):
        found = column([0.0, 2.5, None, -1.0, 0.0, 2.5], pa.float32())
        assert (found.flows, found.missing, found.zeros, found.distinct) == (6, 1, 2, 3)
        assert (found.low, found.high, found.whole, found.exact) == (-1.0, 2.5, False, True)

    def test_texts(self):
        found = column(["tcp", None, "tcp", "udp", "é"], TEXT)
        assert (found.missing, found.distinct, found.constant) == (1, 3, False)
        assert (found.text_bytes, found.dictionary_bytes) == (11, 8)

    def test_times_are_microseconds(self):
        found = column([1_000_000, 2_000_000], TIMESTAMP)
        assert (found.kind, found.low, found.high) == ("time", 1_000_000, 2_000_000)

    def test_nothing_and_always_the_same(self):
        nothing, same = column([None, None], pa.float32()), column([7, 7, None], pa.uint8())
        assert (nothing.empty, nothing.constant, nothing.low, nothing.whole) == (
            True,
            False,
            None,
            False,
        )
        assert (same.empty, same.constant) == (False, True)

    def test_what_32_bits_lose(self):
        assert column([0.5, 2.0**24], pa.float64()).lossless
        assert not column([0.1], pa.float64()).lossless
        assert not column([1e300], pa.float64()).lossless


class TestDistinct:
    def test_beyond_its_limit_it_estimates(self):
        seen = Distinct()
        for piece in np.array_split(np.arange(60_000), 3):
            seen.add(pa.chunked_array([pa.array(np.append(piece, piece))]))
        assert not seen.exact
        assert seen.count == pytest.approx(60_000, rel=0.06)  # four standard errors

    def test_both_zeros_are_one_value(self):
        seen = Distinct()
        seen.add(pa.chunked_array([pa.array([0.0, -0.0], pa.float32())]))
        assert seen.count == 1

    def test_a_dictionary_counts_what_is_used(self):
        coded = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int32()), ["unused", "used"])
        seen = Distinct()
        seen.add(pa.chunked_array([coded]))
        assert (seen.count, seen.size) == (1, 4)

    def test_long_texts(self):
        seen = Distinct()
        seen.add(pa.chunked_array([["a" * 5000, "a" * 5001, "a" * 5000 + "b", "x"]]))
        assert seen.count == 4


class TestHistograms:
    def test_small_whole_numbers_have_a_bin_each(self):
        scale = choose_scale(column([1.0, 4.0, 2.0], pa.float32()), np.array([1.0, 4.0, 2.0]))
        assert scale.edges.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]

    def test_a_wide_spread_is_logarithmic(self):
        values = [0.0, 1.0, 10.0, 5.0, 1e6]
        scale = choose_scale(column(values, pa.float32()), np.array(values))
        assert scale.log
        counter = HistogramCounter("x_a", scale, 1)
        counter.update(np.array([*values, np.nan, -1.0]), np.zeros(7, np.int8))
        found = counter.result()
        assert (found.zero.tolist(), found.negative.tolist()) == ([1], [1])
        assert found.counts.sum() == 4
        assert found.counts[0, 0] == 1  # the number 1 alone
        assert found.counts[0, -1] == 1

    def test_many_negative_values_stay_linear(self):
        values = [-50.0, -40.0, 0.1, 1e6]
        assert not choose_scale(column(values, pa.float32()), np.array(values)).log

    def test_there_is_nothing_to_see_in_a_constant(self):
        assert choose_scale(column([3.0, 3.0], pa.float32()), np.array([3.0, 3.0])) is None
        assert choose_scale(column([None], pa.float32()), np.array([])) is None

    def test_distance(self):
        counter = HistogramCounter("x_a", Scale(np.array([0.0, 1.0, 2.0]), log=False), 3)
        counter.update(np.array([0.5, 0.5, 1.5, 1.5]), np.array([0, 0, 1, 0]))
        found = counter.result()
        assert found.distance(0, 1) == pytest.approx(2 / 3)
        assert found.distance(0, 2) is None

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.floats(width=32, allow_infinity=False, allow_nan=False) | st.just(float("nan")),
                st.integers(0, 2),
            ),
            min_size=1,
            max_size=40,
        ),
        st.integers(1, 4),
    )
    def test_every_known_value_is_counted_once(self, rows, pieces):
        values = np.array([v for v, _ in rows], np.float32)
        sides = np.array([s for _, s in rows])
        known = values[~np.isnan(values)].astype(np.float64)
        measured = column([None if np.isnan(v) else v for v in values], pa.float32())
        scale = choose_scale(measured, known)
        if scale is None:
            assert len(np.unique(known)) <= 1
            return
        assert (np.diff(scale.edges) > 0).all()
        counter = HistogramCounter("x_a", scale, 3)
        for piece in np.array_split(np.arange(len(rows)), pieces):
            counter.update(values[piece], sides[piece])
        want = np.bincount(sides[~np.isnan(values)], minlength=3)
        assert counter.result().totals.tolist() == want.tolist()


class TestCorrelation:
    def test_it_is_spearmans(self):
        rng = np.random.default_rng(0)
        x = rng.integers(0, 6, (200, 4)).astype(float)
        x[:, 3] = -(x[:, 0] ** 3)
        x[rng.random(200) < 0.2, 1] = np.nan
        found = correlate(x, list("abcd"))
        want = pd.DataFrame(x, columns=list("abcd")).rank().corr()  # pairwise complete
        names = list(found.names)
        assert found.rho == pytest.approx(want.loc[names, names].to_numpy(), abs=1e-12)
        assert (found.pairs[0].one, found.pairs[0].other) == ("a", "d")
        assert found.pairs[0].rho == pytest.approx(-1)
        assert abs(names.index("a") - names.index("d")) == 1

    def test_features_that_say_nothing_are_left_out(self):
        x = np.column_stack([np.arange(50.0), np.ones(50), np.full(50, np.nan), np.arange(50.0)])
        found = correlate(x, list("abcd"))
        assert set(found.names) == {"a", "d"}
        assert found.features == 2

    def test_too_few_flows_or_features(self):
        assert correlate(np.ones((1, 3)), list("abc")).names == ()
        assert correlate(np.empty((0, 0)), []).pairs == ()

    def test_two_that_never_meet_have_no_coefficient(self):
        x = np.full((80, 2), np.nan)
        x[:40, 0], x[40:, 1] = np.arange(40), np.arange(40)
        found = correlate(x, ["a", "b"])
        assert np.isnan(found.rho[0, 1])
        assert found.pairs == ()

    def test_the_picture_holds_the_most_correlated(self):
        rng = np.random.default_rng(1)
        x = rng.random((60, MOST + 5))
        x[:, -1] = x[:, 0]
        found = correlate(x, [f"x_{i}" for i in range(MOST + 5)])
        assert len(found.names) == MOST
        assert {"x_0", f"x_{MOST + 4}"} <= set(found.names)
        assert found.features == MOST + 5

    def test_blocks_are_neighbours(self):
        rho = np.eye(6)
        for one, other in ((0, 3), (1, 4), (2, 5)):
            rho[one, other] = rho[other, one] = 0.9
        order = blocks(rho)
        assert sorted(order) == list(range(6))
        assert {frozenset(order[i : i + 2]) for i in (0, 2, 4)} == {
            frozenset(pair) for pair in ((0, 3), (1, 4), (2, 5))
        }

    def test_ranks(self):
        found = rank(np.array([5.0, np.nan, 5.0, 1.0]))
        assert found[[0, 2, 3]].tolist() == [2.5, 2.5, 1.0]
        assert np.isnan(found[1])


class TestCategories:
    def test_counts_by_class_over_pieces(self):
        counter = CategoryCounter("c_a", classes=2)
        counter.update(pa.chunked_array([["a", "b", None], ["a"]]), np.array([0, 1, 0, 1]))
        counter.update(pa.chunked_array([["c", "a"]]).dictionary_encode(), np.array([1, 0]))
        found = counter.result(2, np.array([False, True]))
        assert [(v.text, v.flows, v.by_class) for v in found.common] == [
            ("a", 3, (2, 1)),
            ("b", 1, (0, 1)),
            ("c", 1, (0, 1)),
        ]
        assert (found.missing, found.rare_values, found.rare_flows) == (1, 2, 2)
        assert found.rare == ()  # they stand among the commonest already

    def test_numbers_are_values(self):
        counter = CategoryCounter("dst_port", classes=1)
        counter.update(pa.chunked_array([pa.array([80, 80, 53], pa.uint16())]), np.zeros(3, int))
        assert [(v.text, v.flows) for v in counter.result(2).common] == [("80", 2), ("53", 1)]

    def test_the_rarest_come_first_and_attacks_before_others(self):
        counter = CategoryCounter("c_a", classes=2)
        texts = [f"v{i}" for i in range(20) for _ in range(20 - i)]
        number_ = np.array([int(t == "v18") for t in texts])
        counter.update(pa.chunked_array([[*texts, "w"]]), np.append(number_, 1))
        rare = counter.result(6, np.array([False, True])).rare
        assert [v.text for v in rare[:4]] == ["w", "v19", "v18", "v17"]

    def test_too_many_values_are_counted_as_one(self):
        counter = CategoryCounter("c_a", classes=1, most=3)
        counter.update(pa.chunked_array([list("abcdea")]), np.zeros(6, int))
        found = counter.result(2)
        assert (found.distinct, found.beyond) == (3, 2)

    def test_many_values_grow_the_table(self):
        counter = CategoryCounter("c_a", classes=2)
        for first in (0, 60, 500):
            texts = [str(i) for i in range(first, first + 200)]
            counter.update(pa.chunked_array([texts]), np.ones(200, int))
        assert counter.result(2).distinct == 460

    def test_threshold(self):
        assert [rare_below(n) for n in (1, 5_000, 10**7)] == [2, 5, 100]


class TestClasses:
    def test_attacks_by_count_then_the_rest_then_unknown(self):
        names = tuple(f"a{i}" for i in range(SHOWN + 2))
        attack = np.array([i for i in range(SHOWN + 2) for _ in range(20 - i)] + [-1, -1])
        state = np.full(len(attack), 2, np.int8)
        state[-2:] = 0, 1
        found = Classes.of(Truth(state, attack.astype(np.int32), names), len(state))
        said = [(c.name, c.side) for c in found.listed]
        assert said[:2] == [("benign", "benign"), ("a0", "attack")]
        assert said[-2:] == [("2 other attack classes", "attack"), ("unknown", "unknown")]
        assert [c.flows for c in found.listed] == np.bincount(found.number).tolist()
        assert found.sides == ("unknown", "benign", "attack")

    def test_an_attack_without_a_name_and_no_benign_flow(self):
        truth = Truth(np.array([2, 2], np.int8), np.array([-1, -1], np.int32), ())
        found = Classes.of(truth, 2)
        assert [(c.name, c.flows) for c in found.listed] == [("attack", 2)]

    def test_without_labels_there_is_one_class(self):
        for truth in (None, Truth.unknown(3)):
            found = Classes.of(truth, 3)
            assert not found.labelled
            assert found.number.tolist() == [0, 0, 0]


class TestTimeline:
    def test_bins_have_a_width_with_a_name(self):
        counter = TimelineCounter(5_000_000, 3_600_000_000, clock=True, classes=2)
        counter.update(np.array([5_000_000, 3_600_000_000, 61_000_000]), np.array([0, 1, 1]))
        found = counter.result()
        assert found.width == 60_000_000
        assert found.counts[:, 0].tolist() == [1, 0]
        assert found.counts[:, 1].tolist() == [0, 1]
        assert found.counts.sum() == 3

    def test_one_moment_and_one_row(self):
        for clock in (True, False):
            counter = TimelineCounter(7, 7, clock=clock, classes=1)
            counter.update(np.array([7]), np.array([0]))
            assert counter.result().counts.tolist() == [[1]]

    @given(st.integers(-(10**15), 10**16), st.integers(0, 10**17), st.booleans())
    def test_ends_lie_inside_few_bins(self, first, length, clock):
        counter = TimelineCounter(first, first + length, clock=clock, classes=1)
        found = counter.result()
        assert len(found.edges) - 1 <= MOST_BINS + 1
        assert found.edges[0] <= first
        assert found.edges[-1] > first + length


class TestMemory:
    """The sizes are pandas's own, computed from what a column holds."""

    @pytest.mark.parametrize(
        ("values", "kind", "small"),
        [
            ([0, 255], pa.int64(), "uint8"),
            ([0, 65_535], pa.int64(), "uint16"),
            ([-1, 70_000], pa.int64(), "int32"),
            ([1, None], pa.uint16(), "UInt8"),
            ([1.0, 300.0], pa.float32(), "uint16"),
            ([1.5, None], pa.float32(), "float32"),
            ([0.1, 2.0], pa.float64(), "float32"),
            ([0.1, 1e300], pa.float64(), "float64"),
        ],
        ids=lambda value: str(value)[:12],
    )
    def test_against_pandas(self, values, kind, small):
        found = footprint(column(values, kind))
        assert found.small == small
        plain = pd.Series(values, dtype=found.plain).memory_usage(index=False, deep=True)
        cast = pd.Series(values, dtype=small).memory_usage(index=False, deep=True)
        assert found.plain_bytes == plain
        assert found.small_bytes == cast

    def test_texts(self):
        values = ["tcp"] * 300 + ["udp", None]
        found = footprint(column(values, TEXT))
        plain = pd.Series(values, dtype="object").memory_usage(index=False, deep=True)
        assert found.plain_bytes == plain
        # A byte of code per flow, and each of two texts once: pointer, object, three characters.
        assert (found.small, found.small_bytes) == ("category", 302 + 2 * (8 + 49 + 3))
        assert found.stored_bytes == 302 * 4 + 38 + 6 + 3 * 4  # codes, validity, texts, offsets

    def test_as_stored_it_is_arrows_own_size(self):
        for values, kind in (([1, None, 3], pa.uint64()), ([1.5, 2.5], pa.float32())):
            assert footprint(column(values, kind)).stored_bytes == pa.array(values, kind).nbytes

    def test_what_is_exact(self):
        assert footprint(column([0.5, 0.25], pa.float64())).exact
        assert not footprint(column([0.1, 0.25], pa.float64())).exact

    def test_texts_that_are_all_different_stay_texts(self):
        assert (
            footprint(column([f"C{i:017}" for i in range(300)], pa.string())).small
            == "Arrow string"
        )

    def test_nothing_takes_nothing(self):
        rows = [footprint(column([None, None], pa.float32())), footprint(column([1], pa.int64()))]
        assert rows[0].small_bytes == 0
        assert totals(rows) == (sum(r.stored_bytes for r in rows), 24, 1)

    def test_every_range_has_a_type(self):
        assert whole_type(0, 2**64 - 1) == ("uint64", 8)
        assert whole_type(-(2**63), 0) == ("int64", 8)
        assert whole_type(-1, 2**63) == ("float64", 8)


def test_words():
    assert [unit(n) for n in ("duration_s", "x_max_ps", "fwd_packets", "x_a_ms", "x_ttl")] == [
        "s",
        "bytes",
        "packets",
        "ms",
        "",
    ]
    assert (number(1234.56), number(-3.0), size(10**12), span(7_200_000_000)) == (
        "1,234.6",
        "-3",
        "1.00 TB",
        "2 hours",
    )
    assert (share(0, 0), share(3, 3), tick(-6), tick(16)) == ("0 %", "100 %", "1e-6", "1e16")
