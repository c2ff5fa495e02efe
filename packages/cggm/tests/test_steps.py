from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from netvigil.errors import TrainingError
from netvigil.protocols import Watch
from netvigil.torch.generators import build, generator
from netvigil_cggm.steps import Norm, drop, gumbel_softmax, play


@given(arrays(np.float32, (5, 4), elements=st.floats(-30, 30, width=32)), st.floats(0.1, 5))
def test_rows_of_a_gumbel_softmax_sum_to_one(logits, temperature):
    given_logits = torch.tensor(logits)
    given_logits[:, 1] = -torch.inf
    drawn = gumbel_softmax(given_logits, temperature, generator(0))
    assert torch.allclose(drawn.sum(1), torch.ones(5), atol=1e-5)
    assert (drawn[:, 1] == 0).all()


def test_a_gumbel_softmax_draws_by_chance():
    logits = torch.tensor([0.7, 0.3]).log().expand(4_000, 2)
    hard = gumbel_softmax(logits, 0.2, generator(0)).argmax(1)
    assert float(hard.float().mean()) == pytest.approx(0.3, abs=0.02)


def test_dropped_values_keep_their_mean():
    kept = drop(torch.ones(10_000), 0.25, generator(0))
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float(kept.mean()) == pytest.approx(1, abs=0.02)


def test_a_norm_starts_from_no_history():
    norm = build(lambda: Norm(3), generator(0), "cpu").eval()
    assert torch.allclose(norm(torch.ones(2, 3)), torch.ones(2, 3), atol=1e-4)


def test_a_loss_that_is_not_finite_stops_with_its_step():
    told = []
    values = iter([1.0, 2.0, float("nan")])
    watch = Watch(write=lambda **line: told.append(line))
    with pytest.raises(TrainingError, match="'x': the loss 'a' is nan in step 3 of 9"):
        play(lambda: {"a": next(values)}, 9, name="x", seed=0, watch=watch)
    assert told == [{"event": "step", "step": 0, "a": 1.0}]
