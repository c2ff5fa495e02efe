"""Evaluation, endpoint baselines and audit, beside scikit-learn and pandas doing the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from netvigil.audit import audit
from netvigil.baselines import TrainCounts, pair_keys
from netvigil.contracts import FlowInfo, FlowTable, LabelTable
from netvigil.contracts.flows import CANONICAL, TEXT, TIMESTAMP
from netvigil.evaluation import (
    FPR_LIMITS,
    MethodScores,
    Ranking,
    Resampler,
    auprc,
    auroc,
    evaluate,
    tpr_at_fpr,
    within_pair,
)
from netvigil.evidence.curves import TestTruth, curves, histogram
from netvigil.truth import ATTACK, BENIGN

SIZES = [1_000, 10_000, 100_000]
MILLION = 1_000_000
BATCH = 131_072


def scores(flows: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    truth = rng.random(flows) < 0.04  # the attack share of UNSW-NB15 as NetFlow version 2
    return rng.normal(size=flows) + 1.5 * truth, truth


def flow_table(flows: int) -> tuple[FlowTable, Any]:
    """Flows between 5,000 hosts whose popularity falls like 1 / rank, with 20 features."""
    rng = np.random.default_rng(0)
    hosts = pa.array([f"10.0.{k >> 8}.{k & 255}" for k in range(5000)])

    def end() -> pa.Array:
        picks = np.minimum(rng.zipf(1.3, flows) - 1, 4999).astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(picks), hosts).cast(TEXT)

    start = pa.array(np.arange(flows) * 1000 + 1_772_000_000_000_000).cast(TIMESTAMP)
    columns = {name: pa.nulls(flows, kind) for name, kind in CANONICAL.items()}
    columns |= {"flow_id": pa.array(np.arange(flows)), "start": start, "end": start}
    columns |= {"src_ip": end(), "dst_ip": end()}
    columns["dst_port"] = pa.array(rng.integers(0, 1024, flows), pa.uint16())
    columns["protocol"] = pa.array(rng.choice([6, 17], flows), pa.uint8())
    columns["fwd_bytes"] = pa.array(rng.integers(0, 10**6, flows), pa.uint64())
    for number in range(20):
        columns[f"x_{number}"] = pa.array(rng.normal(size=flows).astype(np.float32))
    return FlowTable(pa.table(columns), FlowInfo("bench")), rng.random(flows) < 0.04


def batches(flows: FlowTable) -> list[FlowTable]:
    return [flows.slice(first, BATCH) for first in range(0, len(flows), BATCH)]


@pytest.mark.parametrize("flows", [*SIZES, MILLION])
def bench_ranking_metrics(paired: Callable[..., Any], flows: int) -> None:
    score, truth = scores(flows)

    def ours() -> int:
        ranking = Ranking.of(score, truth)
        auroc(ranking), auprc(ranking)
        for limit in FPR_LIMITS:
            tpr_at_fpr(ranking, limit)
        return flows

    def sklearn() -> int:
        roc_auc_score(truth, score), average_precision_score(truth, score)
        fpr, tpr, _ = roc_curve(truth, score)
        for limit in FPR_LIMITS:
            tpr[np.searchsorted(fpr, limit, side="right") - 1]
        return flows

    # One sort instead of three; at 1,000 flows both are overhead of calls.
    paired(ours, sklearn, name=f"metrics vs scikit-learn, {flows:,}", floor=3)


@pytest.mark.parametrize("flows", SIZES)
def bench_bootstrap(paired: Callable[..., Any], flows: int) -> None:
    score, truth = scores(flows)
    few = 3  # of scikit-learn's resamples; rates count

    def ours() -> int:
        Resampler(flows, resamples=200).figures(Ranking.of(score, truth), truth)
        return 200 * flows

    def sklearn() -> int:
        rng = np.random.default_rng(0)
        for _ in range(few):
            rows = rng.integers(0, flows, flows)
            roc_auc_score(truth[rows], score[rows])
            average_precision_score(truth[rows], score[rows])
            roc_curve(truth[rows], score[rows])
        return few * flows

    name = f"bootstrap vs scikit-learn, {flows:,}"
    paired(ours, sklearn, name=name, floor=5, unit="flows x resamples/s")


def bench_bootstrap_of_a_million(alone: Callable[..., Any]) -> None:
    score, truth = scores(MILLION)
    ranking = Ranking.of(score, truth)

    def ours() -> int:
        Resampler(MILLION, resamples=200).figures(ranking, truth)
        return 200 * MILLION

    alone(ours, name="bootstrap, 200 of 1 M", rounds=1, unit="flows x resamples/s")


def bootstrapped(flows: int, resamples: int) -> int:
    """Rank and resample; module-level, so that a fresh interpreter can run it."""
    score, truth = scores(flows)
    Resampler(flows, resamples=resamples).figures(Ranking.of(score, truth), truth)
    return flows * resamples


def drawn(flows: int) -> int:
    """Make curves and histograms; module-level, so that a fresh interpreter can run it."""
    score, truth = scores(flows)
    known = TestTruth(
        np.where(truth, ATTACK, BENIGN).astype(np.int8),
        np.where(truth, 0, -1).astype(np.int32),
        ("x",),
    )
    curves([("m", 0, score)], known), histogram(score, known)
    return flows


@pytest.mark.parametrize(("what", "args"), [(bootstrapped, (200,)), (drawn, ())])
def bench_ten_million(
    what: Callable[..., int], args: tuple[int, ...], fresh: Any, benchmark: Any
) -> None:
    """Ten million scores are judged, and drawn, within a laptop's memory."""
    found = benchmark.pedantic(lambda: fresh(what, 10 * MILLION, *args), rounds=1)
    benchmark.extra_info.update(flows_per_s=found.flows / found.seconds, peak_mb=found.peak_mb)
    assert found.peak_mb < 2_000, found


def bench_within_pair(alone: Callable[..., Any]) -> None:
    flows, truth = flow_table(MILLION)
    pair = pair_keys(flows)
    ranking = Ranking.of(np.random.default_rng(1).normal(size=MILLION), truth)

    def ours() -> int:
        within_pair(ranking, is_attack=truth, pair=pair)
        return MILLION

    alone(ours, name="within-pair AUROC, 1 M")


def bench_evaluate_is_linear(linear: Callable[..., float]) -> None:
    def make(flows: int) -> Callable[[], int]:
        score, truth = scores(flows)
        labels = LabelTable.of(np.arange(flows), truth, pa.array(["x"] * flows))
        pair = np.random.default_rng(0).integers(0, 1000, flows).astype(np.uint64)

        def run() -> int:
            runs = [MethodScores(method="m", score=score, cut=2.0, seed=0)]
            evaluate(flow_id=np.arange(flows), labels=labels, runs=runs, pair=pair, resamples=20)
            return flows

        return run

    linear(make, [50_000, 100_000, 200_000, 400_000])


def bench_endpoint_baselines(paired: Callable[..., Any]) -> None:
    flows, _ = flow_table(400_000)
    train, test = batches(flows.slice(0, 200_000)), batches(flows.slice(200_000))

    def ours() -> int:
        counts = TrainCounts()
        for batch in train:
            counts.update(batch)
        for batch in test:
            counts.scores(batch)
        return len(flows)

    def grouped() -> int:
        columns = ["src_ip", "dst_ip", "dst_port", "protocol"]
        frames = [t.table.select(columns).to_pandas().astype(str) for t in (*train, *test)]
        frame = pd.concat(frames, ignore_index=True)
        known, new = frame[:200_000], frame[200_000:]
        for keys in (["src_ip"], ["src_ip", "dst_ip"], columns):
            count = known.groupby(keys).size().rename("n").reset_index()
            found = new.merge(count, on=keys, how="left")["n"].fillna(0)
            (found == 0).astype(float), -np.log1p(found)
        return len(flows)

    paired(ours, grouped, name="novelty and rarity vs pandas", floor=2, rounds=2)


def bench_audit(alone: Callable[..., Any]) -> None:
    flows, truth = flow_table(400_000)
    labels = LabelTable.of(flows.flow_id, truth, pa.array(["x"] * len(flows)))

    def ours() -> int:
        return audit(batches(flows), labels).flows

    alone(ours, name="audit, 400 k, 20 features", rounds=2)
