"""Score files come back with their cut; a scored stream keeps flows, scores, alerts together."""

from __future__ import annotations

import errno
import gc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netvigil import runner
from netvigil.bundle import load_bundle
from netvigil.contracts import ScoreTable
from netvigil.errors import ContractError, SourceError
from netvigil.outputs import ScoreFile, read_scores, require_order, score_store
from netvigil.phases import Phases

from . import fakes


def table(n, first=0) -> ScoreTable:
    ids = np.arange(first, first + n)
    return ScoreTable(ids, np.sqrt(ids.astype(np.float64)), ids // 10)


class TestScoreFile:
    def test_batches_come_back_as_one_table_with_the_cut(self, tmp_path):
        path = tmp_path / "s.parquet"
        with ScoreFile(path, cut=2.0, bundle="abc") as file:
            for first in (0, 5, 12):
                file.add(table(7 if first == 5 else 5, first))
        found, cut = read_scores(path)
        assert cut == 2.0
        assert file.flows == len(found) == 17
        assert found.score.tobytes() == table(17).score.tobytes()
        raw = pq.read_table(path)
        assert raw["alert"].to_pylist() == [i > 4 for i in range(17)]  # strictly above
        assert raw.schema.metadata[b"netvigil.bundle"] == b"abc"

    def test_a_full_disk_is_said_once(self, tmp_path, monkeypatch):
        path = tmp_path / "s.parquet"
        close = pq.ParquetWriter.close

        def full(self):
            if self.where == path:
                raise OSError(errno.ENOSPC, "No space left on device")
            close(self)  # another's, that is collected meanwhile

        def write():
            with ScoreFile(path, cut=0.0, bundle="") as file:
                monkeypatch.setattr(pq.ParquetWriter, "close", full)
                file.add(table(3))
                msg = "the alert file, say"
                raise RuntimeError(msg)

        with pytest.raises(RuntimeError, match="the alert file"):
            write()
        gc.collect()  # a finaliser that raises fails this test: warnings are errors

    @pytest.mark.parametrize("cut", [np.inf, -np.inf, 1e-320, 0.1 + 0.2])
    def test_any_cut_survives(self, tmp_path, cut):
        with ScoreFile(tmp_path / "s.parquet", cut=cut, bundle="") as file:
            file.add(table(1))
        assert read_scores(tmp_path / "s.parquet")[1] == cut

    def test_what_is_no_score_file(self, tmp_path):
        text = tmp_path / "a.parquet"
        text.write_text("score,1\n")
        other = tmp_path / "b.parquet"
        pq.write_table(pa.table({"flow_id": [1], "score": [0.5]}), other)
        mistyped = tmp_path / "c.parquet"
        names = ("flow_id", "window_start", "score", "alert")
        pq.write_table(pa.table([pa.array(["x"])] * 4, names=list(names)), mistyped)
        for path in (text, other, mistyped, tmp_path / "absent.parquet", tmp_path):
            with pytest.raises(SourceError, match="not a netvigil score file"):
                read_scores(path)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    source = fakes.write_csv(folder / "a.csv", fakes.traffic())
    runner.fit(
        fakes.experiment(source),
        fakes.plugins(),
        base=folder,
        out=folder / "bundle",
        phases=Phases(),
    )
    return load_bundle(folder / "bundle", fakes.plugins())[0]


class TestScoreStore:
    def store(self, tmp_path, flows=300):
        rows = {n: v for n, v in fakes.traffic(flows, seed=9).items() if n != "label"}
        return fakes.write_store(tmp_path / "f.parquet", fakes.make_flows(rows))

    def score(self, pipeline, store, path, cut):
        counted = []
        with ScoreFile(path, cut=cut, bundle="abc") as file:
            alerts = list(score_store(pipeline, store, file, "abc", counted.append))
        assert sum(counted) == len(store)
        return pa.concat_tables([a.table for a in alerts])

    @pytest.mark.parametrize("group", [13, 1000])
    def test_every_flow_once_and_every_alert_with_its_own_flow(
        self, pipeline, tmp_path, group, monkeypatch
    ):
        from netvigil import store as module

        monkeypatch.setattr(module, "ROW_GROUP", group)
        store = self.store(tmp_path)
        store = type(store).open(store.path)
        monkeypatch.setattr(type(store).select, "__kwdefaults__", {"columns": None, "rows": group})
        cut = pipeline.threshold.cut_
        alerts = self.score(pipeline, store, tmp_path / "s.parquet", cut)
        scores, _ = read_scores(tmp_path / "s.parquet")
        assert scores.flow_id.tolist() == store.column("flow_id").to_pylist()
        above = scores.score > cut
        assert 0 < above.sum() < len(store)
        assert alerts["flow_id"].to_pylist() == scores.flow_id[above].tolist()
        assert alerts["score"].to_pylist() == scores.score[above].tolist()
        flows = pa.concat_tables([f.table for f in store.batches()]).filter(pa.array(above))
        for name in ("start", "end", "src_ip", "dst_port"):
            assert alerts[name].to_pylist() == flows[name].to_pylist()
        for reasons in alerts["reasons"].to_pylist():
            assert reasons

    def test_a_builder_that_reorders_flows_is_refused(self, pipeline, tmp_path):
        class Reversing(fakes.FlowHost):
            def build(self, flows, features, window):
                graphs = super().build(flows, features, window)
                order = np.arange(len(flows))
                for first, last in zip(graphs.flow_ptr[:-1], graphs.flow_ptr[1:], strict=True):
                    order[first:last] = order[first:last][::-1]
                object.__setattr__(graphs, "flow_id", graphs.flow_id[order])
                return graphs

        from dataclasses import replace

        bad = replace(pipeline, builder=Reversing(fakes.WindowConfig()))
        with pytest.raises(ContractError, match="changed the order"):
            self.score(bad, self.store(tmp_path), tmp_path / "s.parquet", 0.0)


def test_require_order():
    require_order(np.array([3, 1]), np.array([3, 1]))
    for other in ([1, 3], [3], [3, 1, 2]):
        with pytest.raises(ContractError, match="changed the order"):
            require_order(np.array([3, 1]), np.array(other))
