"""Streams of windows: any cut of the batches gives the same windows, as often as one asks."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from netvigil.contracts import FlowFeatures, WindowGraphs, require_reiterable
from netvigil.errors import ContractError
from netvigil.features import FeatureContract, extract
from netvigil.testing.strategies import flow_tables
from netvigil.windows import SpooledWindows, build_windows, spool_windows

from . import fakes

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

FEW = hypothesis_settings(max_examples=15, deadline=None)
CONTRACT = FeatureContract(numeric=("x_mean_ps", "x_psh_packets"), categories=())
FIELDS = [
    "flow_id",
    "flow_x",
    "flow_src",
    "flow_dst",
    "flow_service",
    "flow_ptr",
    "window_start",
    "node_ptr",
    "node_key",
]


def features_of(flows) -> FlowFeatures:
    found = extract(flows, CONTRACT)
    return FlowFeatures(np.ascontiguousarray(np.nan_to_num(found.x)), found.names)


def joined(batches: list[WindowGraphs]) -> dict[str, list]:
    """Flatten batches of windows into one list per field, window by window."""
    found: dict[str, list] = {name: [] for name in FIELDS}
    for graphs in batches:
        for name in FIELDS:
            values = getattr(graphs, name)
            found[name] += np.diff(values).tolist() if name.endswith("ptr") else values.tolist()
    return found


def cut(flows, cuts):
    """Yield flows in pieces, each with the row of its first flow."""
    edges = [0, *sorted({c for c in cuts if 0 < c < len(flows)}), len(flows)]
    for low, high in pairwise(edges):
        yield low, flows.slice(low, high - low)


def builder(kind, **config):
    return kind(fakes.WindowConfig(**config))


builders = st.sampled_from(
    [
        builder(fakes.FlowsOnly, window_s=180),
        builder(fakes.FlowHost, window_s=180),
        builder(fakes.FlowHost, window_flows=4),
    ]
)


@FEW
@given(flow_tables(min_flows=1), st.lists(st.integers(0, 30)), builders)
def test_any_cut_of_the_batches_gives_the_same_windows(flows, cuts, made):
    at_once = joined(list(build_windows([(0, flows)], features_of, made)))
    piecewise = list(build_windows(cut(flows, cuts), features_of, made))
    assert joined(piecewise) == at_once
    assert at_once["flow_id"] == flows.flow_id.tolist()
    # No window is split: each number comes once.
    assert len(set(at_once["window_start"])) == len(at_once["window_start"])


@FEW
@given(flow_tables(min_flows=1, clock=False), st.lists(st.integers(0, 30)))
def test_without_a_clock_windows_count_rows(flows, cuts):
    made = builder(fakes.FlowHost, window_flows=5)
    batches = list(build_windows(cut(flows, cuts), features_of, made))
    sizes = joined(batches)["flow_ptr"]
    assert sizes == [5] * (len(flows) // 5) + [len(flows) % 5] * (len(flows) % 5 > 0)


def test_no_more_than_a_window_waits():
    """What comes in goes out at the last window boundary."""
    rows = {n: v for n, v in fakes.traffic(300).items() if n != "label"}
    flows = fakes.make_flows(rows)
    given_ = 0

    def counted():
        nonlocal given_
        for first, piece in cut(flows, range(0, 300, 10)):
            given_ += len(piece)
            yield first, piece

    made, out = builder(fakes.FlowsOnly, window_s=60), 0
    largest = 0
    plain = FeatureContract(numeric=("x_a",), categories=())
    for graphs in build_windows(counted(), lambda f: extract(f, plain), made):
        out += len(graphs.flow_id)
        largest = max(largest, int(np.diff(graphs.flow_ptr).max()))
        assert given_ - out <= largest + 20
    assert out == 300


def resident(path: Path) -> int:
    """Return how many bytes of a mapped file are in this process's memory."""
    lines = Path("/proc/self/smaps").read_text("utf-8").splitlines()
    total, ours = 0, False
    for line in lines:
        if "-" in line.split(" ")[0]:
            ours = line.endswith(str(path))
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


class LinksFirst(fakes.FlowHost):
    """Says that features pass through it."""

    links = ("flow_id", "start", "src_ip", "dst_ip")

    def build(self, flows, features, window):
        assert flows.table.column_names == list(self.links)
        return super().build(flows, features, window)


class OneWindow(LinksFirst):
    """Makes one window of everything."""

    def window_of(self, flows, *, first_row):
        return np.zeros(len(flows), np.int64)


class TestSpool:
    @FEW
    @given(flow_tables(min_flows=1), st.lists(st.integers(0, 30)), builders, st.integers(1, 12))
    def test_round_trip(self, flows, cuts, made, batch_flows):
        batches = list(build_windows(cut(flows, cuts), features_of, made))
        with TemporaryDirectory() as folder:
            spooled = SpooledWindows.write(iter(batches), Path(folder))
            spooled = SpooledWindows(SpooledWindows.open(Path(folder)).whole, batch_flows)
            first, second = list(spooled), list(spooled)
            assert joined(first) == joined(second) == joined(batches)
            assert spooled.flows == len(flows)
            assert spooled.whole.schema == made.schema
            assert spooled.whole.feature_names == CONTRACT.numeric
            for graphs in first:
                assert len(graphs.flow_id) <= batch_flows or len(graphs) == 1
                # Views of checked files are not checked again; the contract must hold all the same.
                WindowGraphs(**{f: getattr(graphs, f) for f in graphs.__dataclass_fields__})

    @FEW
    @given(flow_tables(min_flows=1), st.lists(st.integers(0, 30)), st.booleans())
    def test_features_that_do_not_wait_give_the_same_spool(self, flows, cuts, whole):
        def column_major(piece):
            found = features_of(piece)
            return FlowFeatures(np.asfortranarray(found.x), found.names)

        links_first = builder(OneWindow if whole else LinksFirst, window_s=180)
        waiting = builder(fakes.FlowHost, window_s=1e9 if whole else 180)
        with TemporaryDirectory() as folder:
            ahead = spool_windows(
                cut(flows, cuts), column_major, links_first, Path(folder) / "ahead"
            )
            behind = spool_windows(cut(flows, cuts), features_of, waiting, Path(folder) / "behind")
            found, expected = joined(list(ahead)), joined(list(behind))
            if whole:
                assert len(ahead.whole) == 1
                found.pop("window_start"), expected.pop("window_start")
            if not whole or len(behind.whole) == 1:
                assert found == expected
            assert ahead.whole.feature_names == CONTRACT.numeric
            graphs = ahead.whole
            WindowGraphs(**{f: getattr(graphs, f) for f in graphs.__dataclass_fields__})

    def test_no_flow_leaves_no_spool(self, tmp_path):
        assert spool_windows(iter([]), features_of, builder(LinksFirst), tmp_path) is None
        assert spool_windows(iter([]), features_of, builder(fakes.FlowHost), tmp_path) is None

    @pytest.mark.parametrize("kind", [LinksFirst, fakes.FlowHost])
    def test_features_with_gaps_are_refused(self, kind, tmp_path):
        rows = {n: v for n, v in fakes.traffic(50).items() if n != "label"}
        flows = fakes.make_flows(rows)
        x = np.zeros((50, 2), np.float32)
        x[flows.flow_id == flows.flow_id[30], 1] = np.inf

        def features_of(some):
            return FlowFeatures(x[np.isin(flows.flow_id, some.flow_id)], ("x_a", "x_b"))

        with pytest.raises(ContractError, match="NaN or infinity"):
            spool_windows([(0, flows)], features_of, builder(kind), tmp_path)

    def test_large_features_are_no_gaps(self, tmp_path):
        rows = {n: v for n, v in fakes.traffic(50).items() if n != "label"}
        features = FlowFeatures(np.full((50, 2), 3e38, np.float32), ("x_a", "x_b"))
        flows = fakes.make_flows(rows)
        spooled = spool_windows([(0, flows)], lambda _: features, builder(LinksFirst), tmp_path)
        assert np.array_equal(spooled.whole.flow_x, features.x)

    def test_one_window_over_everything_never_holds_its_features(self, tmp_path):
        width, size, batches = 200, 2_000, 20
        rows = {n: v for n, v in fakes.traffic(size).items() if n != "label"}
        names = tuple(f"x_{i}" for i in range(width))

        def stream():
            for i in range(batches):
                yield i * size, fakes.make_flows(rows, first_id=i * size)

        def wide(flows):
            return FlowFeatures(np.ones((len(flows), width), np.float32), names)

        tracemalloc.start()
        try:
            spooled = spool_windows(stream(), wide, builder(OneWindow), tmp_path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert spooled.flows == size * batches
        assert peak < spooled.whole.flow_x.nbytes / 2

    @pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells what is held")
    def test_pages_of_a_batch_are_given_back(self, tmp_path):
        flows, width = 200_000, 64  # 51 MB of features
        graphs = WindowGraphs(
            schema="flows-only",
            feature_names=tuple(f"x_{i}" for i in range(width)),
            flow_id=np.arange(flows),
            flow_x=np.ones((flows, width), np.float32),
            flow_ptr=np.arange(0, flows + 1, 1_000),
            window_start=np.arange(flows // 1_000),
            flow_src=np.empty(0, np.int32),
            flow_dst=np.empty(0, np.int32),
            node_ptr=np.zeros(flows // 1_000 + 1, np.int64),
            node_key=np.empty(0, np.uint64),
        )
        spooled = SpooledWindows.write([graphs], tmp_path)
        spooled = SpooledWindows(spooled.whole, batch_flows=10_000)
        most, kept = 0, []
        for batch in spooled:
            assert batch.flow_x.sum() == batch.flow_x.size
            most = max(most, resident(tmp_path / "flow_x"))
            kept.append(batch)
        assert 0 < most < 20_000_000  # a batch is 2.6 MB; the system may map a few more
        assert resident(tmp_path / "flow_x") < 10_000_000
        # What was given back is read again.
        assert all(batch.flow_x.sum() == batch.flow_x.size for batch in kept)
        assert resident(tmp_path / "flow_x") > 50_000_000

    def test_node_features_survive(self, tmp_path):
        rows = {n: v for n, v in fakes.traffic(50).items() if n != "label"}
        flows = fakes.make_flows(rows)
        plain = FeatureContract(numeric=("x_a",), categories=())
        made = builder(fakes.FlowHost, window_s=600)
        graphs = made.build(flows, extract(flows, plain), made.window_of(flows, first_row=0))
        x = np.random.default_rng(0).normal(size=(len(graphs.node_key), 3)).astype(np.float32)
        values = {f: getattr(graphs, f) for f in graphs.__dataclass_fields__}
        spooled = SpooledWindows.write([WindowGraphs(**(values | {"node_x": x}))], tmp_path)
        assert np.array_equal(spooled.whole.node_x, x)
        (batch,) = list(spooled)[:1]
        assert np.array_equal(batch.node_x, x[: len(batch.node_key)])

    def test_no_window_at_all(self, tmp_path):
        assert SpooledWindows.write(iter([]), tmp_path) is None

    def test_spooled_windows_cannot_be_written_to(self, tmp_path):
        rows = {n: v for n, v in fakes.traffic(50).items() if n != "label"}
        flows = fakes.make_flows(rows)
        plain = FeatureContract(numeric=("x_a",), categories=())
        made = builder(fakes.FlowHost)
        spooled = SpooledWindows.write(
            build_windows([(0, flows)], lambda f: extract(f, plain), made), tmp_path
        )
        with pytest.raises(ValueError, match="read-only"):
            spooled.whole.flow_x[0, 0] = 1

    def test_a_second_spool_replaces_the_first(self, tmp_path):
        rows = {n: v for n, v in fakes.traffic(50).items() if n != "label"}
        flows = fakes.make_flows(rows)
        plain = FeatureContract(numeric=("x_a",), categories=())
        made = builder(fakes.FlowsOnly)
        for count in (50, 20):
            stream = build_windows([(0, flows.slice(0, count))], lambda f: extract(f, plain), made)
            assert SpooledWindows.write(stream, tmp_path).flows == count


def test_a_one_shot_iterator_is_refused():
    with pytest.raises(ContractError, match="one-shot iterator"):
        require_reiterable(iter([]))
    with pytest.raises(ContractError, match="one-shot iterator"):
        fakes.Sigma(fakes.SigmaConfig()).fit((graphs for graphs in ()), seed=0)
    assert require_reiterable([]) == []
