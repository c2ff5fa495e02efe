from __future__ import annotations

import numpy as np
import pytest

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil_flowprep.transforms.clean import Clean, CleanConfig

NAN = np.nan


def _features(rows, names=("x_a", "x_b")):
    return FlowFeatures(np.array(rows, np.float32), names)


TRAIN = _features([[1, NAN], [3, NAN], [8, NAN], [NAN, NAN]])


@pytest.mark.parametrize(("missing", "filled"), [("zero", [0, 0]), ("median", [3, 0])])
def test_missing_values_are_filled(missing, filled):
    clean = Clean(CleanConfig(missing=missing)).fit(TRAIN, seed=0)
    assert clean.transform(_features([[NAN, NAN], [7, 9]])).x.tolist() == [filled, [7, 9]]


def test_constant_columns_go_when_asked():
    train = _features([[1, 5, 0, NAN], [2, 5, NAN, 4]], ("x_a", "x_b", "x_c", "x_d"))
    clean = Clean(CleanConfig(drop_constant=True)).fit(train, seed=0)
    out = clean.transform(train)
    # x_c is 0 or missing, which is filled with 0; x_d is 4 or 0.
    assert out.names == ("x_a", "x_d")
    assert out.x.tolist() == [[1, 0], [2, 4]]


@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_infinity_is_refused_with_the_column(infinity):
    clean = Clean(CleanConfig()).fit(TRAIN, seed=0)
    with pytest.raises(ContractError, match="infinity: x_b"):
        clean.transform(_features([[1, infinity], [NAN, 1]]))
    with pytest.raises(ContractError, match="infinity: x_b"):
        Clean(CleanConfig()).fit(_features([[1, infinity]]), seed=0)


def test_values_that_overflow_a_sum_are_finite_all_the_same():
    huge = np.finfo(np.float32).max
    clean = Clean(CleanConfig()).fit(TRAIN, seed=0)
    assert clean.transform(_features([[huge, huge]] * 3)).x.min() == huge
