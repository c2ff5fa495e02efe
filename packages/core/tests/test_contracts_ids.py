"""Counting different ids, whichever way is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts.ids import SPARSE, distinct

FAR = np.iinfo(np.int64)


@given(st.lists(st.integers(-3, 40) | st.integers(int(FAR.min), int(FAR.max)), max_size=40))
def test_it_counts_as_a_set_does(ids):
    assert distinct(np.array(ids, np.int64)) == len(set(ids))


@pytest.mark.parametrize("step", [1, SPARSE, 100 * SPARSE])
def test_close_and_far_apart(step):
    ids = np.arange(50, 0, -1) * step
    assert distinct(ids) == 50
    assert distinct(np.append(ids, ids[:3])) == 50
