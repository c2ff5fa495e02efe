"""Alerts with reasons in words: features that stand out, endpoints that were never seen."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.baselines import TrainCounts
from netvigil.classes import Verdicts
from netvigil.contracts import ALERTS, AlertTable, FlowTable
from netvigil.cuts import Cuts
from netvigil.profile import FeatureProfile

TOP = 3  # features named per alert: enough to start looking, few enough to read
UNUSUAL = 3.0  # train standard deviations below which a feature is not worth naming
LARGE = 0.1  # share of a reconstruction error below which a feature is not worth naming


def far_features(profile: FeatureProfile, x: NDArray[np.float32]) -> list[list[str]]:
    """Name the features of each flow that lie furthest from the train mean.

    Shapes:
        x: float32 [alerts, features]; returns [alerts] lists of at most `TOP` sentences
    """
    z = _deviations(profile, x)
    top = np.argsort(-np.abs(z), axis=1, kind="stable")[:, :TOP]
    rows = zip(top.tolist(), np.take_along_axis(z, top, axis=1).tolist(), strict=True)
    return [
        [
            _sentence(profile.names[k], far)
            for k, far in zip(*row, strict=True)
            if abs(far) >= UNUSUAL
        ]
        for row in rows
    ]


def large_errors(
    profile: FeatureProfile, x: NDArray[np.float32], errors: NDArray[np.float32]
) -> list[list[str]]:
    """Name the features that make up most of each flow's reconstruction error.

    Those of one category count as one; it is the value it has that is named.

    Shapes:
        x, errors: float32 [alerts, features]; returns [alerts] lists of at most `TOP` sentences
    """
    z = _deviations(profile, x)
    groups = profile.groups()
    summed = np.stack([errors[:, k].sum(axis=1, dtype=np.float64) for k in groups.values()], axis=1)
    total = summed.sum(axis=1, keepdims=True)
    share = summed / np.where(total > 0, total, 1.0)
    top = np.argsort(-share, axis=1, kind="stable")[:, :TOP]
    columns = [_shown(profile.names, numbers) for numbers in groups.values()]
    said = [
        [
            (share[i, k], columns[k][int(np.argmax(x[i, columns[k]]))])
            for k in row
            if share[i, k] >= LARGE
        ]
        for i, row in enumerate(top.tolist())
    ]
    return [
        [f"{of:.0%} of the error: {_place(profile.names[k], float(z[i, k]))}" for of, k in row]
        for i, row in enumerate(said)
    ]


def _shown(names: tuple[str, ...], numbers: tuple[int, ...]) -> list[int]:
    """Return the columns that name a category's value, or else all."""
    return [k for k in numbers if "=" in names[k]] or list(numbers)


def _place(name: str, z: float) -> str:
    """Say in words where a feature lies, unusual or not."""
    column, equals, value = name.partition("=")
    if equals and value != "rare" and 0 < z < UNUSUAL:
        return f"{column} is {value}"
    if not equals and abs(z) < 0.05:
        return f"{name} is at its train mean"
    return _sentence(name, z)


def _deviations(profile: FeatureProfile, x: NDArray[np.float32]) -> NDArray[np.float64]:
    spread = np.where(profile.deviation > 0, profile.deviation, 1.0)
    return np.asarray((x - profile.mean) / spread)


def _sentence(name: str, z: float) -> str:
    """Say in words where a feature lies; `column=value` is what one-hot columns are called."""
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
    verdict: Verdicts | None = None,
    errors: NDArray[np.float32] | None = None,
) -> AlertTable:
    """Turn the flows above the cut into alerts; `verdict` is what a classifier takes them for.

    Shapes:
        score: float64 [flows]; cut: one for all, or float64 [flows]
        x: float32 [flows, features], the transformed features of the same flows
        errors: float32 [alerts, features], reconstruction errors of those above the cut, or None
            where the encoder tells none
    """
    rows = np.flatnonzero(score > cut)
    chosen = flows.take(rows)
    if errors is None:
        reasons = far_features(profile, x[rows])
    else:
        reasons = large_errors(profile, x[rows], errors)
    for sentence, unseen in counts.unseen(chosen).items():
        for i in np.flatnonzero(unseen):
            reasons[i].append(sentence)
    for listed in reasons:
        if not listed:
            listed.append("no single feature stands out; the combination does")
    if verdict is not None:
        for listed, said in zip(reasons, verdict[rows].words(), strict=True):
            listed.insert(0, said)
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
