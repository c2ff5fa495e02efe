"""Flows on disk: what goes in comes out, in time order, whole or not at all."""

from __future__ import annotations

import errno
import gc
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from netvigil import store as module
from netvigil.contracts import FlowBatch, FlowInfo, FlowTable, ReadReport
from netvigil.errors import ContractError, SourceError
from netvigil.store import FlowStore, inline_path
from netvigil.testing.strategies import flow_tables

from . import fakes


def rows_of(table: pa.Table) -> list[dict]:
    return table.to_pylist()


def whole(store: FlowStore, **given_) -> pa.Table:
    return pa.concat_tables([flows.table for flows in store.batches(**given_)])


def flows_at(start, *, first_id=0) -> FlowTable:
    n = len(start)
    ones = np.ones(n, np.int64)
    begin = fakes.EPOCH_US + np.asarray(start, np.int64)
    return fakes.make_flows(
        {
            "start_us": begin,
            "end_us": begin,
            "src": [f"10.0.0.{i % 250}" for i in range(n)],
            "dst": ["b"] * n,
            **dict.fromkeys(("sport", "dport", "packets", "bytes"), ones),
        },
        first_id=first_id,
    )


@pytest.fixture
def small(monkeypatch):
    """Row groups of 7 flows and sort buckets of 10, so that few flows already need several."""
    monkeypatch.setattr(module, "ROW_GROUP", 7)
    monkeypatch.setattr(module, "BUCKET", 10)


@hypothesis_settings(max_examples=15, deadline=None)
@given(flow_tables(min_flows=1), st.integers(1, 9), st.booleans())
def test_what_goes_in_comes_out(flows, cut, clock):
    del clock
    pieces = [flows.slice(i, cut) for i in range(0, len(flows), cut)]
    with TemporaryDirectory() as folder:
        store = fakes.write_store(Path(folder) / "f.parquet", *pieces)
        assert len(store) == len(flows)
        assert store.info == flows.info
        assert store.report.read == len(flows)
        assert rows_of(whole(store)) == rows_of(flows.table)
        # The stored table keeps every promise of a flow table.
        FlowTable(whole(store), store.info)
        some = whole(store, columns=["flow_id", "src_ip"], rows=4)
        assert some.column_names == ["flow_id", "src_ip"]
        assert max(len(b) for b in store.batches(rows=4)) <= 4


@hypothesis_settings(max_examples=15, deadline=None)
@given(flow_tables(min_flows=1, clock=False))
def test_without_a_clock_the_row_order_stays(flows):
    with TemporaryDirectory() as folder:
        store = fakes.write_store(Path(folder) / "f.parquet", flows.slice(0, 3), flows.slice(3))
        assert store.info.time_basis == "row-order"
        assert rows_of(whole(store)) == rows_of(flows.table)


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=15), min_size=1, max_size=6))
def test_unsorted_batches_are_sorted_and_equal_starts_keep_their_order(batches):
    tables, first = [], 0
    for start in batches:
        tables.append(flows_at(sorted(start), first_id=first))
        first += len(start)
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(module, "ROW_GROUP", 7)
        patch.setattr(module, "BUCKET", 10)
        store = fakes.write_store(Path(folder) / "f.parquet", *tables)
        found = whole(store)
    given_ = pa.concat_tables([t.table for t in tables])
    order = np.argsort(given_["start"].cast(pa.int64()).to_numpy(), kind="stable")
    assert rows_of(found) == rows_of(given_.take(pa.array(order)))


def test_a_sort_holds_one_bucket_at_a_time(tmp_path, small, monkeypatch):
    rng = np.random.default_rng(0)
    tables = [flows_at(np.sort(rng.integers(0, 10**6, 20)), first_id=i * 20) for i in range(10)]
    sizes = []
    argsort = np.argsort

    def counted(values, **options):
        sizes.append(len(values))
        return argsort(values, **options)

    monkeypatch.setattr(module.np, "argsort", counted)
    store = fakes.write_store(tmp_path / "f.parquet", *tables)
    assert len(store) == 200
    assert len(sizes) >= 20
    assert max(sizes) <= 10


def test_row_groups_are_bounded(tmp_path, small):
    fakes.write_store(tmp_path / "f.parquet", flows_at(np.arange(50)))
    file = pq.ParquetFile(tmp_path / "f.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [7] * 7 + [1]


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 9))
def test_select_yields_the_kept_flows_with_their_rows(keep, rows):
    mask = np.array(keep)
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(module, "ROW_GROUP", 7)
        store = fakes.write_store(Path(folder) / "f.parquet", flows_at(np.arange(len(keep))))
        pieces = list(store.select(mask, rows=rows))
    ids = [f.flow_id for _, f in pieces]
    assert np.array_equal(np.concatenate(ids) if ids else [], np.flatnonzero(mask))
    assert all(len(f) for _, f in pieces)
    # Ids are row numbers here.
    assert all(first == f.flow_id[0] for first, f in pieces)


def test_the_report_and_the_label_text_survive(tmp_path):
    report = ReadReport(
        read=9,
        repaired=2,
        rejected=3,
        repairs={"infinite rate": 2},
        rejects={"no start": 3},
        examples=("line 4: no start",),
        skipped_files=("b.log",),
    )
    flows = flows_at([1, 0 + 2, 5])
    inline = pa.table(
        {
            "flow_id": pa.array([0, 1, 2], pa.int64()),
            "label": pa.array(["x", None, "é\x1b[31m"], pa.string()).dictionary_encode(),
        }
    )
    batches = [
        FlowBatch(flows, report, inline),
        FlowBatch(flows.slice(0, 0), ReadReport(read=1, rejected=1, rejects={"no start": 1})),
    ]
    counted = []
    made = FlowStore.write(batches, tmp_path / "w.parquet", progress=counted.append)
    store = FlowStore.open(tmp_path / "w.parquet")
    assert store.report == made.report
    assert store.report.read == 10
    assert store.report.rejects == {"no start": 4}
    assert store.report.skipped_files == ("b.log",)
    assert counted == [3]
    text = store.inline()
    assert text.column_names == ["flow_id", "label", "attack"]
    assert text["label"].to_pylist() == ["x", None, "é\x1b[31m"]
    assert text["attack"].null_count == 3


def test_a_source_without_labels_drops_an_older_sidecar(tmp_path):
    path = tmp_path / "w.parquet"
    inline = pa.table({"flow_id": pa.array([0], pa.int64()), "label": pa.array(["x"])})
    fakes.write_store(path, flows_at([1]), inline=inline)
    assert inline_path(path).exists()
    assert fakes.write_store(path, flows_at([1])).inline() is None
    assert [p.name for p in tmp_path.iterdir()] == ["w.parquet"]


def test_no_flow_at_all_is_an_error_with_the_reasons(tmp_path):
    nothing = flows_at([1]).slice(0, 0)
    report = ReadReport(read=7, rejected=7, rejects={"no start": 5, "too few columns": 2})
    with pytest.raises(SourceError) as caught:
        FlowStore.write([FlowBatch(nothing, report)], tmp_path / "w.parquet")
    text = str(caught.value)
    assert "holds no flow" in text
    assert "7 rows read, 7 rejected" in text
    assert "5 no start" in text
    assert "2 too few columns" in text
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SourceError, match="0 rows read"):
        FlowStore.write([], tmp_path / "w.parquet")


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("the reader broke"),
        KeyboardInterrupt(),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("before", [False, True])
def test_a_failure_in_the_middle_leaves_nothing_new(tmp_path, fault, before):
    path = tmp_path / "w.parquet"
    if before:
        fakes.write_store(path, flows_at([1, 2]))
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def batches():
        inline = pa.table({"flow_id": pa.array([0], pa.int64()), "label": pa.array(["x"])})
        yield FlowBatch(flows_at([5]), ReadReport(read=1), inline)
        raise fault

    with pytest.raises(type(fault)):
        FlowStore.write(batches(), path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == kept


def test_a_failure_while_sorting_leaves_nothing(tmp_path, monkeypatch, small):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_sort", full)
    with pytest.raises(OSError, match="No space left"):
        fakes.write_store(tmp_path / "w.parquet", flows_at([9] * 8), flows_at([1], first_id=8))
    assert list(tmp_path.iterdir()) == []


def test_what_waits_whole_is_sorted_without_a_second_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_sort", None)
    first, second = flows_at([3, 9, 9]), flows_at([1, 9], first_id=3)
    store = fakes.write_store(tmp_path / "w.parquet", first, second)
    assert store.column("flow_id").to_pylist() == [3, 0, 1, 2, 4]


def test_a_bucket_out_of_order_waits_while_no_flow_is_written(tmp_path, monkeypatch, small):
    monkeypatch.setattr(module, "_sort", None)
    tables = [flows_at([9 - i], first_id=i) for i in range(9)]  # more than a row group of 7
    store = fakes.write_store(tmp_path / "w.parquet", *tables)
    assert store.column("flow_id").to_pylist() == list(reversed(range(9)))
    sizes = [store.rows, pq.ParquetFile(store.path).num_row_groups]
    assert sizes == [9, 2]
    # Once a row group is written, order can only be had by a second pass.
    with pytest.raises(TypeError, match="not callable"):
        fakes.write_store(tmp_path / "x.parquet", flows_at([9] * 8), flows_at([1], first_id=8))


@pytest.mark.parametrize("at", [0, 1])
def test_a_full_disk_is_said_once(tmp_path, monkeypatch, at):
    """Writers that are still open when another one fails must not complain when they are freed."""
    failed = []

    def full(self, *_, **__):
        failed.append(self)
        if len(failed) > at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.pq.ParquetWriter, "write_table", full)
    monkeypatch.setattr(module.pq.ParquetWriter, "close", full)
    inline = pa.table({"flow_id": pa.array([0], pa.int64()), "label": pa.array(["x"])})
    with pytest.raises(OSError, match="No space left"):
        fakes.write_store(tmp_path / "w.parquet", flows_at([1]), inline=inline)
    del failed[:]
    gc.collect()  # a finaliser that raises fails this test: warnings are errors
    assert list(tmp_path.iterdir()) == []


class TestContract:
    def test_one_id_for_two_flows(self, tmp_path):
        with pytest.raises(ContractError, match="one flow_id"):
            fakes.write_store(tmp_path / "w.parquet", flows_at([1, 2]), flows_at([3], first_id=1))
        assert list(tmp_path.iterdir()) == []

    def test_batches_with_other_columns(self, tmp_path):
        rows = {n: v for n, v in fakes.traffic(4).items() if n != "label"}
        with_features = fakes.make_flows(rows, first_id=5)
        with pytest.raises(ContractError, match=r"disagree about their columns: x_a, x_b"):
            fakes.write_store(tmp_path / "w.parquet", flows_at([1]), with_features)

    def test_batches_of_another_kind(self, tmp_path):
        other = FlowTable(flows_at([9], first_id=1).table, FlowInfo("tiny", bytes_layer="l2"))
        with pytest.raises(ContractError, match="disagree"):
            fakes.write_store(tmp_path / "w.parquet", flows_at([1]), other)


class TestOpen:
    def test_other_files_are_refused_with_the_reason(self, tmp_path):
        text = tmp_path / "a.parquet"
        text.write_text("no parquet")
        with pytest.raises(SourceError, match="not a readable Parquet file"):
            FlowStore.open(text)
        foreign = tmp_path / "b.parquet"
        pq.write_table(pa.table({"x": [1]}), foreign)
        with pytest.raises(SourceError, match="no flows that netvigil wrote"):
            FlowStore.open(foreign)
        with pytest.raises(SourceError):
            FlowStore.open(tmp_path / "absent.parquet")
        cut = tmp_path / "cut.parquet"
        fakes.write_store(cut, flows_at(np.arange(30)))
        cut.write_bytes(cut.read_bytes()[:-20])
        with pytest.raises(SourceError, match="not a readable Parquet file"):
            FlowStore.open(cut)

    @pytest.mark.parametrize(
        "metadata",
        [
            {b"netvigil.flows": b"{"},
            {b"netvigil.flows": b'{"version": 2, "format": "x"}'},
            {b"netvigil.flows": b'{"version": 1, "format": "x", "colour": "red"}'},
            {b"netvigil.flows": b"[1]"},
            {b"netvigil.flows": b'{"version": 1, "format": "x"}', b"netvigil.report": b'{"a": 1}'},
            {b"netvigil.flows": b'{"version": 1, "format": "x"}', b"netvigil.report": b"[]"},
        ],
    )
    def test_broken_metadata_is_refused(self, tmp_path, metadata):
        path = tmp_path / "a.parquet"
        pq.write_table(flows_at([1]).table.replace_schema_metadata(metadata), path)
        with pytest.raises(SourceError, match="no flows that netvigil wrote"):
            FlowStore.open(path)

    def test_missing_and_label_like_columns_are_refused(self, tmp_path):
        path = tmp_path / "a.parquet"
        flows = flows_at([1])
        metadata = flows.info.to_metadata()
        pq.write_table(flows.table.drop(["end"]).replace_schema_metadata(metadata), path)
        with pytest.raises(SourceError, match="lacks the columns end"):
            FlowStore.open(path)
        leaky = flows.table.append_column("x_label", pa.array([1.0], pa.float32()))
        pq.write_table(leaky.replace_schema_metadata(metadata), path)
        with pytest.raises(SourceError, match="looks like a label"):
            FlowStore.open(path)

    def test_the_digest_is_that_of_the_file(self, tmp_path):
        import hashlib

        store = fakes.write_store(tmp_path / "a.parquet", flows_at([1]))
        assert store.digest() == hashlib.sha256(store.path.read_bytes()).hexdigest()
        written = json.loads(pq.read_metadata(store.path).metadata[b"netvigil.report"])
        assert written["read"] == 1
