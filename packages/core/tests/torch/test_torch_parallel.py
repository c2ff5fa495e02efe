from __future__ import annotations

import threading

import pytest
import torch

from netvigil.torch.parallel import side_by_side

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("pieces", [0, 1, 3, 50])
def test_every_piece_is_done_once(pieces, two_threads):
    done = [0] * pieces

    def work(number):
        done[number] += 1

    side_by_side(work, pieces, CPU)
    assert done == [1] * pieces
    assert torch.get_num_threads() == 2


def test_pieces_share_no_thread_of_pytorch(two_threads):
    meeting = threading.Barrier(2, timeout=20)
    seen = []

    def work(number):
        if number < 2:
            meeting.wait()  # both threads are at work
        seen.append(torch.get_num_threads())

    side_by_side(work, 8, CPU)
    assert set(seen) == {1}


def test_an_error_comes_through_and_the_threads_are_as_before(two_threads):
    def work(number):
        if number == 5:
            raise ValueError("piece 5")

    with pytest.raises(ValueError, match="piece 5"):
        side_by_side(work, 8, CPU)
    assert torch.get_num_threads() == 2
