"""The door: what it offers, and that listing it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netvigil import parts
from netvigil.bench.limits import Needs
from netvigil.plugins import load_plugins
from netvigil_tabular import plugin
from netvigil_tabular.benchmarks import (
    STEPS,
    ClassifyBenchmark,
    EncodeBenchmark,
    TeachBenchmark,
    TrainBenchmark,
)
from netvigil_tabular.classifiers.table import CLASSIFIERS

LOADED = load_plugins(entry_points=False, extra=[plugin])


def test_every_line_of_the_table_is_a_classifier():
    found = {r.part.name: r.part for r in LOADED.of(parts.Classifier)}
    assert set(found) == {kind.name for kind in CLASSIFIERS}
    assert not LOADED.failures
    for kind in CLASSIFIERS:
        assert found[kind.name].trusted_types == kind.trusted_types
        assert found[kind.name].seeded == kind.seeded


@pytest.mark.parametrize("kind", [parts.Classifier, parts.Encoder, parts.FlowTransform])
def test_every_setting_is_described(kind):
    for registered in LOADED.of(kind):
        for name, field in registered.part.config.model_fields.items():
            assert field.description, f"{registered.part.name}.{name}"


def test_listing_parts_loads_no_torch_and_no_scikit_learn():
    code = (
        "import sys; from netvigil_tabular import plugin; "
        "list(plugin.netvigil_classifiers()); list(plugin.netvigil_flow_transforms()); "
        "list(plugin.netvigil_encoders()); list(plugin.netvigil_benchmarks()); "
        "print(sorted({'torch', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_netvigil_encoders():
    found = {part.name: part for part in plugin.netvigil_encoders()}
    assert list(found) == ["autoencoder", "vae", "conditional"]
    assert found.pop("conditional").accepts == ("flow-host",)
    for part in found.values():
        assert part.emits == {"terms", "embedding"}
        assert part.accepts == ("flows-only", "flow-host")


@pytest.mark.parametrize("part", list(plugin.netvigil_encoders()), ids=lambda part: part.name)
def test_presets_are_settings_of_their_encoder(part):
    assert part.presets or part.name == "conditional"
    for preset in part.presets.values():
        assert set(preset) == {"encoder"}
        part.config.model_validate(preset["encoder"])
    for space in part.spaces.values():
        for key, values in space.items():
            for value in values:
                part.config.model_validate({key.removeprefix("encoder."): value})


@pytest.mark.parametrize("part", list(plugin.netvigil_benchmarks()), ids=lambda part: part.name)
def test_netvigil_benchmarks(part):
    benchmark = part.make(part.config())
    prepared = benchmark.setup(300, seed=0)
    items = benchmark.run(prepared)
    assert 150 < items <= 451 if part.unit == "flows" else items == STEPS
    assert benchmark.run(prepared) == items


@pytest.mark.parametrize("kind", [TrainBenchmark, EncodeBenchmark])
def test_epochs_and_encodings_need_as_much_for_each_flow(kind):
    case = kind()
    prepared = [case.setup(flows, seed=0) for flows in (1_000, 2_000)]
    needs = [case.needs(each) for each in prepared]
    counts = [len(each[kind is EncodeBenchmark].flow_id) for each in prepared]
    assert needs[0].moved > 0
    assert needs[0].moved / counts[0] == pytest.approx(needs[1].moved / counts[1])
    assert needs[0].operations / counts[0] == pytest.approx(needs[1].operations / counts[1])
    per_flow = 2 * 2 * (52 * 64 + 64 * 32 + 32 * 16)
    passes = needs[0].operations / counts[0] / per_flow
    assert passes == 1 if kind is EncodeBenchmark else 3 < passes < 4


def test_a_classifier_needs_its_products_and_an_exponential_for_each_of_five_classes():
    asked = ClassifyBenchmark()
    prepared = asked.setup(1_000, seed=0)
    flows = len(prepared[1].flow_id)
    products = 52 * 50 + 50 * 25 + 25 * 5
    assert len(prepared[0].classify(prepared[1]).terms) == 5
    assert asked.needs(prepared) == Needs(
        moved=4 * (52 + 5) * flows, operations=2 * products * flows, logarithms=5 * flows
    )
    taught = TeachBenchmark()
    prepared = taught.setup(1_000, seed=0)
    needs, flows = taught.needs(prepared), len(prepared[0].flow_id)
    assert needs.operations == 2 * (3 * products - 52 * 50) * flows
