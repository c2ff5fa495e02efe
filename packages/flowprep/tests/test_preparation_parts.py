"""What this package's plugin yields besides readers."""

from __future__ import annotations

import pytest

from netvigil_flowprep import plugin

BENCHMARKS = list(plugin.netvigil_benchmarks())


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
