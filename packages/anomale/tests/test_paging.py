from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from netvigil_anomale.paging import map_of, release


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    rng = np.random.default_rng(0)
    (tmp_path / "x").write_bytes(rng.random((9000, 7), np.float32).tobytes())
    return np.memmap(tmp_path / "x", np.float32, mode="r", shape=(9000, 7))


def test_views_of_a_map_know_it(mapped: np.memmap) -> None:
    assert isinstance(map_of(mapped), mmap.mmap)
    assert map_of(np.asarray(mapped)[5:70][3:]) is map_of(mapped)
    assert map_of(np.zeros(3)) is None
    assert map_of(np.frombuffer(b"1234", np.uint8)) is None


def test_values_survive_their_release(mapped: np.memmap) -> None:
    before = np.array(mapped)
    for first, last in ((0, 9000), (17, 17), (100, 101), (333, 8001)):
        release(mapped[first:last])
        assert np.array_equal(mapped, before)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="counts pages as Linux does")
def test_whole_pages_inside_are_let_go(mapped: np.memmap, tmp_path: Path) -> None:
    def resident_kb() -> int:
        lines = Path("/proc/self/smaps").read_text().splitlines()
        start = next(i for i, line in enumerate(lines) if line.endswith(f"{tmp_path}/x"))
        return next(int(line.split()[1]) for line in lines[start:] if line.startswith("Rss:"))

    mapped.sum()
    full = resident_kb()
    release(mapped[1000:8000])
    assert full - resident_kb() >= 7000 * 28 // 1024 - 3 * mmap.PAGESIZE // 1024
    release(np.array(mapped))  # not a map: nothing happens


def test_what_may_be_written_is_kept(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100_000))
    own = np.memmap(tmp_path / "x", np.uint8, mode="c")
    own[:] = 7
    release(own)
    assert (own == 7).all()
