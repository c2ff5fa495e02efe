"""Alerts with reasons in words: features that stand out, endpoints that were never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.baselines import TrainCounts
from netvigil.contracts import ALERTS, AlertTable, FlowTable
from netvigil.cuts import Cuts
from netvigil.protocols import State

TOP = 3  # features named per alert: enough to start looking, few enough to read
UNUSUAL = 3.0  # train standard deviations below which a feature is not worth naming


@dataclass(frozen=True)
class FeatureProfile:
    """Mean and standard deviation of each transformed feature on the train flows, float64."""

    names: tuple[str, ...]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @staticmethod
    def of(x: NDArray[np.float32], names: tuple[str, ...]) -> FeatureProfile:
        """Measure the train flows' features; x float32 [flows, features]."""
        return FeatureProfile(
            names, x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        )

    def get_state(self) -> State:
        """Return what a bundle keeps."""
        arrays = {"mean": self.mean, "deviation": self.deviation}
        return State(arrays=arrays, values={"names": list(self.names)})

    @staticmethod
    def from_state(state: State) -> FeatureProfile:
        """Take over what a bundle kept."""
        names = tuple(str(name) for name in state.values["names"])
        return FeatureProfile(names, state.arrays["mean"], state.arrays["deviation"])

    def reasons(self, x: NDArray[np.float32]) -> list[list[str]]:
        """Name the features of each flow that lie furthest from the train mean.

        Shapes:
            x: float32 [alerts, features]; returns [alerts] lists of at most `TOP` sentences
        """
        spread = np.where(self.deviation > 0, self.deviation, 1.0)
        z = (x - self.mean) / spread
        top = np.argsort(-np.abs(z), axis=1, kind="stable")[:, :TOP]
        return [
            [_sentence(self.names[k], float(z[i, k])) for k in row if abs(z[i, k]) >= UNUSUAL]
            for i, row in enumerate(top)
        ]


def _sentence(name: str, z: float) -> str:
    """Say in words how a feature stands out; `column=value` is what one-hot columns are called."""
    column, equals, value = name.partition("=")
    if equals and z > 0 and value == "rare":
        return f"{column} has a value that is rare in training"
    if equals and z > 0:
        return f"{column} is {value}, which is rare in training"
    side = "above" if z > 0 else "below"
    return f"{name} is {abs(z):.1f} deviations {side} its train mean"


def make_alerts(
    flows: FlowTable,
    score: NDArray[np.float64],
    cut: Cuts,
    x: NDArray[np.float32],
    *,
    profile: FeatureProfile,
    counts: TrainCounts,
    bundle: str,
) -> AlertTable:
    """Turn the flows above the cut into alerts.

    Shapes:
        score: float64 [flows]; cut: one for all, or float64 [flows]
        x: float32 [flows, features], the transformed features of the same flows
    """
    rows = np.flatnonzero(score > cut)
    chosen = flows.take(rows)
    reasons = profile.reasons(x[rows])
    for sentence, unseen in counts.unseen(chosen).items():
        for i in np.flatnonzero(unseen):
            reasons[i].append(sentence)
    for listed in reasons:
        if not listed:
            listed.append("no single feature stands out; the combination does")
    table = chosen.table
    columns = {
        **{
            name: table[name]
            for name in ("flow_id", "start", "end", "src_port", "dst_port", "protocol")
        },
        **{name: table[name].cast(pa.string()) for name in ("src_ip", "dst_ip")},
        "score": pa.array(score[rows]),
        "cut": pa.array(np.broadcast_to(cut, score.shape)[rows].astype(np.float64)),
        "reasons": pa.array(reasons, pa.list_(pa.string())),
        "bundle": pa.array([bundle] * len(rows), pa.string()),
    }
    return AlertTable(pa.table([columns[name] for name in ALERTS.names], schema=ALERTS))
