from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from netvigil import config as experiments
from netvigil import parts
from netvigil_anomale.benchmarks import STEPS, EncodeBenchmark, TrainBenchmark
from netvigil_anomale.config import AnomalEConfig
from netvigil_anomale.plugin import netvigil_benchmarks, netvigil_encoders

PART = next(iter(netvigil_encoders()))


def test_listing_the_part_loads_no_torch() -> None:
    code = (
        "import sys; from netvigil_anomale import plugin; list(plugin.netvigil_encoders()); "
        "list(plugin.netvigil_benchmarks()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def whole(overlay: Any) -> experiments.Experiment:
    sections = {name: dict(values) for name, values in overlay.items() if name != "notes"}
    sections.setdefault("encoder", {}).setdefault("name", "anomal-e")
    return experiments.Experiment.model_validate({"flows": {"source": "x.csv"}, **sections})


@pytest.mark.parametrize("name", ["published-0", "published-3.4", "published-5.8"])
def test_presets_make_experiments(name: str) -> None:
    made = whole(PART.presets[name])
    settings = AnomalEConfig.model_validate(made.encoder.options)
    assert (settings.epochs, settings.layers, settings.by_pairs) == (4000, 1, True)
    assert made.scorer.name == "pca"
    assert [chosen.name for chosen in made.evaluate.also] == ["cblof", "hbos", "iforest"]
    assert made.threshold.name == "quantile"


def test_the_regimes_of_the_study() -> None:
    told = {
        name: (made.threshold.options["keep"], made.scorer.options["n_components"])
        for name, made in ((name, whole(preset)) for name, preset in PART.presets.items())
    }
    assert told == {
        "published-0": (0.02, 0.96),
        "published-3.4": (0.05, 0.98),
        "published-5.8": (0.1, 0.98),
    }


def test_parity_takes_the_choices_of_the_official_pipeline() -> None:
    made = whole(PART.parity)
    assert made.split.protocol == "paper-stratified"
    assert [chosen.name for chosen in made.features.transforms] == [
        "clean",
        "target-encoding",
        "l2-row",
    ]
    assert (made.graph.builder, made.graph.options) == ("flow-host", {"whole": True})
    AnomalEConfig.model_validate(made.encoder.options)
    for key in PART.parity["notes"]:
        section, _, name = key.partition(".")
        assert name in PART.parity[section]


@pytest.mark.parametrize("name", list(PART.spaces))
def test_spaces_name_settings_that_exist(name: str) -> None:
    space = PART.spaces[name]
    for point in itertools.product(*space.values()):
        sections: dict[str, dict[str, Any]] = {}
        for key, value in zip(space, point, strict=True):
            section, _, setting = key.partition(".")
            sections.setdefault(section, {})[setting] = value
        made = whole(sections)
        AnomalEConfig.model_validate(made.encoder.options)


def test_defaults_are_the_published_network() -> None:
    made = AnomalEConfig()
    assert (made.hidden, made.embedding, made.layers) == (128, 256, 1)
    assert (made.optimizer, made.learning_rate, made.weight_decay) == ("adam", 1e-3, 0.0)
    assert made.by_pairs


@pytest.mark.parametrize(
    "settings", [{"layers": 4}, {"layers": 0}, {"form": "edges"}, {"hiden": 3}], ids=str
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AnomalEConfig(**settings)


def test_the_plain_form_is_for_who_asks() -> None:
    assert AnomalEConfig(own_edge=True, layers=3, messages="node-edge").by_pairs
    assert not AnomalEConfig(form="plain").by_pairs


@pytest.mark.parametrize("part", list(netvigil_benchmarks()), ids=lambda part: part.name)
def test_netvigil_benchmarks(part: parts.Benchmark) -> None:
    benchmark = part.make(part.config())
    assert part.config is parts.OnDevice
    items = benchmark.run(benchmark.setup(300, seed=0))
    assert 100 < items < 1_000 if part.unit == "flows" else items == STEPS


@pytest.mark.parametrize("kind", [TrainBenchmark, EncodeBenchmark])
def test_epochs_and_encodings_need_more_for_more_flows(kind: Any) -> None:
    case = kind()
    few, many = (case.needs(case.setup(flows, seed=0)) for flows in (100_000, 200_000))
    assert few.moved > 0
    assert 1.7 < many.moved / few.moved < 2.3  # windows differ in size
    assert 1.7 < many.operations / few.operations < 2.3
