"""A plugin whose cases become worse on request, for the tests of the gate.

`installed(folder)` lays it down as a distribution that an interpreter finds by `PYTHONPATH`. What
`WORSE` holds is worse: "time" by 30 %, "growth" by a quadratic step, "memory" to the double,
"objects" by a list per flow.
"""

from __future__ import annotations

import shutil
from pathlib import Path

PACKAGE = "slow-cases"
ENTRY = "[netvigil]\nslow = slow_cases_plugin\n"
METADATA = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1\n"
SOURCE = '''
import hashlib
import os

import numpy as np

from netvigil import hookimpl, parts

WORSE = os.environ.get("WORSE", "")
BLOCK = bytes(1 << 12)


class Hashing:
    """Hashes a block a hundred times for a thousand flows."""

    def setup(self, flows, *, seed):
        return flows

    def run(self, flows):
        for _ in range(int(flows * (0.13 if WORSE == "time" else 0.10))):
            hashlib.sha256(BLOCK).digest()
        return flows


class Growing:
    """Sorts numbers; where it is worse, takes all pairs of some of them too."""

    def setup(self, flows, *, seed):
        return np.random.default_rng(seed).random(flows)

    def run(self, x):
        for _ in range(40):
            np.sort(x)
        if WORSE == "growth":
            few = x[::4]
            np.abs(few[:, None] - few).sum()
        return len(x)


class Holding:
    """Fills memory: 40 MB."""

    def setup(self, flows, *, seed):
        return flows

    def run(self, flows):
        held = np.ones((10_000_000 if WORSE == "memory" else 5_000_000))
        return flows if held[-1] else 0


class Listing:
    """Adds numbers up; where it is worse, as Python objects."""

    def setup(self, flows, *, seed):
        return np.random.default_rng(seed).random(flows)

    def run(self, x):
        if WORSE == "objects":
            kept = x.tolist()
            sum(kept)
        return len(x) if x.sum() else 0


@hookimpl
def netvigil_benchmarks():
    def case(name, kind, flows=1_000, hot=False):
        return parts.Benchmark(
            name=name, summary="A case.", room="score", make=lambda _: kind(), flows=flows, hot=hot
        )

    yield from (case(f"hashing-{n}", Hashing) for n in range(20))
    yield case("growing", Growing, 4_000)
    yield case("holding", Holding)
    yield case("listing", Listing, hot=True)
'''


def installed(folder: Path) -> Path:
    """Lay the distribution down in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    about = folder / "slow_cases-1.dist-info"
    about.mkdir(parents=True)
    (folder / "slow_cases_plugin.py").write_text(SOURCE)
    (about / "METADATA").write_text(METADATA)
    (about / "entry_points.txt").write_text(ENTRY)
    return folder
