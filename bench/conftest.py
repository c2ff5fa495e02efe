"""How every benchmark here measures, and what it may claim.

Only ratios inside one process on one machine count: each figure stands beside a baseline that is
measured in alternation with it (A B B A ...), so whatever else the machine does meets both alike.

    def bench_flow_host(paired):
        flows, windows = ...                            # inputs are made outside the timer
        def ours() -> int:                              # a callable does the work once and
            return len(build(flows, windows))           # returns how many flows it handled
        def baseline() -> int:                          # fewer flows are fine: rates count
            return networkx_windows(first_10_000)
        paired(ours, baseline, name="build vs networkx", floor=2000)

Fixtures:
    paired(ours, baseline, *, name=None, floor=None, rounds=4, unit="flows/s") -> Ratio
        Median ratio of the rates (ours over baseline) over `rounds` pairs (rounded up to even),
        after one warm-up each, with a 99 % bootstrap interval. Fails with `BelowFloorError` only
        where the whole interval lies below `floor` *and* the ratio misses it by more than `NOISE`
        (10 %): noise is not a regression. Once per test; `parametrize` for several baselines.
    alone(ours, *, name=None, rounds=5, unit="flows/s") -> Rate
        Only the rate and the peak memory, for what has no baseline.
    linear(make, sizes, *, at_most=1.5) -> float
        `make(n)` returns a callable over n flows. Fails where time grows faster than n^1.5: half
        way to quadratic, so that caches and a sort's logarithm pass. Returns the exponent.
    fresh(function, *args) -> Fresh
        Runs a module-level function of a bench file in a new interpreter (args must be JSON) and
        returns its flows, seconds and peak memory: the only honest way to state a process' peak.

`extra_info` of every benchmark carries `flows_per_s`, `peak_mb` (growth of the resident set during
the first call), and for pairs `ratio`, `interval`, `floor`; a table of all of them ends the run:

    uv run pytest bench --benchmark-only

Functions are named `bench_*` or `test_*`; `from bench.baselines.<module> import ...` works.
`bench_gate.py` tests this gate itself: equal work passes, work that takes 30 % longer fails.
"""

from __future__ import annotations

import gc
import inspect
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

THREADS = "2"
for _pool in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA"):
    os.environ[f"{_pool}_NUM_THREADS"] = THREADS
os.environ["POLARS_MAX_THREADS"] = THREADS  # read once, when polars is first imported

NOISE = 0.10
"""Below this share of its floor a ratio is a regression, not the 0.3-10 % one machine wavers by."""

Work = Callable[[], int]


class BelowFloorError(AssertionError):
    """A ratio is certainly, and by more than noise, below what this project promises."""


@dataclass(frozen=True)
class Timed:
    """One call: how many flows it handled, and in how many seconds."""

    flows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Flows per second."""
        return self.flows / self.seconds


@dataclass(frozen=True)
class Rate:
    """How fast something is by itself."""

    name: str
    unit: str
    rate: float
    peak_mb: float


@dataclass(frozen=True)
class Ratio:
    """How many times faster `ours` is than `baseline`, with a 99 % interval over the pairs."""

    name: str
    unit: str
    rate: float
    baseline_rate: float
    peak_mb: float
    ratio: float
    low: float
    high: float
    floor: float | None = None

    def below(self, floor: float) -> bool:
        """Whether the interval excludes the floor and the ratio misses it by more than noise."""
        return self.high < floor and self.ratio < floor * (1 - NOISE)

    def at_least(self, floor: float) -> None:
        """Raise `BelowFloorError` where the ratio is certainly below `floor`."""
        if self.below(floor):
            span = f"{self.ratio:.3g}x [{self.low:.3g}, {self.high:.3g}]"
            msg = f"{self.name}: {span}, floor {floor:g}x"
            raise BelowFloorError(msg)


@dataclass(frozen=True)
class Fresh:
    """What one call in a new interpreter took; `import_mb` is its peak before the call."""

    flows: int
    seconds: float
    peak_mb: float
    import_mb: float


def interval(logs: Sequence[float], *, seed: int = 0) -> tuple[float, float, float]:
    """Return the median of these log-ratios and its 99 % bootstrap interval, as ratios."""
    import numpy as np

    values = np.asarray(logs)
    picks = np.random.default_rng(seed).integers(len(values), size=(2000, len(values)))
    low, high = np.quantile(np.median(values[picks], axis=1), [0.005, 0.995])
    return math.exp(statistics.median(logs)), math.exp(low), math.exp(high)


def timed(work: Work) -> Timed:
    """Call once, the garbage collector resting, and refuse work that handles nothing."""
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        flows = work()
        seconds = time.perf_counter() - begin
    finally:
        gc.enable()
    if flows <= 0:
        msg = "A benchmarked callable must return how many flows it handled."
        raise ValueError(msg)
    return Timed(flows, seconds)


def peak_growth_mb(work: Work) -> float:
    """Return how far the resident set peaked above its start during one call; NaN off Linux."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        work()
        return math.nan
    gc.collect()
    reset.write_text("5")  # sets the high-water mark back to the current size
    before = _status_kb(status, "VmRSS")
    work()
    return (_status_kb(status, "VmHWM") - before) * 1024 / 1e6


def _status_kb(status: Path, key: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1])


def pair(ours: Work, baseline: Work, *, pairs: int) -> list[tuple[Timed, Timed]]:
    """Measure A B, B A, A B, ... so that drift within a pair cancels over two of them."""
    done = []
    for number in range(pairs):
        if number % 2:
            second = timed(baseline)
            done.append((timed(ours), second))
        else:
            done.append((timed(ours), timed(baseline)))
    return done


def judge(
    pairs: Sequence[tuple[Timed, Timed]],
    *,
    name: str,
    unit: str = "flows/s",
    peak_mb: float = math.nan,
    floor: float | None = None,
) -> Ratio:
    """Turn pairs into a ratio with its interval."""
    logs = [math.log(a.rate / b.rate) for a, b in pairs]
    ratio, low, high = interval(logs)
    return Ratio(
        name=name,
        unit=unit,
        rate=statistics.median(a.rate for a, _ in pairs),
        baseline_rate=statistics.median(b.rate for _, b in pairs),
        peak_mb=peak_mb,
        ratio=ratio,
        low=low,
        high=high,
        floor=floor,
    )


class Benchmark(Protocol):
    """The two things used here of pytest-benchmark's fixture."""

    extra_info: dict[str, Any]

    def pedantic(self, target: Callable[[], Any], *, rounds: int) -> Any:
        """Call `rounds` times and keep the times."""


RESULTS = pytest.StashKey[list["Rate | Ratio"]]()


@pytest.fixture
def paired(request: pytest.FixtureRequest, benchmark: Benchmark) -> Callable[..., Ratio]:
    """See the module's docstring."""

    def measure(
        ours: Work,
        baseline: Work,
        *,
        name: str | None = None,
        floor: float | None = None,
        rounds: int = 4,
        unit: str = "flows/s",
    ) -> Ratio:
        peak_mb = peak_growth_mb(ours)  # the first call: also the warm-up
        baseline()
        pairs = pair(ours, baseline, pairs=rounds + rounds % 2)
        name = name or request.node.name
        found = judge(pairs, name=name, unit=unit, peak_mb=peak_mb, floor=floor)
        benchmark.extra_info.update(
            flows_per_s=found.rate,
            peak_mb=found.peak_mb,
            ratio=found.ratio,
            interval=[found.low, found.high],
            floor=floor,
        )
        benchmark.pedantic(ours, rounds=1)  # pytest-benchmark's own table and JSON get one more
        request.config.stash.setdefault(RESULTS, []).append(found)
        if floor is not None:
            found.at_least(floor)
        return found

    return measure


@pytest.fixture
def alone(request: pytest.FixtureRequest, benchmark: Benchmark) -> Callable[..., Rate]:
    """See the module's docstring."""

    def measure(
        ours: Work, *, name: str | None = None, rounds: int = 5, unit: str = "flows/s"
    ) -> Rate:
        peak_mb = peak_growth_mb(ours)
        rate = statistics.median(timed(ours).rate for _ in range(rounds))
        found = Rate(name or request.node.name, unit, rate, peak_mb)
        benchmark.extra_info.update(flows_per_s=rate, peak_mb=peak_mb)
        benchmark.pedantic(ours, rounds=1)
        request.config.stash.setdefault(RESULTS, []).append(found)
        return found

    return measure


@pytest.fixture
def linear(benchmark: Benchmark) -> Callable[..., float]:
    """See the module's docstring."""

    def measure(
        make: Callable[[int], Work], sizes: Sequence[int], *, at_most: float = 1.5
    ) -> float:
        import numpy as np

        works = {size: make(size) for size in sizes}
        seconds = {}
        for size, work in works.items():
            work()
            seconds[size] = min(timed(work).seconds for _ in range(3))
        slope = float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])
        benchmark.extra_info.update(slope=slope, seconds=seconds)
        benchmark.pedantic(works[sizes[-1]], rounds=1)
        if slope > at_most:
            msg = f"Time grows like n^{slope:.2f}; at most n^{at_most:g} is allowed: {seconds}"
            raise AssertionError(msg)
        return slope

    return measure


CHILD = """
import importlib.util, json, sys, time
def peak():
    try:
        with open("/proc/self/status") as status:
            return next(int(l.split()[1]) for l in status if l.startswith("VmHWM")) * 1024 / 1e6
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes
path, name, args = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, sys.argv[4])
spec = importlib.util.spec_from_file_location("bench_child", path)
module = importlib.util.module_from_spec(spec)
sys.modules["bench_child"] = module
spec.loader.exec_module(module)
before, begin = peak(), time.perf_counter()
flows = getattr(module, name)(*args)
seconds = time.perf_counter() - begin
print(json.dumps(dict(flows=flows, seconds=seconds, peak_mb=peak(), import_mb=before)))
"""


@pytest.fixture
def fresh() -> Callable[..., Fresh]:
    """See the module's docstring."""

    def run(function: Callable[..., int], *args: str | float) -> Fresh:
        path = inspect.getsourcefile(function)
        if path is None or "<locals>" in function.__qualname__:
            msg = "Only a module-level function can be found again by a new interpreter."
            raise ValueError(msg)
        root = str(Path(__file__).parent.parent)  # so that `import bench.baselines` works there too
        command = [sys.executable, "-c", CHILD, path, function.__name__, json.dumps(args), root]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(done.stderr)
        return Fresh(**json.loads(done.stdout.splitlines()[-1]))

    return run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the memory benchmark run at the size that somebody has the time for."""
    parser.addoption("--rows", type=int, default=2_000_000, help="rows of the memory benchmark")


def pytest_configure(config: pytest.Config) -> None:
    """Collect `bench_*` functions beside `test_*` ones, in this folder's runs only."""
    config.addinivalue_line("python_functions", "bench_*")


def pytest_report_header() -> str:
    """State the threads every pool was limited to."""
    return f"bench: {THREADS} threads per pool, {os.cpu_count()} CPUs"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print every rate and ratio of the run, each pair beside its floor."""
    results = config.stash.get(RESULTS, [])
    if not results:
        return
    terminalreporter.section("rates and ratios (ours / baseline, 99 % interval, same process)")
    for line in _table(results):
        terminalreporter.write_line(line)


def _table(results: Sequence[Rate | Ratio]) -> Iterator[str]:
    width = max(len(found.name) for found in results)
    columns = f"{{:{width}}}  {{:>13}} {{:>13}} {{:>8}}  {{:17}} {{:>6}} {{:>9}}  {{}}"
    yield columns.format("", "ours", "baseline", "ratio", "interval", "floor", "peak", "")
    for found in results:
        peak, rate = f"{found.peak_mb:,.0f} MB", _rate(found.rate)
        if isinstance(found, Rate):
            yield columns.format(found.name, rate, "", "", "", "", peak, found.unit)
            continue
        floor = found.floor if found.floor is not None else 0.0
        verdict = "BELOW" if found.below(floor) else "within noise"
        yield columns.format(
            found.name,
            rate,
            _rate(found.baseline_rate),
            f"{found.ratio:.3g}x",
            f"[{found.low:.3g}, {found.high:.3g}]",
            f"{floor:g}x" if floor else "",
            peak,
            f"{found.unit}  {verdict}" if found.ratio < floor else found.unit,
        )


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
