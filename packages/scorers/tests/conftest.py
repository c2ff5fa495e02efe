"""Flows for scorers, and a state's way through a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from safetensors.numpy import load, save

from netvigil.contracts import EncodedFlows
from netvigil.protocols import State

Flows = Callable[..., EncodedFlows]


@pytest.fixture(scope="session")
def flows() -> Flows:
    """Make encodings from rows, or of so many random flows with a constant and a 0/1 feature."""

    def make(rows: Any = 400, *, seed: int = 0, dim: int = 6) -> EncodedFlows:
        if isinstance(rows, int):
            rng = np.random.default_rng(seed)
            habit = rng.choice(3, size=rows, p=[0.7, 0.25, 0.05])
            x = rng.normal(size=(rows, dim)) + 2.0 * habit[:, None]
            x[:, 0] = 3.7
            x[:, 1] = habit == 1
        else:
            x = np.asarray(rows)
        count = len(x)
        return EncodedFlows(
            flow_id=np.arange(count) * 2,
            window_start=np.arange(count) // 10,
            embedding=x.astype(np.float32),
        )

    return make


@pytest.fixture(scope="session")
def carried() -> Callable[..., State]:
    """Send a state through safetensors, JSON and skops, as a bundle does."""

    def carry(state: State, trusted: tuple[str, ...] = ()) -> State:
        estimators = {}
        for name, estimator in state.estimators.items():
            data = skops.io.dumps(estimator)
            assert set(skops.io.get_untrusted_types(data=data)) <= set(trusted)
            estimators[name] = skops.io.loads(data, trusted=list(trusted))
        return State(
            arrays=load(save(dict(state.arrays))),
            values=json.loads(json.dumps(dict(state.values))),
            estimators=estimators,
        )

    return carry
