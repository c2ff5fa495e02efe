"""What this package's plugin yields besides readers."""

from __future__ import annotations

import pytest

from netvigil.bench.limits import Bounded
from netvigil.protocols import SourceHead
from netvigil_flowprep import plugin

BENCHMARKS = list(plugin.netvigil_benchmarks())
BOUNDED = {
    *("build-flow-host", "build-traffic-dispersion", "join-pieces", "label-ground-truth"),
    *("read-parquet", "transform-default"),
}


def test_every_part_can_be_made_and_has_described_settings(tmp_path):
    hooks = (
        *("netvigil_flow_transforms", "netvigil_graph_builders", "netvigil_encoders"),
        *("netvigil_flow_labellers", "netvigil_flow_joiners", "netvigil_benchmarks"),
        "netvigil_samples",
    )
    truth = tmp_path / "truth.csv"
    truth.write_text("start,end,category,src_ip\n1,2,scan,10.0.0.1\n")
    for hook in hooks:
        for part in getattr(plugin, hook)():
            needs = {"truth": truth} if "truth" in part.config.model_fields else {}
            assert part.make(part.config(**needs)) is not None
            assert all(field.description for field in part.config.model_fields.values())


@pytest.mark.parametrize("part", BENCHMARKS, ids=lambda part: part.name)
def test_benchmarks_run(part):
    benchmark = part.make(part.config())
    prepared = benchmark.setup(500, seed=1)
    assert benchmark.run(prepared) == 500


def test_bounded_benchmarks_need_twice_as_much_for_twice_the_flows():
    made = {part.name: part.make(part.config()) for part in BENCHMARKS}
    assert {name for name, case in made.items() if isinstance(case, Bounded)} == BOUNDED
    for name in sorted(BOUNDED):
        few, many = (made[name].needs(made[name].setup(n, seed=1)) for n in (20_000, 40_000))
        assert few.moved > 0, name
        assert 1.8 < many.moved / few.moved < 2.2, name
        assert many.operations == pytest.approx(2 * few.operations), name


def test_written_files_are_known_to_their_reader_and_read_whole():
    for part in BENCHMARKS:
        if part.room != "read" or part.name == "read-parquet":
            continue
        case = part.make(part.config())
        written = case.setup(300, seed=1)
        path = written.path
        assert case.reader.sniff(SourceHead(path, path.read_bytes()[:65_536])), part.name
        (batch,) = case.reader.read(path, batch_rows=1_000)
        assert (batch.report.read, batch.report.repairs, batch.report.rejects) == (300, {}, {})


def test_a_written_file_goes_when_nobody_holds_it():
    case = next(part for part in BENCHMARKS if part.name == "read-zeek")
    made = case.make(case.config())
    written = made.setup(200, seed=1)
    path = written.path
    assert path.exists()
    del written
    assert not path.exists()
