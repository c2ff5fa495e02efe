from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from netvigil.errors import BundleError
from netvigil.protocols import State
from netvigil_scorers.formulas.formula import from_state, score_in_blocks, to_state
from netvigil_scorers.formulas.threads import few_openmp_threads

SEEN: list[tuple[int, int]] = []


@dataclass(frozen=True)
class Sums:
    """Sums rows, and notes how many it was given and on how many threads BLAS would run."""

    block_rows: ClassVar[int] = 8
    most_rows: ClassVar[int] = 16

    weights: np.ndarray
    note: str = "a"

    @classmethod
    def learn(cls, detector, rows, config):
        raise NotImplementedError

    def score(self, rows):
        threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        SEEN.append((len(rows), max(threads)))
        return rows.astype(np.float64) @ self.weights


@pytest.mark.parametrize(
    ("flows", "shapes"),
    [(0, []), (1, [8]), (8, [8]), (16, [16]), (17, [16, 8]), (40, [16, 16, 8])],
)
def test_blocks_have_whole_shapes_and_one_thread(flows, shapes):
    SEEN.clear()
    rows = np.arange(flows * 3, dtype=np.float32).reshape(flows, 3)
    out = score_in_blocks(Sums(np.ones(3)), rows)
    assert out.tolist() == rows.sum(axis=1).tolist()
    assert [(shape, 1) for shape in shapes] == SEEN


def test_rows_may_lie_in_any_layout():
    rows = np.arange(60, dtype=np.float32).reshape(3, 20).T
    assert score_in_blocks(Sums(np.ones(3)), rows).tolist() == rows.sum(axis=1).tolist()


def test_state_sorts_fields_by_kind():
    state = to_state(Sums(np.ones(3), note="b"), dim=3)
    assert state.arrays.keys() == {"weights"}
    assert state.values == {"dim": 3, "note": "b"}
    formula, dim = from_state(Sums, state, name="sums")
    assert (formula.note, dim) == ("b", 3)


@pytest.mark.parametrize("values", [{"dim": 3}, {"note": "b"}, {"dim": "3", "note": "b"}])
def test_a_state_with_missing_or_foreign_fields_is_refused(values):
    state = State(arrays={"weights": np.ones(3)}, values=values)
    with pytest.raises(BundleError, match="'sums'"):
        from_state(Sums, state, name="sums")


def test_openmp_threads_are_limited_and_given_back():
    import sklearn.cluster  # noqa: F401, its OpenMP is what is limited

    def openmp():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"]

    before = openmp()
    with few_openmp_threads():
        assert max(openmp()) <= 2
    assert openmp() == before
