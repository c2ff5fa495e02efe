"""Rows: every flow once per epoch, in an order of the seed's own, whatever memory allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from netvigil.errors import TrainingError
from netvigil.protocols import Watch
from netvigil.torch import rows as module
from netvigil.torch.generators import build, generator
from netvigil.torch.rows import RowBatch, Rows
from netvigil.torch.settings import TrainingConfig
from netvigil.torch.training import Step, fit_rows, rows_before_hold_out
from netvigil.windows import SpooledWindows

from .learners import Log, Narrow, same_bits, weights, windows

CPU = torch.device("cpu")
SIZES = [7, 0, 30, 14]  # 51 flows


@dataclass
class RowAutoencoder:
    """Reconstructs features; `seen` notes the flows of every step."""

    network: nn.Module
    seen: list[tuple[int, bool, list[int]]] = field(default_factory=list)

    def columns(self, graphs):
        return graphs.flow_x, graphs.flow_id.astype(np.int32)

    def losses(self, batch: RowBatch, step: Step) -> Mapping[str, Tensor]:
        x, number = batch.columns
        self.seen.append((step.epoch, step.training, number.tolist()))
        return {"total": (self.network(x) - x).square().mean()}


def fit(stream: Any, *, watch: Watch | None = None, seed: int = 0, **settings: Any):
    config = TrainingConfig(**{"epochs": 6, "device": "cpu", "batch": 16, **settings})
    return fit_rows(
        lambda device, rng: RowAutoencoder(build(Narrow, rng, device)),
        stream,
        config,
        seed=seed,
        watch=watch or Watch(),
        name="narrow",
    )


def numbered(sizes, **options: Any) -> Rows:
    stream = [windows(sizes)]
    return Rows(
        stream,
        lambda graphs: (graphs.flow_id, graphs.flow_x),
        flows=sum(sizes),
        device=CPU,
        **options,
    )


def ids(batches) -> list[list[int]]:
    return [(batch.columns[0] - 100).tolist() for batch in batches]


def test_an_epoch_takes_each_row_once_in_another_order_each_time():
    learner, _ = fit([windows(SIZES[:2]), windows(SIZES[2:], seed=1)], epochs=3, validation=0)
    orders = [
        [row for epoch, _, rows in learner.seen if epoch == number for row in rows]
        for number in range(3)
    ]
    # Both parts of the stream number their flows from 100.
    wanted = sorted([*range(100, 107), *range(100, 144)])
    assert [sorted(order) for order in orders] == [wanted] * 3
    assert len({tuple(order) for order in orders}) == 3


def test_the_latest_flows_are_held_out_wherever_windows_end():
    learner, trained = fit([windows([51])], epochs=2)
    assert trained.monitored == "validation"
    held_out = [rows for _, training, rows in learner.seen if not training]
    assert held_out == [list(range(141, 151))] * 2
    assert {row for _, training, rows in learner.seen if training for row in rows} == set(
        range(100, 141)
    )


@pytest.mark.parametrize(
    ("flows", "share", "trained"),
    [(1, 0.2, 1), (2, 0.2, 1), (3, 0.2, 2), (100, 0.2, 80), (100, 0.0, 100), (10, 0.99, 1)],
)
def test_how_many_are_held_out(flows, share, trained):
    assert rows_before_hold_out(flows, share) == trained


def test_one_flow_is_monitored_by_its_train_loss():
    _, trained = fit([windows([1])], epochs=2)
    assert (trained.monitored, trained.batch_flows) == ("train", 1)


def test_steps_are_of_one_size():
    assert [
        len(step) for step in ids(numbered([33]).shuffled(0, 33, flows=16, rng=generator(0)))
    ] == [
        11,
        11,
        11,
    ]


def test_windows_do_not_matter(tmp_path):
    whole, parts = windows([51]), windows(SIZES)
    assert np.array_equal(whole.flow_x, parts.flow_x)
    first, other = fit([whole])[0], fit([parts[:2], parts[2:]])[0]
    spooled = SpooledWindows.write([parts], tmp_path / "spool")
    assert spooled is not None
    assert same_bits(weights(first), weights(other))
    assert same_bits(weights(first), weights(fit(spooled)[0]))


def test_what_does_not_fit_is_shuffled_from_a_file(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)
    # 20 bytes a row: pools of three blocks.
    rows, memory = numbered([51], most_bytes=480), numbered([51])
    assert (rows.in_memory, memory.in_memory) == (False, True)
    assert ids(rows.ordered(3, 20, flows=10)) == [list(range(3, 13)), list(range(13, 20))]
    steps = ids(rows.shuffled(2, 49, flows=5, rng=generator(3)))
    order = [row for step in steps for row in step]
    assert sorted(order) == list(range(2, 49))
    assert max(map(len, steps)) <= 5
    # The first pool holds twelve rows (or fewer, with the last block) of three blocks of four.
    assert len({(row - 2) // 4 for row in order[:12]}) in (3, 4)
    assert order != ids(rows.shuffled(2, 49, flows=50, rng=generator(4)))[0]
    x = {
        int(number): value
        for batch in rows.shuffled(0, 51, flows=9, rng=generator(5))
        for number, value in zip(*batch.columns, strict=True)
    }
    kept = next(iter(memory.ordered(0, 51, flows=51))).columns[1]
    assert all(torch.equal(x[number + 100], kept[number]) for number in range(51))


def test_a_file_trains_to_the_same_bits_twice(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)
    monkeypatch.setattr(module, "ROW_BYTES", 500)
    first, again = fit([windows(SIZES)])[0], fit([windows(SIZES)])[0]
    assert same_bits(weights(first), weights(again))
    assert {row for _, _, rows in first.seen for row in rows} == set(range(100, 151))


def test_a_killed_fit_resumes_to_the_same_bits(tmp_path):
    class KilledError(Exception):
        pass

    def killing(**values):
        if values.get("epoch") == 3:
            raise KilledError

    settings = {"checkpoint_s": 1e-9, "schedule": "plateau", "optimizer": "sgd", "momentum": 0.9}
    whole, trained = fit([windows(SIZES)], **settings)
    with pytest.raises(KilledError):
        fit([windows(SIZES)], watch=Watch(write=killing, checkpoints=tmp_path), **settings)
    log = Log()
    resumed, again = fit([windows(SIZES)], watch=log.watch(tmp_path), **settings)
    assert [line["epoch"] for line in log.events("epoch")] == [3, 4, 5]
    assert same_bits(weights(whole), weights(resumed))
    assert trained == again


def test_nothing_to_train_on_is_refused():
    with pytest.raises(TrainingError, match="no flow to train on"):
        fit([windows([0])])


def test_out_of_memory_halves_the_rows_of_a_step():
    @dataclass
    class Hungry(RowAutoencoder):
        def losses(self, batch, step):
            if step.training and batch.flows > 12:
                raise torch.OutOfMemoryError
            return super().losses(batch, step)

    def attempt(batch):
        return fit_rows(
            lambda device, rng: Hungry(build(Narrow, rng, device)),
            [windows([100])],
            TrainingConfig(epochs=1, device="cpu", batch=batch),
            seed=0,
            watch=Watch(),
            name="narrow",
        )

    assert attempt("auto")[1].batch_flows == 12
    with pytest.raises(TrainingError, match="A batch of 10 flows would fit"):
        attempt(40)
