"""Steps that are recorded once and replayed."""

from __future__ import annotations

import pytest
import torch

from netvigil.torch.captured import Captured, record
from netvigil.torch.generators import generator
from netvigil.torch.rows import RowBatch

SIZES = [4, 4, 5, 4, 5, 5, 4]
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def batches(device="cpu"):
    rows = torch.arange(5.0, device=device)[:, None]
    return [RowBatch((rows[:size] + number, rows[:size])) for number, size in enumerate(SIZES)]


def summed(batch):
    return torch.stack([column.sum() for column in batch.columns])


def test_every_step_sees_its_own_rows_and_each_size_is_recorded_once():
    recorded, worked = [], []

    def work(batch):
        worked.append(batch.flows)
        return summed(batch)

    def fake(work, rng):
        recorded.append(rng)
        return work

    rng = generator(0)
    captured = Captured(work, rng, record=fake)
    for batch in batches():
        torch.testing.assert_close(captured(batch), summed(batch))
    assert recorded == [rng, rng]
    assert worked == SIZES


def test_a_batch_given_is_not_written_to():
    captured = Captured(summed, generator(0), record=lambda work, rng: work)
    given = batches()
    before = [[column.clone() for column in batch.columns] for batch in given]
    for batch in given:
        captured(batch)
    for batch, columns in zip(given, before, strict=True):
        torch.testing.assert_close(list(batch.columns), columns)


@pytest.mark.gpu
@no_gpu
def test_a_replay_takes_the_step_once_and_draws_on():
    rng, total = generator(0, device="cuda"), torch.zeros(3, device="cuda")

    def work():
        drawn = torch.rand(3, generator=rng, device="cuda")
        total.add_(drawn)
        return drawn

    first = work()
    replay = record(work, rng)
    torch.testing.assert_close(total, first)  # recording does nothing
    found = [first, *(replay() for _ in range(4))]
    torch.testing.assert_close(total, torch.stack(found).sum(0))
    assert len({tuple(each.tolist()) for each in found}) == 5
    again = generator(0, device="cuda")
    wanted = [torch.rand(3, generator=again, device="cuda") for _ in range(5)]
    torch.testing.assert_close(found, wanted)


@pytest.mark.gpu
@no_gpu
def test_captured_steps_on_a_gpu_see_their_own_rows():
    captured = Captured(summed, generator(0, device="cuda"))
    for batch in batches("cuda"):
        torch.testing.assert_close(captured(batch), summed(batch))
