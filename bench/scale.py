"""From a hundred thousand to a hundred million flows: does cost stay linear, and memory flat?

    uv run python bench/scale.py                          # 10^5, 10^6 and 10^7 flows, minutes
    uv run python bench/scale.py --huge                   # 10^8 too: ten times that, 20 GB of disk
    uv run python bench/scale.py --encoder autographad --set encoder.epochs=5

A network of fixed size, and ever more hours of its traffic, are generated in pieces and written as
flows. A bundle is fitted once; then each size is scored, as `netvigil detect` does, in a new
process. `scale.json` holds each phase's seconds, processor time and peak memory, `scale.svg` draws
them. Exit code 1: processor time grows faster, or memory more, than the limits allow. Figures of
different machines are never compared.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from netvigil.phases import Advance, Display, Phases

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
SIZES = (100_000, 1_000_000, 10_000_000)
HUGE = 100_000_000
SETTLED = 1_000_000
"""From here on every buffer has its full size, so memory should not grow any further."""
CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from bench.scale import work; work()"
COUNTED = ("write", "detect")  # phases whose flows grow; the rest is done once


@dataclass
class Meter:
    """A display that also notes each phase's processor time and peak memory."""

    display: Display
    cpu_s: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float | None] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str, total: int | None) -> Iterator[Advance]:
        """Measure one phase; in one that lies within another, the outer one's peak is lost."""
        reset_peak()
        began = time.process_time()
        with self.display.phase(name, total) as advance:
            yield advance
        self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.process_time() - began
        self.peak_mb[name] = max(filter(None, (peak_mb(), self.peak_mb.get(name))), default=None)


def reset_peak() -> None:
    """Set the process' high-water mark back to its current size, where Linux lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return  # the mark of the whole process is an upper bound of the phase's


def peak_mb() -> float | None:
    """Return the high-water mark of this process in megabytes; None where nothing knows it."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        if sys.platform == "win32":
            return None
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def write(target: str, *, flows: int, rate: float, seed: int, phases: Phases) -> None:
    """Generate `flows` flows of one network, `rate` of them a second, straight into a file."""
    from netvigil.store import FlowStore
    from netvigil.testing.synthetic import stream

    # 120 flows per host and hour, as in every scenario; said here, so that no size changes it.
    hosts = int(min(max(rate * 30, 24), 20_000))
    batches = stream(flows, seed=seed, duration_s=flows / rate, hosts=hosts)
    with phases.phase("write", flows) as advance:
        FlowStore.write(batches, Path(target), progress=advance)


def fit(
    source: str, bundle: str, *, encoder: str, scorer: str, settings: list[str], phases: Phases
) -> None:
    """Fit a bundle of flow-host windows."""
    from netvigil import runner
    from netvigil.config import parse_experiment
    from netvigil.plugins import load_plugins

    values = {
        "flows": {"source": source},
        "split": {"axis": "flows"},
        "graph": {"builder": "flow-host", "window_s": 60, "stride_s": 60},
        "encoder": {"name": encoder},
        "scorer": {"name": scorer},
        "threshold": {"name": "quantile", "keep": 0.005},
    }
    base = Path(source).parent
    experiment = parse_experiment(values, base=base, overrides=settings)
    runner.fit(experiment, load_plugins(), base=base, out=Path(bundle), phases=phases)


def detect(bundle: str, source: str, out: str, *, phases: Phases) -> None:
    """Score every flow of a file with the bundle."""
    from netvigil import runner
    from netvigil.plugins import load_plugins

    runner.detect(Path(bundle), Path(source), load_plugins(), out=Path(out), phases=phases)


STEPS: Mapping[str, Callable[..., None]] = {"write": write, "fit": fit, "detect": detect}


def work() -> None:
    """Do one step in this process, as its arguments say; print what it took."""
    name, args, options = json.loads(sys.argv[2])
    click.echo(json.dumps(step(name, *args, **options)))


def step(name: str, *args: object, **options: object) -> dict[str, Any]:
    """Do one step in this process; return what it took, and what each of its phases did."""
    from netvigil.cli.shared import phases as watched

    meter = Meter(watched(keep=False).display)
    phases = Phases(meter)
    began = time.perf_counter()
    STEPS[name](*map(str, args), **options, phases=phases)
    seconds = time.perf_counter() - began
    per_phase = {
        phase: {
            "flows": phases.flows[phase],
            "seconds": round(phases.seconds[phase], 3),
            "cpu_s": round(meter.cpu_s[phase], 3),
            "peak_mb": None if (peak := meter.peak_mb[phase]) is None else round(peak, 1),
        }
        for phase in phases.seconds
    }
    return {"seconds": round(seconds, 3), "phases": per_phase}


def fresh(name: str, *args: object, **options: object) -> dict[str, Any]:
    """Do one step in a new interpreter, whose progress bars show here; return what it took."""
    task = json.dumps([name, [str(arg) for arg in args], options])
    command = [sys.executable, "-c", CHILD, str(ROOT), task]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        msg = f"The step '{name}' failed; its own words are above."
        raise click.ClickException(msg)
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return took


@dataclass(frozen=True)
class Limits:
    """What is still linear, and still flat."""

    slope: float = 1.15
    growth: float = 1.3


def slope(flows: Sequence[float], cost: Sequence[float]) -> float:
    """Return the exponent with which cost grows: the steeper of all sizes' and the last step's."""
    logs = np.log(np.asarray(flows, float)), np.log(np.asarray(cost, float))
    whole, last = (
        float(np.polyfit(logs[0][s], logs[1][s], 1)[0]) for s in (slice(None), slice(-2, None))
    )
    return max(whole, last)


def judged(runs: Sequence[Mapping[str, Any]], limits: Limits) -> dict[str, Any]:
    """Say of each phase how cost and memory grow, and whether that is within the limits."""
    verdicts = {}
    for name in COUNTED:
        took = [run["phases"][name] for run in runs]
        flows = [phase["flows"] for phase in took]
        steep = slope(flows, [max(phase["cpu_s"], 1e-3) for phase in took])
        # The first size with full buffers, or the last but one where none is that large.
        settled = next((i for i, n in enumerate(flows[:-1]) if n >= SETTLED), len(flows) - 2)
        peaks = took[-1]["peak_mb"], took[settled]["peak_mb"]
        growth = None if None in peaks else round(peaks[0] / peaks[1], 3)
        verdicts[name] = {
            "slope": round(steep, 3),
            "growth": growth,
            "growth_from": flows[settled],
            "linear": steep <= limits.slope,
            "flat": growth is None or growth <= limits.growth,
        }
    return verdicts


def figure(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw time and memory over flows, a line for each phase."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    from netvigil.report.theme import INK, drawn, series

    @drawn
    def draw() -> Figure:
        made = Figure(figsize=(8.4, 3.2))
        times, memory = made.subplots(1, 2)
        for number, name in enumerate(COUNTED):
            took = [run["phases"][name] for run in runs]
            flows = [phase["flows"] for phase in took]
            style = {"color": series(number), "marker": "o", "ms": 4, "label": name}
            times.loglog(flows, [phase["seconds"] for phase in took], **style)
            if all(phase["peak_mb"] is not None for phase in took):
                memory.semilogx(flows, [phase["peak_mb"] for phase in took], **style)
        _proportional(times, runs, INK["soft"])
        times.set(title="Time", xlabel="flows", ylabel="seconds")
        memory.set(title="Peak memory of the process", xlabel="flows", ylabel="MB")
        memory.set_ylim(bottom=0)
        # The style obeys no mathematics, which the usual labels of such axes are made of.
        for axis in (times.xaxis, times.yaxis, memory.xaxis):
            axis.set_major_formatter(FuncFormatter(_plain))
            axis.set_minor_formatter(NullFormatter())
        times.legend()
        return made

    return draw()


def _plain(value: float, _: int | None = None) -> str:
    """Return a power of ten as people say it: 0.1, 10, 100 k, 10 M."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def _proportional(times: Axes, runs: Sequence[Mapping[str, Any]], color: str) -> None:
    """Draw what the last phase would take if every flow took what each of the largest size does."""
    largest = runs[-1]["phases"][COUNTED[-1]]
    flows = [runs[0]["flows"], runs[-1]["flows"]]
    seconds = [largest["seconds"] * n / flows[-1] for n in flows]
    times.loglog(flows, seconds, color=color, lw=0.8, ls=":", label="proportional")


def save(made: Figure, path: Path) -> None:
    """Write a figure as SVG, its text as text."""
    from netvigil.report.theme import styled

    with styled():
        made.savefig(path, format="svg", facecolor="white", metadata={"Date": None})


def measure(
    work: Path, sizes: Sequence[int], *, fitted_on: int, rate: float, seed: int, **parts: object
) -> Iterator[dict[str, Any]]:
    """Yield what fitting took, then what each size took; each capture is deleted when scored."""
    made = {"rate": rate, "seed": seed}
    flows, bundle = work / "fit.parquet", work / "bundle"
    fresh("write", flows, flows=fitted_on, **made)
    took = fresh("fit", flows, bundle, **parts)
    yield {"flows": fitted_on, **took}
    for size in sizes:
        flows, out = work / f"{size}.parquet", work / f"{size}-detected"
        written = fresh("write", flows, flows=size, **made)
        scored = fresh("detect", bundle, flows, out)
        phases = written["phases"] | scored["phases"]
        yield {
            "flows": size,
            "seconds": written["seconds"] + scored["seconds"],
            "bytes_on_disk": flows.stat().st_size,
            "phases": phases,
        }
        for path in work.glob(f"{size}.*"):
            path.unlink()
        shutil.rmtree(out)


def told(run: Mapping[str, Any]) -> str:
    """Say in one line what a size took."""
    words = []
    for name in COUNTED:
        phase = run["phases"][name]
        rate = phase["flows"] / max(phase["seconds"], 1e-9)
        memory = "" if phase["peak_mb"] is None else f", {phase['peak_mb']:,.0f} MB"
        words.append(f"{name} {phase['seconds']:,.1f} s, {rate:,.0f} flows/s{memory}")
    return f"{run['flows']:>12,} flows: {'; '.join(words)}"


EXAMPLE = "Example: uv run python bench/scale.py --sizes 100000,1000000 --out /tmp/scale"


@click.command(epilog=EXAMPLE, help=(__doc__ or "").split("\n", maxsplit=1)[0])
@click.option("--sizes", help="Flows of each size, with commas. Default: 10^5, 10^6, 10^7.")
@click.option("--huge", is_flag=True, help="Also 10^8 flows, which need about 20 GB of disk.")
@click.option("--encoder", default="raw", show_default=True, help="Encoder of the bundle.")
@click.option("--scorer", help="Scorer. Default: weighted-terms for autographad, else pca.")
@click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="As in fit.")
@click.option("--fit", "fitted_on", default=200_000, show_default=True, help="Flows to fit on.")
@click.option("--rate", default=100.0, show_default=True, help="Flows a second of the network.")
@click.option("--seed", default=0, show_default=True, help="Seed of the generated flows.")
@click.option("--slope", default=Limits.slope, show_default=True, help="Largest exponent of time.")
@click.option("--growth", default=Limits.growth, show_default=True, help="Largest memory ratio.")
@click.option("--out", default=".", type=click.Path(path_type=Path), help="Folder of the results.")
def main(
    sizes: str | None,
    encoder: str,
    scorer: str | None,
    settings: tuple[str, ...],
    fitted_on: int,
    rate: float,
    seed: int,
    slope: float,
    growth: float,
    out: Path,
    *,
    huge: bool,
) -> None:
    """Measure, draw and judge."""
    wanted = sorted({int(size) for size in sizes.split(",")} if sizes else {*SIZES})
    wanted += [HUGE] if huge else []
    if len(wanted) < 2:
        msg = "Growth needs two sizes at least."
        raise click.UsageError(msg)
    scorer = scorer or ("weighted-terms" if encoder == "autographad" else "pca")
    chosen = {"encoder": encoder, "scorer": scorer, "settings": list(settings)}
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".scale-", dir=out) as scratch:
        measured = measure(
            Path(scratch), wanted, fitted_on=fitted_on, rate=rate, seed=seed, **chosen
        )
        fitting, runs = next(measured), []
        for run in measured:
            click.echo(told(run))
            runs.append(run)
    verdicts = judged(runs, Limits(slope, growth))
    bundle = chosen | {"rate": rate, "seed": seed, "took": fitting}
    limits = {"slope": slope, "growth": growth}
    result = {"machine": machine(), "bundle": bundle, "sizes": runs, "limits": limits}
    text = json.dumps(result | {"verdicts": verdicts}, indent=2)
    (out / "scale.json").write_text(text + "\n", "utf-8")
    save(figure(runs), out / "scale.svg")
    for name, verdict in verdicts.items():
        click.echo(concluded(name, verdict, wanted[-1]))
    if not all(verdict["linear"] and verdict["flat"] for verdict in verdicts.values()):
        sys.exit(f"Beyond the limits: n^{slope:g} and {growth:g}x.")


def machine() -> dict[str, Any]:
    """Say where the figures come from; they mean nothing elsewhere."""
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "netvigil": version("netvigil"),
    }


def concluded(name: str, verdict: Mapping[str, Any], largest: int) -> str:
    """Say in one line how a phase grows."""
    memory = "unknown" if verdict["growth"] is None else f"{verdict['growth']:.2f}x"
    return (
        f"{name}: processor time grows like n^{verdict['slope']:.2f}, memory {memory} "
        f"from {verdict['growth_from']:,} to {largest:,} flows"
    )


if __name__ == "__main__":
    main()
