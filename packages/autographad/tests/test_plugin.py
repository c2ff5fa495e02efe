from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from netvigil import parts
from netvigil.testing.conformance import checks_for
from netvigil_autographad import plugin
from netvigil_autographad.benchmarks import STEPS, EncodeBenchmark, TrainBenchmark
from netvigil_autographad.config import AutoGraphADConfig

PART = next(plugin.netvigil_encoders())
PRESETS = ("published-0", "published-3.4", "published-5.8")


def test_the_door_imports_nothing_heavy():
    heavy = ("torch", "torch_geometric", "sklearn", "pandas", "scipy", "safetensors")
    code = (
        "import sys; import netvigil_autographad.plugin as p; "
        "list(p.netvigil_encoders()), list(p.netvigil_benchmarks()); "
        f"print(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_netvigil_encoders():
    assert [part.name for part in plugin.netvigil_encoders()] == ["autographad"]
    assert isinstance(PART, parts.Encoder)
    assert PART.emits == {"terms"}
    assert PART.accepts == ("flow-host",)


@pytest.mark.parametrize("check", checks_for(PART, config={"epochs": 2, "device": "cpu"}), ids=str)
def test_the_encoder_keeps_its_contract(check):
    check(PART)


def test_every_setting_is_described():
    assert all(field.description for field in AutoGraphADConfig.model_fields.values())


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_settings(name):
    preset = PART.presets[name]
    assert preset.keys() == {"encoder", "scorer", "threshold"}
    config = AutoGraphADConfig.model_validate(preset["encoder"])
    assert (config.batch_windows, config.static, config.hidden) == (1, True, 32)
    assert preset["scorer"]["weights"].keys() == {"feature", "structure", "kl"}
    assert preset["threshold"]["keep"] == 0.05


def test_the_published_grid_holds_the_published_winners():
    assert set(PART.presets) == set(PRESETS)
    space = PART.spaces["published"]
    for preset in PART.presets.values():
        for path, values in space.items():
            place = preset
            for key in path.split("."):
                place = place.get(key, {"regulariser": False, "draws": 1}.get(key))
            assert place in values, path
    scores = [values for path, values in space.items() if path.startswith(("scorer", "threshold"))]
    assert sorted(len(values) for values in scores) == [3, 3, 3, 4]


@pytest.mark.parametrize(
    "wrong",
    [
        {"layers": 4},
        {"layers": 0},
        {"augment": 1.0},
        {"negatives": 1.5},
        {"draws": 0},
        {"lyers": 1},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        AutoGraphADConfig.model_validate(wrong)


@pytest.mark.parametrize("part", list(plugin.netvigil_benchmarks()), ids=lambda part: part.name)
def test_netvigil_benchmarks(part):
    benchmark = part.make(part.config())
    assert part.room in {"train", "encode"}
    assert part.config is parts.OnDevice
    items = benchmark.run(benchmark.setup(300, seed=0))
    assert items > 100 if part.unit == "flows" else items == STEPS


@pytest.mark.parametrize("kind", [TrainBenchmark, EncodeBenchmark])
def test_epochs_and_encodings_need_more_for_more_flows(kind):
    case = kind(50)
    few, many = (case.needs(case.setup(flows, seed=0)) for flows in (5_000, 10_000))
    assert few.moved > 0
    assert 1.8 < many.moved / few.moved < 2.2
    assert 1.8 < many.operations / few.operations < 2.2


@pytest.mark.parametrize("kind", [TrainBenchmark, EncodeBenchmark])
def test_a_flow_needs_exponentials_and_in_training_noise(kind):
    case = kind(50)
    prepared = case.setup(2_000, seed=0)
    flows = len(prepared[kind is EncodeBenchmark].flow_id)
    needs = case.needs(prepared)
    # A log variance for each of 32 latent variables, and two links.
    assert needs.logarithms == 34 * flows
    assert needs.drawn == (16 * flows if kind is TrainBenchmark else 0)
