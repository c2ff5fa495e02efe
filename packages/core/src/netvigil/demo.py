"""`netvigil demo`: generated traffic with planted attacks, through the whole system.

The traffic is synthetic: how detectors rank on it says nothing about a real network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netvigil import runner
from netvigil.config import parse_experiment
from netvigil.evaluation import Receipt
from netvigil.phases import Phases
from netvigil.plugins import Plugins
from netvigil.store import FlowStore

FLOWS = 40_000  # enough for every kind of attack; the whole demo takes well under a minute
SCORERS = ("iforest", "hbos", "cblof")


def experiment(flows: str) -> dict[str, Any]:
    """Return the demo's experiment as plain values."""
    return {
        "flows": {"source": flows},
        "labels": {"labeller": "inline"},
        "split": {"protocol": "time", "axis": "flows", "train": 0.5, "calibrate": 0.15},
        "train": {"drop_attacks": True},
        "graph": {"builder": "flow-host", "window_s": 180},
        "scorer": {"name": "pca"},
        "threshold": {"name": "quantile", "keep": 0.02},
        "evaluate": {"also": list(SCORERS)},
        "run": {"seeds": [0, 1, 2]},
    }


def run_demo(
    plugins: Plugins, *, out: Path, phases: Phases, flows: int = FLOWS, seed: int = 0
) -> Receipt:
    """Generate traffic, write it beside the run with its labels, and run the experiment on it."""
    from netvigil.testing.synthetic import stream

    source = out.with_name(f"{out.name}.parquet")
    source.parent.mkdir(parents=True, exist_ok=True)

    def watched(advance: Any) -> Any:
        for batch in stream(flows, seed=seed):
            yield batch
            advance(len(batch.flows))

    with phases.phase("generate traffic", flows) as advance:
        FlowStore.write(watched(advance), source)
    made = parse_experiment(experiment(source.name), base=source.parent, where="demo")
    return runner.run(made, plugins, base=source.parent, out=out, phases=phases)
