"""Roles partition the flows, nothing that learns reaches into what comes later."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from netvigil import config
from netvigil.contracts import FlowInfo, FlowTable
from netvigil.contracts.flows import CANONICAL, TIMESTAMP
from netvigil.errors import ConfigError, RunError
from netvigil.splits import CALIBRATE, REPEATED, TEST, TRAIN, UNUSED, Split, iso, make_split
from netvigil.store import FlowStore

from . import fakes

S = 1_000_000  # microseconds
FEW = hypothesis_settings(max_examples=40, deadline=None)


def table(start=None, length=None, *, flows: int = 0) -> FlowTable:
    """Make flows of which nothing but the times is known."""
    n = flows if start is None else len(start)
    columns = {name: pa.nulls(n, kind) for name, kind in CANONICAL.items()}
    columns["flow_id"] = pa.array(np.arange(n), pa.int64())
    if start is not None:
        begin = fakes.EPOCH_US + np.asarray(start, np.int64)
        end = begin + np.asarray(length if length is not None else np.zeros(n), np.int64)
        columns["start"] = pa.array(begin).view(TIMESTAMP)
        columns["end"] = pa.array(end).view(TIMESTAMP)
    basis = "row-order" if start is None else "clock"
    return FlowTable(pa.table(columns), FlowInfo("test", time_basis=basis))


def split(flows: FlowTable, *, classes=None, **values) -> Split:
    with TemporaryDirectory() as folder:
        store: FlowStore = fakes.write_store(Path(folder) / "f.parquet", flows)
        return make_split(config.Split(**values), store, classes=classes)


@st.composite
def times(draw):
    n = draw(st.integers(2, 60))
    steps = draw(st.lists(st.sampled_from((0, 1, S, 7 * S, 300 * S)), min_size=n, max_size=n))
    length = draw(st.lists(st.sampled_from((0, 1, 5 * S, 900 * S)), min_size=n, max_size=n))
    return np.cumsum(steps), np.array(length)


shares = st.sampled_from([(0.5, 0.2), (0.6, 0.1), (0.01, 0.01), (0.9, 0.05)])
purges = st.sampled_from([0.0, 0.5, 3.0, 120.0])


class TestTime:
    @FEW
    @given(times(), shares, purges, st.sampled_from(["time", "flows"]))
    def test_parts_follow_one_another_and_nothing_reaches_over(self, drawn, share, purge_s, axis):
        start, length = drawn
        found = split(
            table(start, length), axis=axis, train=share[0], calibrate=share[1], purge_s=purge_s
        )
        begin, end = found.start_us, found.start_us + length
        assert found.role.shape == start.shape
        assert set(np.unique(found.role)) <= {UNUSED, TRAIN, CALIBRATE, TEST}
        for earlier, later in ((TRAIN, CALIBRATE), (CALIBRATE, TEST), (TRAIN, TEST)):
            first, second = found.role == earlier, found.role == later
            if first.any() and second.any():
                assert begin[first].max() < begin[second].min()
                # What learns had ended when the next part began.
                assert end[first].max() <= begin[second].min()
                gap = begin[second].min() - begin[first].max()
                assert gap >= purge_s * S

    @FEW
    @given(times(), shares, purges)
    def test_every_flow_without_a_role_has_a_reason(self, drawn, share, purge_s):
        start, length = drawn
        found = split(table(start, length), train=share[0], calibrate=share[1], purge_s=purge_s)
        span = start[-1] - start[0]
        cuts = [start[0] + round(part * span) for part in (share[0], sum(share))]
        purge = round(purge_s * S)
        for cut in cuts:
            assert np.all(found.role[(start >= cut) & (start < cut + purge)] == UNUSED)
        for row in np.flatnonzero(found.role == UNUSED):
            in_gap = any(cut <= start[row] < cut + purge for cut in cuts)
            over = any(start[row] < cut and start[row] + length[row] >= cut + purge for cut in cuts)
            assert in_gap or over

    def test_by_hand(self):
        start = np.array([0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 90]) * S
        length = np.zeros(11, np.int64)
        length[3] = 40 * S  # starts in train, ends in calibrate
        length[10] = 900 * S  # the last one may last
        found = split(table(start, length), train=0.5, calibrate=0.3, purge_s=8)
        # The axis is 90 s long: cuts at 45 s and 72 s; calibrate from 53 s, test from 80 s.
        assert found.role.tolist() == [1, 1, 1, 0, 1, 0, 2, 2, 0, 3, 3]
        described = found.describe()
        assert described["unused"] == 3
        assert described["parts"]["train"]["flows"] == 4
        assert described["parts"]["test"]["first"] == iso(fakes.EPOCH_US + 80 * S)
        assert described["purge_s"] == 8
        assert found.duration_s("test") == 10
        assert found.duration_s("train") == 40

    def test_a_burst_is_split_by_flows_where_time_leaves_a_part_empty(self):
        start = np.r_[np.arange(100), 3600 * S]
        by_time = split(table(start), train=0.6, calibrate=0.2)
        with pytest.raises(RunError, match="no flow in its calibrate part") as caught:
            by_time.require("calibrate")
        assert "train: 100" in str(caught.value)
        assert "axis = 'flows'" in str(caught.value)
        by_flows = split(table(start), train=0.6, calibrate=0.2, axis="flows")
        assert np.bincount(by_flows.role, minlength=4).tolist() == [0, 61, 20, 20]

    def test_one_instant_cannot_be_split(self):
        found = split(table([5, 5, 5]))
        with pytest.raises(RunError, match="no flow in its train part"):
            found.require("train")


RANGES = {
    "protocol": "ranges",
    "train_range": ("2026-02-25T06:13:20", "2026-02-25T06:14:20"),
    "calibrate_range": ("2026-02-25T06:14:20Z", "2026-02-25T06:15:20Z"),
    "test_range": ("2026-02-25T07:15:20+01:00", "2026-02-25T08:00:00+01:00"),
}


class TestRanges:
    def test_by_hand(self):
        start = np.array([0, 59, 60, 119, 120, 9000]) * S
        length = np.array([0, 1, 0, 0, 9999, 0]) * S
        found = split(table(start, length), **RANGES)
        # The second starts in train and ends when calibrate begins; the last is out of all.
        assert found.role.tolist() == [1, 0, 2, 2, 3, 0]
        assert found.describe()["train_range"] == list(RANGES["train_range"])

    @pytest.mark.parametrize(
        ("pair", "words"),
        [
            (("yesterday", "2026-02-25T06:14:20"), "not an ISO 8601 time"),
            (("2026-02-25T06:15:20", "2026-02-25T06:14:20"), "empty or overlaps"),
            (("2026-02-25T06:14:00", "2026-02-25T06:15:20"), "empty or overlaps"),
        ],
    )
    def test_a_wrong_range_is_named(self, pair, words):
        # No flow lies in the overlap: the ranges alone are wrong.
        with pytest.raises(ConfigError, match=words) as caught:
            split(table([0]), **(RANGES | {"calibrate_range": pair}))
        assert "split.calibrate_range" in str(caught.value)


class TestShuffled:
    def test_windows_are_dealt_out_whole_and_by_seed(self):
        start = np.sort(np.random.default_rng(0).integers(0, 3600 * S, 400))
        values = {"protocol": "paper-shuffled", "window_s": 30, "train": 0.5, "calibrate": 0.1}
        found, again = split(table(start), **values), split(table(start), **values)
        other = split(table(start), seed=1, **values)
        assert np.array_equal(found.role, again.role)
        assert not np.array_equal(found.role, other.role)
        window = found.start_us // (30 * S)
        numbers = np.unique(window)
        roles = [np.unique(found.role[window == number]) for number in numbers]
        assert all(len(role) == 1 for role in roles)
        counts = np.bincount(np.concatenate(roles), minlength=4)
        assert counts.tolist() == [
            0,
            round(0.5 * len(numbers)),
            round(0.6 * len(numbers)) - round(0.5 * len(numbers)),
            len(numbers) - round(0.6 * len(numbers)),
        ]
        assert "sees the future" in found.settings["warning"]
        # It is what its name says: a train window comes after a test window.
        assert window[found.role == TRAIN].max() > window[found.role == TEST].min()


class TestStratified:
    @FEW
    @given(st.lists(st.integers(0, 4), min_size=2, max_size=80), shares, st.booleans())
    def test_every_class_is_dealt_out_in_the_same_shares(self, drawn, share, clock):
        classes = np.array(drawn, np.int64)
        if len(np.unique(classes)) < 2:
            return
        flows = table(np.arange(len(classes)) * S) if clock else table(flows=len(classes))
        settings = {"protocol": "paper-stratified", "train": share[0], "calibrate": share[1]}
        found = split(flows, classes=classes, **settings)
        for number in np.unique(classes):
            role, n = found.role[classes == number], int((classes == number).sum())
            first, second = round(share[0] * n), round((share[0] + share[1]) * n)
            counts = np.bincount(role, minlength=4)
            assert counts.tolist() == [0, first, second - first, n - second]
        again = split(flows, classes=classes, **settings)
        assert again.role.tolist() == found.role.tolist()
        assert (found.start_us is not None) == clock
        assert "reads labels" in found.settings["warning"]
        assert found.describe()["parts"]["train"]["flows"] == (found.role == TRAIN).sum()

    def test_a_seed_deals_otherwise(self):
        classes = np.arange(200) % 2
        first, second = (
            split(table(flows=200), protocol="paper-stratified", seed=seed, classes=classes).role
            for seed in (0, 1)
        )
        assert first.tolist() != second.tolist()
        # Every part reaches over the whole range.
        assert all(np.ptp(np.flatnonzero(first == role)) > 150 for role in (TRAIN, TEST))

    @pytest.mark.parametrize("classes", [None, np.zeros(5, np.int64)])
    def test_one_class_cannot_be_stratified(self, classes):
        with pytest.raises(ConfigError, match="several labelled classes"):
            split(table(flows=5), protocol="paper-stratified", classes=classes)


class TestRows:
    @FEW
    @given(st.integers(3, 200), shares)
    def test_rows_are_cut_in_order(self, flows, share):
        found = split(table(flows=flows), protocol="rows", train=share[0], calibrate=share[1])
        assert np.all(np.diff(found.role) >= 0)
        assert (found.role == TRAIN).sum() == round(share[0] * flows)
        assert UNUSED not in found.role
        assert found.start_us is None
        assert found.duration_s("test") is None
        assert "first" not in found.describe()["parts"]["test"]

    @pytest.mark.parametrize("protocol", ["time", "paper-shuffled"])
    def test_time_is_refused_without_a_clock(self, protocol):
        with pytest.raises(ConfigError, match="no clock") as caught:
            split(table(flows=5), protocol=protocol)
        assert "split.protocol = 'rows'" in str(caught.value)

    def test_a_source_with_a_clock_may_be_cut_by_rows(self):
        found = split(table(np.arange(10) * S), protocol="rows", train=0.5, calibrate=0.2)
        assert found.role.tolist() == [1] * 5 + [2] * 2 + [3] * 3
        assert found.duration_s("test") == 2


class TestDuplicates:
    # Ten flows without a clock: rows 0 to 4 teach, 5 and 6 calibrate, 7 to 9 test.
    SPLIT = {"protocol": "rows", "train": 0.5, "calibrate": 0.2}  # noqa: RUF012 - only read
    BYTES = (1, 2, 1, 3, 4, 5, 2, 6, 6, 1)

    def of(self, **values) -> Split:
        flows = table(flows=10)
        place = flows.table.column_names.index("fwd_bytes")
        counted = pa.array(self.BYTES, pa.uint64())
        flows = FlowTable(flows.table.set_column(place, "fwd_bytes", counted), flows.info)
        return split(flows, **self.SPLIT, **values)

    def test_nobody_looks_unless_asked(self):
        found = self.of()
        assert (found.repeats, found.repeats_across) == (None, None)
        assert found.role.tolist() == [1] * 5 + [2] * 2 + [3] * 3

    def test_counted(self):
        found = self.of(duplicates="count")
        # Rows 2, 6, 8 and 9 repeat; of these 6 (first in train) and 9 stand in another part.
        assert (found.repeats, found.repeats_across) == (4, 2)
        assert found.role.tolist() == self.of().role.tolist()

    def test_dropped(self):
        found = self.of(duplicates="drop")
        assert found.role.tolist() == [1, 1, REPEATED, 1, 1, 2, REPEATED, 3, REPEATED, REPEATED]
        assert (found.repeats, found.repeats_across) == (4, 2)
        assert found.describe()["unused"] == 0
