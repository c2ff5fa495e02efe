from __future__ import annotations

import subprocess
import sys

import pytest

from netvigil import parts
from netvigil.testing.conformance import checks_for
from netvigil_heterognn import plugin
from netvigil_heterognn.benchmarks import ClassifyBenchmark, TrainBenchmark
from netvigil_heterognn.config import HeteroFlowGNNConfig

PART = next(plugin.netvigil_classifiers())
# Few flows and few steps: what the checks ask to be learnt takes longer than the default patience.
CONFIG = {"epochs": 60, "device": "cpu", "learning_rate": 0.01, "layers": 2, "hidden": 16}


def test_the_door_imports_nothing_heavy():
    heavy = ("torch", "torch_geometric", "sklearn", "pandas", "scipy", "safetensors")
    code = (
        "import sys; import netvigil_heterognn.plugin as p; "
        "list(p.netvigil_classifiers()), list(p.netvigil_benchmarks()); "
        f"print(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_netvigil_classifiers():
    assert [part.name for part in plugin.netvigil_classifiers()] == ["hetero-flow-gnn"]
    assert isinstance(PART, parts.Classifier)
    assert PART.accepts == ("flow-host",)


@pytest.mark.parametrize("check", checks_for(PART, config=CONFIG), ids=str)
def test_the_classifier_keeps_its_contract(check):
    check(PART)


def test_every_setting_is_described():
    assert all(field.description for field in HeteroFlowGNNConfig.model_fields.values())


@pytest.mark.parametrize("part", list(plugin.netvigil_benchmarks()), ids=lambda part: part.name)
def test_benchmarks_run(part):
    made = part.make(part.config())
    assert 100 < made.run(made.setup(300, seed=0)) < 1000


def test_benchmarks_need_the_products_of_a_flows_own_values():
    products = 18 * 64 + 2 * 64 * 64 + 64 * 5
    asked, taught = ClassifyBenchmark(), TrainBenchmark()
    for case, made, passes in ((asked, 1, products), (taught, 0, 3 * products - 18 * 64)):
        prepared = case.setup(2_000, seed=0)
        needs, flows = case.needs(prepared), len(prepared[made].flow_id)
        assert needs.operations == 2 * passes * flows
        assert needs.logarithms == 5 * flows
        assert needs.moved >= 4 * (18 + 2) * flows
