from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netvigil.testing.conformance import Check, checks_for

from .reading import PARTS, write
from .test_detect import TEXTS
from .test_readers_bad_input import HEADER, row
from .test_readers_dialects import nfstream_frame


def argus(folder: Path) -> Path:
    return write(folder / "a.binetflow", HEADER, *[row(n * 7 % 60) for n in range(30)])


def nfstream(folder: Path) -> Path:
    frame = nfstream_frame()
    for _ in range(4):
        frame = frame.vstack(frame)
    frame.write_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def text(name: str) -> Callable[[Path], Path]:
    header, line = TEXTS[name]
    return lambda folder: write(folder / f"{name}.csv", header, *[line] * 20)


SOURCES = {"ctu-13": argus, "nfstream": nfstream, **{name: text(name) for name in TEXTS}}
CASES = [(name, check) for name in SOURCES for check in checks_for(PARTS[name])]


@pytest.mark.parametrize(("name", "check"), CASES, ids=[f"{n}-{c}" for n, c in CASES])
def test_every_reader_keeps_its_contract(tmp_path: Path, name: str, check: Check):
    source = SOURCES[name](tmp_path)
    bound = next(c for c in checks_for(PARTS[name], source=source) if str(c) == str(check))
    bound(PARTS[name])
