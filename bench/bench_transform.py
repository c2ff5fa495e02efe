"""The default transforms on real flows, against the same in pandas and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.baselines.pandas_transforms import Preprocessing
from bench.baselines.tiled_flows import tiled
from netvigil.contracts import FlowFeatures
from netvigil.features import extract, select_features
from netvigil_flowprep import plugin

COPIES = 25  # half a million flows
PARTS = {part.name: part for part in plugin.netvigil_flow_transforms()}
DEFAULT = ("clean", "log1p", "robust-scale", "categories")


@pytest.fixture(scope="module")
def features() -> FlowFeatures:
    flows = tiled(COPIES)
    return extract(flows, select_features(flows.table.column_names, flows.category_names))


def _fitted(features: FlowFeatures, names: Sequence[str]) -> Callable[[], int]:
    chain: list[Any] = []
    fed = features
    for name in names:
        chain.append(PARTS[name].make(PARTS[name].config()).fit(fed, seed=0))
        fed = chain[-1].transform(fed)

    def once() -> int:
        out = features
        for transform in chain:
            out = transform.transform(out)
        return len(out)

    return once


def _frames(features: FlowFeatures) -> tuple[pd.DataFrame, pd.DataFrame]:
    numbers = pd.DataFrame(np.array(features.x), columns=features.names)
    texts = {
        name: values.cast("string").to_pandas() for name, values in features.categories.items()
    }
    return numbers, pd.DataFrame(texts)


def bench_default_transforms(paired: Any, features: FlowFeatures) -> None:
    numbers, texts = _frames(features)
    usual = Preprocessing().fit(numbers, texts)
    paired(
        _fitted(features, DEFAULT),
        lambda: len(usual.transform(numbers, texts)),
        name="default transforms vs pandas and scikit-learn",
    )


def bench_fitting(paired: Any, features: FlowFeatures) -> None:
    numbers, texts = _frames(features)

    def ours() -> int:
        _fitted(features, DEFAULT)
        return len(features)

    def usual() -> int:
        Preprocessing().fit(numbers, texts).transform(numbers, texts)
        return len(numbers)

    paired(ours, usual, name="fit and transform vs pandas and scikit-learn")


@pytest.mark.parametrize("name", sorted(PARTS))
def bench_one_transform(alone: Any, features: FlowFeatures, name: str) -> None:
    names = [name] if name == "clean" else ["clean", name]
    alone(_fitted(features, names), name=" + ".join(names))
