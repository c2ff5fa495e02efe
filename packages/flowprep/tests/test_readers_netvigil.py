from __future__ import annotations

from pathlib import Path

import pytest

from netvigil.detect import detect
from netvigil.errors import SourceError
from netvigil.store import FlowStore

from .reading import PARTS, read, write
from .test_readers_bad_input import HEADER, row


@pytest.fixture
def store(tmp_path: Path) -> FlowStore:
    lines = [row(n * 7 % 60, Label="flow=Normal" if n % 3 else "") for n in range(50)]
    source = write(tmp_path / "a.csv", HEADER, *lines, "too,short")
    part = PARTS["ctu-13"]
    batches = part.make(part.config()).read(source, batch_rows=1_000)
    return FlowStore.write(batches, tmp_path / "flows.parquet")


def test_flows_and_labels_come_back_with_their_ids(tmp_path: Path, store: FlowStore):
    first, again = read("ctu-13", tmp_path / "a.csv"), read("netvigil", store.path)
    assert again.info == first.info
    assert again.table["start"].to_pylist() == sorted(first.table["start"].to_pylist())
    assert again.table.sort_by("flow_id").to_pydict() == first.table.sort_by("flow_id").to_pydict()
    assert (
        again.inline.sort_by("flow_id").to_pydict() == first.inline.sort_by("flow_id").to_pydict()
    )


def test_batch_size_changes_nothing_and_the_first_accounting_is_kept(store: FlowStore):
    whole, pieces = read("netvigil", store.path), read("netvigil", store.path, batch_rows=7)
    assert whole.table.to_pydict() == pieces.table.to_pydict()
    assert whole.inline.to_pydict() == pieces.inline.to_pydict()
    assert whole.report == pieces.report == store.report


def test_it_is_recognised_by_its_metadata(store: FlowStore):
    assert detect(store.path, list(PARTS.values())).name == "netvigil"


def test_other_files_and_folders_are_refused(tmp_path: Path, store: FlowStore):
    with pytest.raises(SourceError, match="one source"):
        read("netvigil", tmp_path)
    damaged = tmp_path / "cut.parquet"
    damaged.write_bytes(store.path.read_bytes()[:-100])
    with pytest.raises(SourceError):
        read("netvigil", damaged)
