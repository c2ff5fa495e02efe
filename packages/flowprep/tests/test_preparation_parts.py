"""What this package's plugin yields besides readers."""

from __future__ import annotations

import pytest

from netvigil.bench.limits import Bounded
from netvigil.protocols import SourceHead
from netvigil_flowprep import plugin
from netvigil_flowprep.join import join

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
        few, many = (vars(made[name].needs(made[name].setup(n, seed=1))) for n in (20_000, 40_000))
        assert few["moved"] > 0, name
        for kind, count in few.items():
            assert many[kind] == pytest.approx(2 * count, rel=0.1), (name, kind)


def test_needs_are_counted_by_hand():
    made = {part.name: part.make(part.config()) for part in BENCHMARKS}

    def needed(name):
        ready = made[name].setup(1_000, seed=1)
        return made[name].needs(ready), ready

    hosts, _ = needed("build-flow-host")
    assert hosts.lookups == 4 * 1_000  # both ends of each flow, twice
    label, _ = needed("label-ground-truth")
    assert (label.lookups, label.matched) == (2 * 1_000, 1_000)
    read, written = needed("read-parquet")
    assert read.decoded + written.path.stat().st_size == read.moved
    transform, features = needed("transform-default")
    assert transform.logarithms == features.x.size == 49 * 1_000
    assert transform.lookups == len(features.categories) * 1_000


def test_joining_brings_each_value_to_its_flow():
    case = next(part for part in BENCHMARKS if part.name == "join-pieces")
    case = case.make(case.config())
    pieces = case.setup(1_000, seed=1)
    flows = join(pieces, timeout_s=60).flows
    needs = case.needs(pieces)
    firsts = {"flow_id", "src_ip", "dst_ip", "src_port", "dst_port", "protocol", "l7_proto"}
    rest = pieces.table.num_columns - len(firsts) - 1  # x_ip_version too
    assert needs.lookups == 2 * 1_000 + 8 * len(flows) + rest * 1_000
    assert needs.matched == 1_000
    assert needs.moved == pieces.table.nbytes + flows.table.nbytes


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
