"""The experiment files that packages bring: every one is read and every pipeline in it can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from netvigil.config import Experiment, load_experiment
from netvigil.overlays import resolve
from netvigil.pipeline import assemble
from netvigil.plugins import Plugins, load_plugins
from netvigil.suite import is_suite, load_suite

from .conftest import ROOT

FILES = sorted(ROOT.glob("packages/*/experiments/*.toml"))
BASES = {"strict.toml"}  # name no source: others extend them
SOURCE = "flows.source=absent.csv"  # nothing below reads a flow
MADE = "../runs/"  # where the comments of some files say that their sources are written
REGIMES = ROOT / "packages" / "autographad" / "experiments" / "regimes.toml"


def name_of(path: Path) -> str:
    """Return an experiment's package and file name."""
    return f"{path.parts[-3]}/{path.name}"


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


def experiments(path: Path) -> Iterator[tuple[str, Experiment]]:
    """Yield every experiment that a file stands for, with its name."""
    if is_suite(path):
        for combination in load_suite(path, (SOURCE,)).combinations:
            yield combination.name, combination.experiment
    else:
        yield path.stem, load_experiment(path, (SOURCE,))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_pipeline_of_a_file_can_be(path: Path, plugins: Plugins) -> None:
    found = dict(experiments(path))
    assert found
    for experiment in found.values():
        assembly = assemble(resolve(experiment, plugins), plugins, base=path.parent)
        assert not assembly.absent_baselines


@pytest.mark.parametrize("path", [path for path in FILES if path.name not in BASES], ids=name_of)
def test_a_file_names_its_source_and_five_seeds(path: Path) -> None:
    if is_suite(path):
        found = [combination.experiment for combination in load_suite(path, ()).combinations]
    else:
        found = [load_experiment(path)]
    for experiment in found:
        source = experiment.flows.source.as_posix()
        assert "shared/data" in source or MADE in source
        assert experiment.run.seeds == (0, 1, 2, 3, 4)


def test_every_regime_has_its_preset_with_every_method(plugins: Plugins) -> None:
    suite = load_suite(REGIMES, (SOURCE,))
    assert len(suite.combinations) == 9
    for combination in suite.combinations:
        experiment = combination.experiment
        preset = f"published-{combination.at['regime']}"
        assert experiment.encoder.preset == preset
        published = plugins.encoder(experiment.encoder.name).presets[preset]
        resolved = resolve(experiment, plugins)
        for section in ("encoder", "scorer", "threshold"):
            wanted = {k: v for k, v in published[section].items() if k != "name"}
            assert wanted.items() <= getattr(resolved, section).options.items(), combination.name


@pytest.mark.parametrize("name", ["published-0", "published-3.4", "published-5.8"])
def test_a_regime_alone_is_that_of_the_suite(name: str, plugins: Plugins) -> None:
    alone = load_experiment(REGIMES.with_name(f"{name}.toml"), (SOURCE,))
    at = {"regime": name.removeprefix("published-"), "method": "autographad"}
    (same,) = [c.experiment for c in load_suite(REGIMES, (SOURCE,)).combinations if c.at == at]
    left, right = (
        resolve(each, plugins).model_dump(exclude={"evaluate": {"also"}}) for each in (alone, same)
    )
    assert left == right
