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


def _fitted(features: FlowFeatures, names: Sequence[str]) -> Callable[[], FlowFeatures]:
    chain: list[Any] = []
    fed = features
    for name in names:
        chain.append(PARTS[name].make(PARTS[name].config()).fit(fed, seed=0))
        fed = chain[-1].transform(fed)

    def once() -> FlowFeatures:
        out = features
        for transform in chain:
            out = transform.transform(out)
        return out

    return once


def _frames(features: FlowFeatures) -> tuple[pd.DataFrame, pd.DataFrame]:
    numbers = pd.DataFrame(np.array(features.x), columns=features.names)
    texts = {
        name: values.cast("string").to_pandas() for name, values in features.categories.items()
    }
    return numbers, pd.DataFrame(texts)


def bench_default_transforms(paired: Any, features: FlowFeatures) -> None:
    numbers, texts = _frames(features)
    usual, ours = Preprocessing().fit(numbers, texts), _fitted(features, DEFAULT)
    same = slice(len(features.names))  # rarities differ: ours are finite for values never seen
    expected = usual.transform(numbers, texts)[:, same]
    # scikit-learn's deviation of a column without spread is not ours; such columns stay out.
    spread = np.subtract(*np.percentile(expected, [75, 25], axis=0)) > 0
    np.testing.assert_allclose(ours().x[:, same][:, spread], expected[:, spread], atol=1e-3)
    paired(
        lambda: len(ours()),
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
    transform = _fitted(features, names)
    alone(lambda: len(transform()), name=" + ".join(names))
