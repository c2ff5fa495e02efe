"""Labelled flows of three classes, and a state's way through a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from safetensors.numpy import load, save

from netvigil.contracts import LabelTable, WindowGraphs
from netvigil.protocols import State

CLASSES = ("benign", "flood", "scan")


def _flows_of(x: Any, *, names: tuple[str, ...] = ()) -> WindowGraphs:
    """Make windows of ten flows from rows of features."""
    x = np.ascontiguousarray(x, np.float32)
    ptr = np.append(np.arange(0, len(x), 10), len(x)) if len(x) else np.zeros(1)
    return WindowGraphs(
        schema="flows-only",
        feature_names=names or tuple(f"x_{i}" for i in range(x.shape[1])),
        flow_id=np.arange(len(x), dtype=np.int64) * 2,
        flow_x=x,
        flow_ptr=ptr.astype(np.int64),
        window_start=np.arange(len(ptr) - 1, dtype=np.int64),
        flow_src=np.empty(0, np.int32),
        flow_dst=np.empty(0, np.int32),
        node_ptr=np.zeros(len(ptr), np.int64),
        node_key=np.empty(0, np.uint64),
    )


def _hosts_of(pairs: Any, x: Any) -> WindowGraphs:
    """Make a window of flows between numbered hosts, all of one service."""
    x = np.ascontiguousarray(x, np.float32)
    source, destination = np.asarray(pairs, np.int32).reshape(-1, 2).T
    return WindowGraphs(
        schema="flow-host",
        feature_names=tuple(f"x_{i}" for i in range(x.shape[1])),
        flow_id=np.arange(len(x), dtype=np.int64),
        flow_x=x,
        flow_ptr=np.array([0, len(x)], np.int64),
        window_start=np.zeros(1, np.int64),
        flow_src=source.copy(),
        flow_dst=destination.copy(),
        node_ptr=np.array([0, 4], np.int64),
        node_key=np.arange(10, 14, dtype=np.uint64),
        flow_service=np.ones(len(x), np.uint64),
    )


def _labels_of(windows: WindowGraphs, code: Any) -> LabelTable:
    """Label flows by the number of their class in `CLASSES`; -1 has no label."""
    code = np.asarray(code)
    known = code >= 0
    names = np.array(CLASSES)[code[known]].tolist()
    return LabelTable.of(windows.flow_id[known], code[known] > 0, pa.array(names, pa.string()))


def _lesson(rows: int = 300, *, seed: int = 0, apart: float = 3.0) -> tuple[Any, Any]:
    """Return features and classes: two columns tell them apart, one is noise, one constant."""
    rng = np.random.default_rng(seed)
    code = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    x = rng.standard_normal((rows, 4))
    x[:, 0] += apart * (code == 1)
    x[:, 1] += apart * (code == 2)
    x[:, 3] = 7.0
    return x.astype(np.float32), code.astype(np.int64)


@pytest.fixture(scope="session")
def flows_of() -> Callable[..., WindowGraphs]:
    """Return what makes windows of rows."""
    return _flows_of


@pytest.fixture(scope="session")
def hosts() -> Callable[..., WindowGraphs]:
    """Return what makes windows of flows between hosts 0 to 3."""
    return _hosts_of


@pytest.fixture(scope="session")
def labels_of() -> Callable[..., LabelTable]:
    """Return what labels windows by class numbers."""
    return _labels_of


@pytest.fixture(scope="session")
def lesson() -> Callable[..., tuple[Any, Any]]:
    """Return what draws rows of three classes."""
    return _lesson


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
            arrays=load(save({k: np.ascontiguousarray(a) for k, a in state.arrays.items()})),
            values=json.loads(json.dumps(dict(state.values))),
            estimators=estimators,
        )

    return carry
