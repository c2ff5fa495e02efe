"""`netvigil plugins new`: a package that works at once, with the test that proves it."""

from __future__ import annotations

import keyword
from pathlib import Path

from netvigil import __version__
from netvigil.errors import ConfigError
from netvigil.parts import KEBAB

_PYPROJECT = """\
[build-system]
requires = ["uv_build>=0.9,<1"]
build-backend = "uv_build"

[project]
name = "{name}"
version = "0.1.0"
description = "A netvigil scorer."
requires-python = ">=3.11"
dependencies = ["netvigil~={version}", "numpy>=2.0"]

[project.entry-points.netvigil]
{name} = "{module}.plugin"

[dependency-groups]
test = ["pytest>=8.4"]
"""

_PLUGIN = '''\
"""The door: what this package gives to netvigil."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netvigil import hookimpl, parts


class Config(parts.PartConfig):
    """Settings of the scorer, as an experiment file gives them."""

    power: float = 2.0


@hookimpl
def netvigil_scorers() -> Iterator[parts.Scorer]:
    """Yield the scorer."""
    yield parts.Scorer(
        name="{name}", summary="Distance from the train median.", config=Config, make=_make
    )


def _make(config: Config) -> Any:
    from {module}.scorer import Distance  # heavy imports belong in here

    return Distance(config)
'''

_SCORER = '''\
"""Distance of a flow from the train median, feature by feature."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from netvigil.contracts import EncodedFlows, ScoreTable
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State


class Distance:
    """Scores a flow by its scaled distance from the train median; higher is more anomalous."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.median_: Any = None
        self.spread_: Any = None

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        """Learn the median and the spread of the train flows; nothing is random."""
        del seed
        x = _embedding(encoded)
        self.median_ = np.median(x, axis=0)
        spread = np.median(np.abs(x - self.median_), axis=0)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        """Score each flow by itself.

        Shapes:
            encoded.per_flow(): float32 [flows, dim]; returns float64 [flows]
        """
        if self.median_ is None:
            msg = "The scorer was used before it was fitted."
            raise NotFittedError(msg, do="Call fit(encoded, seed=...) first.")
        x = _embedding(encoded)
        if x.shape[1] != len(self.median_):
            msg = f"{{x.shape[1]}} dimensions, but {{len(self.median_)}} in training."
            raise ContractError(msg)
        distance = np.abs((x - self.median_) / self.spread_) ** self.config.power
        return ScoreTable(encoded.flow_id, distance.sum(axis=1), encoded.window_start)

    def get_state(self) -> State:
        """Return what a bundle keeps."""
        if self.median_ is None:
            msg = "There is nothing to save before fit."
            raise NotFittedError(msg)
        return State(arrays={{"median": self.median_, "spread": self.spread_}})

    def set_state(self, state: State) -> Self:
        """Take over what a bundle kept."""
        self.median_, self.spread_ = state.arrays["median"], state.arrays["spread"]
        return self


def _embedding(encoded: EncodedFlows) -> Any:
    embedding = encoded.per_flow()
    if embedding is None:
        msg = "This scorer needs an embedding."
        raise ContractError(msg)
    return embedding.astype(np.float64)
'''

_TEST = '''\
"""The scorer keeps netvigil's rules."""

from __future__ import annotations

import pytest
from netvigil.testing.conformance import checks_for

from {module}.plugin import netvigil_scorers

PARTS = list(netvigil_scorers())
CASES = [(part, check) for part in PARTS for check in checks_for(part)]


@pytest.mark.parametrize(("part", "check"), CASES, ids=[c.id for _, c in CASES])
def test_conformance(part, check):
    check(part)
'''


def write_scorer_package(name: str, folder: Path) -> list[Path]:
    """Write a package that adds one scorer; returns the files.

    Raises:
        ConfigError: A name that is not kebab-case, or a folder that is not empty.
    """
    if not KEBAB.match(name):
        msg = f"'{name}' is not a part name."
        raise ConfigError(msg, do="Use lower-case words joined by hyphens, such as acme-depth.")
    if folder.exists() and any(folder.iterdir()):
        msg = "The folder is not empty."
        raise ConfigError(msg, where=str(folder), do="Give a new folder with --to.")
    module = name.replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module) or module == "netvigil":
        msg = f"'{name}' cannot be a package name."
        raise ConfigError(msg, do="Let it begin with a letter and be no word of Python's own.")
    source = folder / "src" / module
    files = {
        folder / "pyproject.toml": _PYPROJECT,
        folder / "README.md": "# {name}\n\nA scorer for netvigil.\n",
        source / "__init__.py": '"""A netvigil scorer."""\n',
        source / "plugin.py": _PLUGIN,
        source / "scorer.py": _SCORER,
        folder / "tests" / f"test_{module}.py": _TEST,
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name=name, module=module, version=__version__), "utf-8")
    return list(files)
