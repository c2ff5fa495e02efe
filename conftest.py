"""Tests run on every core, one thread each; what measures time, or is a file or two, does not."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# No deadline: another process may have the core for a while.
settings.register_profile("workspace", deadline=None)
# For runs that only ask whether a package stands alone; all examples are tried by the whole run.
settings.register_profile("few", deadline=None, max_examples=5)
settings.load_profile(os.environ.get("NETVIGIL_EXAMPLES", "workspace"))

POOLS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA")
MOST = 8  # each process that imports torch takes half a gigabyte


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Say how many processes `-n auto` means; `-n 0` debugs, another number is taken as it is."""
    files = all(".py" in arg for arg in config.args)
    if files or config.getoption("benchmark_only", default=False):
        return 0
    # The processes inherit this before any of them loads a pool: two pools on two cores get in
    # each other's way more than they help.
    for pool in POOLS:
        os.environ.setdefault(f"{pool}_NUM_THREADS", "1")
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    return min(os.cpu_count() or 1, MOST)
