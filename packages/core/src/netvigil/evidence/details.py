"""The highest alerts, and beside each unusual value of theirs what is usual.

What is usual for a pair of hosts is the mean over its train flows; for a pair without any, over all
train flows. Error terms are held against their mean over the calibration part. No label is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.baselines import pair_keys
from netvigil.contracts import FlowTable, WindowGraphs
from netvigil.evidence.tables import table
from netvigil.features import FeatureContract, extract
from netvigil.pipeline import Pipeline, encode_checked

ALERTS = 500  # listed in a report, the highest first
FEATURES = 4  # compared per alert
STANDS_OUT = 1.0  # train deviations below which a feature is not worth comparing

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Encoded:
    """What the encoder says about some flows.

    Shapes:
        terms: name -> float32 [rows]; embedding: float32 [rows, dim], or None
        means: name -> mean over all flows that were encoded
    """

    terms: Mapping[str, NDArray[np.float32]]
    embedding: NDArray[np.float32] | None
    means: Mapping[str, float]


def encode(pipeline: Pipeline, windows: Iterable[WindowGraphs], rows: NDArray[np.int64]) -> Encoded:
    """Encode windows and keep what is said about the flows at some rows, int64 [rows], rising."""
    terms: dict[str, list[NDArray[np.float32]]] = {}
    sums: dict[str, float] = {}
    embeddings = []
    first = 0
    for batch in windows:
        encoded = encode_checked(pipeline.encoder, pipeline.assembly.encoder.name, batch)
        low, high = np.searchsorted(rows, [first, first + len(encoded)])
        here = encoded.take(rows[low:high] - first)
        for name, term in encoded.terms.items():
            sums[name] = sums.get(name, 0.0) + float(term.sum(dtype=np.float64))
            terms.setdefault(name, []).append(here.terms[name])
        if (embedding := here.per_flow()) is not None:
            embeddings.append(embedding)
        first += len(encoded)
    return Encoded(
        {name: np.concatenate(pieces) for name, pieces in terms.items()},
        np.concatenate(embeddings) if embeddings else None,
        {name: total / max(first, 1) for name, total in sums.items()},
    )


@dataclass(frozen=True)
class Usual:
    """Means of raw features over train flows: of each alert's own pair of hosts, and of all.

    Shapes:
        flows: int64 [alerts], train flows of the pair; of_pair: float64 [alerts, features]; of_all:
            float64 [features]; a mean of nothing is NaN
    """

    flows: NDArray[np.int64]
    of_pair: Values
    of_all: Values


def usual(
    train: Iterable[FlowTable], contract: FeatureContract, pairs: NDArray[np.uint64]
) -> Usual:
    """Walk through the train flows once; `pairs` are the alerts' keys, uint64 [alerts]."""
    distinct, place = np.unique(pairs, return_inverse=True)
    width = len(contract.numeric)
    total = np.zeros((len(distinct), width))
    known = np.zeros((len(distinct), width), np.int64)
    flows_of = np.zeros(len(distinct), np.int64)
    all_total, all_known = np.zeros(width), np.zeros(width, np.int64)
    for flows in train:
        x = extract(flows, contract).x.astype(np.float64)
        there = ~np.isnan(x)
        values = np.where(there, x, 0.0)
        all_total += values.sum(axis=0)
        all_known += there.sum(axis=0)
        keys = pair_keys(flows)
        row = np.minimum(np.searchsorted(distinct, keys), max(len(distinct) - 1, 0))
        met = np.flatnonzero(distinct[row] == keys) if len(distinct) else np.empty(0, np.int64)
        np.add.at(total, row[met], values[met])
        np.add.at(known, row[met], there[met])
        flows_of += np.bincount(row[met], minlength=len(distinct))
    with np.errstate(invalid="ignore", divide="ignore"):
        of_pair, of_all = total / known, all_total / all_known
    return Usual(flows_of[place], of_pair[place], of_all)


def compared(
    pipeline: Pipeline,
    flows: FlowTable,
    x: NDArray[np.float32],
    usual: Usual,
    terms: Mapping[str, NDArray[np.float32]],
    means: Mapping[str, float],
) -> pa.Table:
    """Return each alert's terms and most unusual features beside what is usual.

    Shapes:
        flows, x: the alerts' flows and their transformed features, float32 [alerts, features]
        terms: name -> float32 [alerts]
    """
    raw = extract(flows, pipeline.contract)
    ids = flows.flow_id
    alert, column, value, mean, of_pair = _features(pipeline, x, raw.x, usual)
    term_names = list(terms)
    count = len(ids)
    return table(
        "details",
        flow_id=np.concatenate([np.tile(ids, len(term_names)), ids[alert]]),
        kind=pa.array(["term"] * (count * len(term_names)) + ["feature"] * len(alert), pa.string()),
        name=pa.array(
            [name for name in term_names for _ in range(count)]
            + [raw.names[k] for k in column.tolist()],
            pa.string(),
        ),
        value=np.concatenate([*(terms[n].astype(np.float64) for n in term_names), value]),
        usual=np.concatenate([np.repeat([means[n] for n in term_names], count), mean]),
        usual_of=pa.array(
            ["calibration flows"] * (count * len(term_names))
            + ["this pair" if own else "all train flows" for own in of_pair.tolist()],
            pa.string(),
        ),
    )


def _features(
    pipeline: Pipeline, x: NDArray[np.float32], raw: NDArray[np.float32], usual: Usual
) -> tuple[NDArray[np.int64], NDArray[np.int64], Values, Values, NDArray[np.bool_]]:
    """Choose the features that stand out; returns alert, raw column, value, mean, whose mean."""
    profile, names = pipeline.profile, pipeline.contract.numeric
    shared = [(k, names.index(name)) for k, name in enumerate(profile.names) if name in names]
    if not shared or not len(x):
        none = np.empty(0, np.int64)
        return none, none, np.empty(0), np.empty(0), np.empty(0, np.bool_)
    transformed, column = np.array(shared).T
    spread = np.where(profile.deviation > 0, profile.deviation, 1.0)[transformed]
    z = np.abs(x[:, transformed] - profile.mean[transformed]) / spread
    top = np.argsort(-z, axis=1, kind="stable")[:, :FEATURES]
    alert = np.repeat(np.arange(len(x)), top.shape[1])
    chosen = top.ravel()
    keep = (z[alert, chosen] >= STANDS_OUT) & ~np.isnan(raw[alert, column[chosen]])
    alert, chosen = alert[keep], column[chosen[keep]]
    own = ~np.isnan(usual.of_pair[alert, chosen])
    mean = np.where(own, usual.of_pair[alert, chosen], usual.of_all[chosen])
    there = ~np.isnan(mean)
    alert, chosen, mean, own = alert[there], chosen[there], mean[there], own[there]
    return alert, chosen, raw[alert, chosen].astype(np.float64), mean, own
