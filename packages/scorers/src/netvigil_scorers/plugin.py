"""The door of netvigil-scorers: which parts exist. Importing it loads no PyOD or scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

from netvigil import hookimpl, parts
from netvigil_scorers.benchmark_needs import BOUNDED, BOUNDED_CUTS
from netvigil_scorers.benchmarks import (
    BoundedScoreBenchmark,
    BoundedThresholdBenchmark,
    ScoreBenchmark,
    ThresholdBenchmark,
)
from netvigil_scorers.endpoints.context import Context, ContextConfig
from netvigil_scorers.endpoints.rarity import Rarity, RarityConfig
from netvigil_scorers.fusion.fused import Fused, FusedConfig
from netvigil_scorers.pyod_adapter import DETECTORS, PyodScorer, scorer_of
from netvigil_scorers.thresholds import (
    Ruled,
    adaptive,
    alerts_per_day,
    best_f_beta,
    evt,
    fixed,
    mad,
    quantile,
    target_fpr,
)
from netvigil_scorers.weighted_terms import WeightedTerms, WeightedTermsConfig


@hookimpl
def netvigil_scorers() -> Iterator[parts.Scorer]:
    """Every line of the detector table, and the sum of error terms."""
    for detector in DETECTORS:
        yield parts.Scorer(
            name=detector.name,
            summary=detector.config.summary,
            config=detector.config,
            make=partial(scorer_of(detector), detector),
            trusted_types=detector.trusted_types,
            seeded=detector.seeded,
            transductive=detector.transductive,
        )
    yield parts.Scorer(
        name="fused",
        summary="Terms and detectors combined by their tail probabilities, without labels.",
        config=FusedConfig,
        make=Fused,
        needs="either",
        calibrated=True,
        trusted_types=tuple(dict.fromkeys(t for d in DETECTORS for t in d.trusted_types)),
    )
    yield parts.Scorer(
        name="weighted-terms",
        summary="Weighted sum of robustly scaled error terms.",
        config=WeightedTermsConfig,
        make=WeightedTerms,
        needs="terms",
        seeded=False,
    )


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """What looks flows up by their endpoints."""
    yield parts.Encoder(
        name="rarity",
        summary="How seldom the train range had a flow's source, pair and service.",
        config=RarityConfig,
        make=Rarity,
        emits=frozenset({"terms"}),
        passes="one",
        seeded=False,
    )
    yield parts.Encoder(
        name="context",
        summary="How far a flow is from what its hosts and their service usually exchange.",
        config=ContextConfig,
        make=Context,
        emits=frozenset({"terms"}),
        passes="many",
        seeded=False,
    )


@hookimpl
def netvigil_thresholds() -> Iterator[parts.Threshold]:
    """The rules for a cut; only `best-f1` and `best-f-beta` see labels."""
    yield _threshold(
        "quantile", "Flag a share of the calibration range.", quantile.QuantileConfig, quantile
    )
    yield _threshold(
        "target-fpr",
        "Hold a false positive rate, without labels.",
        target_fpr.TargetFprConfig,
        target_fpr,
    )
    yield _threshold(
        "alerts-per-day",
        "Flag so many flows a day.",
        alerts_per_day.AlertsPerDayConfig,
        alerts_per_day,
    )
    yield _threshold(
        "evt", "Peaks over threshold: a risk by extreme value theory.", evt.EvtConfig, evt
    )
    yield parts.Threshold(
        name="adaptive",
        summary="Flag a share by a cut that moves with earlier windows, without labels.",
        config=adaptive.AdaptiveConfig,
        make=adaptive.Adaptive,
    )
    yield _threshold("mad", "Robust deviations above the median.", mad.MadConfig, mad)
    yield _threshold("fixed", "A cut given by hand.", fixed.FixedConfig, fixed, needs_flows=False)
    yield _threshold(
        "best-f1",
        "Best F1 on labelled calibration flows.",
        best_f_beta.BestF1Config,
        best_f_beta,
        supervised=True,
    )
    yield _threshold(
        "best-f-beta",
        "Best F-beta on labelled calibration flows.",
        best_f_beta.BestFBetaConfig,
        best_f_beta,
        supervised=True,
    )


# Flows -> what scores them, or sets a cut on them, in 20 to 500 ms on one core.
_SIZES = {
    2_000: "lof",
    5_000: "knn ocsvm dbscan ecod copod",
    10_000: "hdbscan",
    20_000: "nystroem-ocsvm",
    30_000: "iforest",
    100_000: "pca hbos cblof mcd gmm elliptic-envelope",
    300_000: "evt",
    500_000: "best-f1 best-f-beta",
    1_000_000: "mad adaptive",
    3_000_000: "quantile target-fpr alerts-per-day",
}
_FLOWS = {name: flows for flows, names in _SIZES.items() for name in names.split()}
_HOT = ("pca", "hbos", "iforest")


@hookimpl
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """One micro-benchmark per detector, on random flows of 52 features, and one per threshold."""
    for detector in DETECTORS:
        yield parts.Benchmark(
            name=f"score-{detector.name}",
            summary=f"Score flows of 52 features with {detector.name}.",
            room="score",
            flows=_FLOWS[detector.name],
            hot=detector.name in _HOT,
            make=partial(_score_benchmark, detector.name),
        )
    for part in netvigil_thresholds():
        if part.needs_scores:
            yield parts.Benchmark(
                name=f"threshold-{part.name}",
                summary=f"Set a cut by {part.name} on random scores.",
                room="threshold",
                flows=_FLOWS[part.name],
                make=partial(_threshold_benchmark, part),
            )


def _score_benchmark(name: str, config: object) -> ScoreBenchmark | BoundedScoreBenchmark:
    del config
    detector = next(detector for detector in DETECTORS if detector.name == name)
    made = ScoreBenchmark(lambda: PyodScorer(detector, detector.config()))
    return BoundedScoreBenchmark(made, BOUNDED[name]) if name in BOUNDED else made


def _threshold_benchmark(
    part: parts.Threshold, config: object
) -> ThresholdBenchmark | BoundedThresholdBenchmark:
    del config
    made = ThresholdBenchmark(lambda: part.make(part.config()))
    work = BOUNDED_CUTS.get(part.name)
    return BoundedThresholdBenchmark(made, work) if work else made


def _threshold(
    name: str,
    summary: str,
    config: type[parts.PartConfig],
    rule: ModuleType,
    *,
    supervised: bool = False,
    needs_flows: bool = True,
) -> parts.Threshold:
    def make(settings: Any) -> Ruled:
        promise = getattr(rule, "promise", None)
        return Ruled(name, settings, rule.choose, promise=promise, needs_flows=needs_flows)

    return parts.Threshold(
        name=name,
        summary=summary,
        config=config,
        make=make,
        supervised=supervised,
        needs_scores=needs_flows,
    )
