from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from netvigil.errors import ConfigError
from netvigil_cggm.rival_installed import InstalledCtgan


class Fake:
    """What the package's class does, as far as it is asked to: draws real rows of the class."""

    def __init__(self, epochs):
        self.epochs = epochs

    def set_random_state(self, seed):
        self.rng = np.random.default_rng(seed)

    def fit(self, table, discrete):
        self.table, self.discrete = table, discrete

    def sample(self, n, condition_column=None, condition_value=None):
        rows = self.table[self.table[condition_column] == condition_value]
        return rows.iloc[self.rng.integers(0, len(rows), n)].reset_index(drop=True)


@pytest.fixture
def package(monkeypatch):
    module = ModuleType("ctgan")
    module.CTGAN = Fake
    monkeypatch.setitem(sys.modules, "ctgan", module)


def test_without_the_package(monkeypatch):
    monkeypatch.delitem(sys.modules, "ctgan", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="'ctgan' is not installed") as caught:
        InstalledCtgan()
    assert "Install 'ctgan'" in caught.value.do


@pytest.mark.usefixtures("package")
def test_with_the_package(snapshots):
    fitted = InstalledCtgan(epochs=7).fit_snapshots(snapshots, seed=0)
    assert fitted.model_.epochs == 7
    assert fitted.model_.discrete == ["class"]
    assert isinstance(fitted.model_.table, pd.DataFrame)
    made, again = (fitted.sample(snapshots.label, seed=1) for _ in range(2))
    assert np.array_equal(made.x, again.x)
    for number in range(3):
        real, drawn = (each.x[each.label == number] for each in (snapshots, made))
        assert np.abs(drawn[:, None] - real).max(2).min(1).max() < 1e-6
