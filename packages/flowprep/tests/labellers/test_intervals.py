from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netvigil_flowprep.labellers.intervals import IntervalIndex

KEYS = (0, 1, 1 << 63, (1 << 64) - 1)  # of all bits, as hashes are
INTERVAL = st.tuples(st.sampled_from(KEYS), st.integers(-50, 50), st.integers(0, 20))


def _columns(rows):
    key = np.array([k for k, _, _ in rows], np.uint64)
    start = np.array([s for _, s, _ in rows], np.int64)
    return key, start, start + np.array([n for _, _, n in rows], np.int64)


@given(st.lists(INTERVAL, max_size=15), st.lists(INTERVAL, max_size=15))
def test_finds_what_a_double_loop_finds(truth, queries):
    keys, starts, ends = _columns(truth)
    found = IntervalIndex(keys, starts, ends).find(*_columns(queries))
    for row, key, start, end in zip(found, *_columns(queries), strict=True):
        matches = [
            i for i in range(len(truth)) if keys[i] == key and starts[i] <= end and ends[i] >= start
        ]
        assert (row >= 0) == bool(matches)
        if matches:
            assert row in matches
            assert ends[row] == max(ends[i] for i in matches)


def test_times_near_the_ends_of_int64_do_not_overflow():
    far = 1 << 62
    index = IntervalIndex(np.zeros(2, np.uint64), np.array([-far, far]), np.array([-far, far]))
    found = index.find(np.zeros(3, np.uint64), np.array([-far, 0, far]), np.array([-far, 0, far]))
    assert found.tolist() == [0, -1, 1]


def test_keys_whose_high_bits_are_equal_are_told_apart():
    keys = np.arange(2_000, dtype=np.uint64)
    times = np.zeros(1_000, np.int64)
    index = IntervalIndex(keys[:1_000], times, times)
    both = np.zeros(2_000, np.int64)
    assert index.find(keys, both, both).tolist() == [*range(1_000), *[-1] * 1_000]
