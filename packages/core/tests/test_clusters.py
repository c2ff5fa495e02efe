"""The adjusted Rand index by hand and against scikit-learn, and clusters on their way there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from netvigil import hookimpl, parts, runner
from netvigil.contracts import LabelTable
from netvigil.errors import ContractError
from netvigil.evaluation import Confusion, MethodScores, adjusted_rand, evaluate
from netvigil.phases import Phases
from netvigil.seeds import MethodRun, SeedResults

from . import fakes

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

PARTITIONS = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 2)), min_size=2, max_size=60)


def test_by_hand():
    # Cells 2, 1 and 1: one pair together in both; rows 2 and 2, columns 2, 1 and 1; six pairs.
    # (1 - 2 * 1 / 6) / ((2 + 1) / 2 - 2 * 1 / 6) = (2 / 3) / (7 / 6) = 4 / 7.
    index = adjusted_rand(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 2]))
    assert index == pytest.approx(4 / 7)
    # Two clusters that each hold one flow of both classes agree less than chance would.
    assert adjusted_rand(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == pytest.approx(-0.5)


@given(PARTITIONS)
def test_agrees_with_scikit_learn(rows):
    clusters, classes = (np.array(column) for column in zip(*rows, strict=True))
    expected = adjusted_rand_score(classes, clusters)
    assert adjusted_rand(clusters, classes) == pytest.approx(expected, abs=1e-12)


def test_names_do_not_matter_and_counts_of_millions_do_not_overflow():
    classes = np.arange(4_000_000) % 2
    assert adjusted_rand(7 - 3 * classes, classes) == 1.0


def test_partitions_of_other_lengths_are_refused():
    with pytest.raises(ContractError, match="one cluster and one class"):
        adjusted_rand(np.zeros(2), np.zeros(3))


@given(PARTITIONS)
def test_of_a_confusion_it_is_alerts_against_attacks(rows):
    score, truth = (np.array(column) for column in zip(*rows, strict=True))
    found = Confusion.at(score.astype(float), truth > 0, 1.0).ari()
    if len(np.unique(truth > 0)) < 2:
        assert found.value is None
        assert found.reason
    else:
        expected = adjusted_rand_score(truth > 0, score > 1)
        assert found.value == pytest.approx(expected, abs=1e-12)


def test_many_clusters_against_two_classes():
    ids = np.arange(8)
    labels = LabelTable.of(ids[:7], ids[:7] > 3, pa.array([""] * 4 + ["scan"] * 3))
    clusters = np.array([0, 0, 1, 1, 2, 2, -1, 9])  # the last flow has no label
    run = MethodScores(method="dbscan", score=ids.astype(float), cut=5.0, clusters=clusters)
    found = evaluate(flow_id=ids, labels=labels, runs=[run], resamples=1)
    figures = found.headline.methods[0].metrics
    assert figures["clusters"].mean == 3
    assert figures["cluster_ari"].mean == pytest.approx(
        adjusted_rand_score([0, 0, 0, 0, 1, 1, 1], clusters[:7])
    )
    assert figures["ari"].mean == pytest.approx(
        adjusted_rand_score([0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 1])
    )


def test_clusters_of_another_length_are_refused():
    ids = np.arange(3)
    labels = LabelTable.of(ids, ids > 1, pa.array(["", "", "scan"]))
    run = MethodScores(method="dbscan", score=np.zeros(3), clusters=np.zeros(2, np.int64))
    with pytest.raises(ContractError, match="clusters of dbscan"):
        evaluate(flow_id=ids, labels=labels, runs=[run], resamples=1)


def test_clusters_survive_a_seeds_file(tmp_path):
    shared = {"kind": "also", "calibrate": np.zeros(1), "test": np.ones(2), "cut": 0.5}
    shared |= {"provenance": "", "seeded": True, "fit_s": None, "score_s": 0.1}
    runs = (
        MethodRun(method="a", clusters=np.array([-1, 4]), **shared),
        MethodRun(method="b", **shared),
    )
    SeedResults(0, runs).save(tmp_path / "0.npz")
    first, second = SeedResults.load(tmp_path / "0.npz").runs
    assert first.clusters.tolist() == [-1, 4]
    assert second.clusters is None


class Sided(fakes.MedianDistance):
    """Two clusters: flows below and above the train median of the first feature."""

    def clusters(self, encoded):
        return (encoded.embedding[:, 0] > self.median_[0]).astype(np.int64)


class SidedPlugin:
    @hookimpl
    def netvigil_scorers(self):
        yield parts.Scorer(
            name="sided",
            summary="Has two clusters.",
            config=fakes.MedianDistanceConfig,
            make=Sided,
            seeded=False,
        )


def test_a_run_compares_the_clusters_of_scorers_that_have_some(tmp_path):
    source = fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))
    experiment = fakes.experiment(
        source, scorer={"name": "sided"}, evaluate={"also": ["median-distance"], "resamples": 1}
    )
    receipt = runner.run(
        experiment,
        fakes.plugins(SidedPlugin()),
        base=tmp_path,
        out=tmp_path / "run",
        phases=Phases(),
    )
    methods = {method.method: method.metrics for method in receipt.evaluation.headline.methods}
    sided, other = (
        next(metrics for name, metrics in methods.items() if name.endswith(f" + {scorer}"))
        for scorer in ("sided", "median-distance")
    )
    assert sided["clusters"].mean == 2
    assert sided["cluster_ari"].mean is not None
    assert "cluster_ari" not in other
    assert other["ari"].mean is not None
