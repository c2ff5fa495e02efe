from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, HDBSCAN

from netvigil.errors import ContractError
from netvigil.protocols import Clustering
from netvigil_scorers.pyod_adapter import DETECTORS, scorer_of

BY_NAME = {detector.name: detector for detector in DETECTORS}
# Five flows in a row, one apart; three far away in one spot; one alone.
LINE = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [100, 0], [100, 0], [100, 0], [50, 0]])


def make(name: str, **given: Any) -> Any:
    return scorer_of(BY_NAME[name])(BY_NAME[name], BY_NAME[name].config(**given))


def blobs(rows: int, *, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    habit = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    return (rng.normal(size=(rows, 4)) + 12.0 * habit[:, None]).astype(np.float32)


def at(flows: Any, *places: float) -> Any:
    return flows([[place, 0.0] for place in places])


def test_dbscan_scores_the_distance_to_the_nearest_core_in_units_of_eps(flows):
    scorer = make("dbscan", eps=2.0, min_samples=3).fit(flows(LINE), seed=0)
    # Cores: all of the row (three within 2 of each) and the spot; not the lone flow at 50.
    found = scorer.score(at(flows, 2.0, 6.0, 7.0, 50.0, 98.0)).score
    assert found.tolist() == [0.0, 1.0, 1.5, 23.0, 1.0]
    assert scorer.clusters(at(flows, 2.0, 6.0, 7.0, 50.0, 98.0)).tolist() == [0, 0, -1, -1, 1]


def test_the_share_of_a_small_cluster_is_anomalous_and_noise_more_so(flows):
    scorer = make("dbscan", eps=2.0, min_samples=3, by="cluster-share").fit(flows(LINE), seed=0)
    found = scorer.score(at(flows, 2.0, 100.0, 8.0)).score
    assert found == pytest.approx([np.log(9 / 5), np.log(9 / 3), np.log(9) + np.log(4 / 2)])


@pytest.mark.parametrize("eps", [1.0, 2.0, 4.0])
def test_dbscan_finds_scikit_learns_clusters_also_among_repeated_flows(eps, flows):
    train = blobs(700)[np.random.default_rng(1).integers(700, size=900)]
    theirs = DBSCAN(eps=eps, min_samples=5).fit(train.astype(np.float64))
    scorer = make("dbscan", eps=eps).fit(flows(train), seed=0)
    mine = scorer.clusters(flows(train))
    cores = theirs.core_sample_indices_
    assert np.array_equal(mine[cores], theirs.labels_[cores])
    # Border flows may go to another cluster, but what is noise is noise for both.
    assert np.array_equal(mine < 0, theirs.labels_ < 0)
    assert np.array_equal(scorer.score(flows(train)).score > 1, theirs.labels_ < 0)


def test_an_automatic_radius_makes_95_percent_of_the_flows_cores(flows):
    train = blobs(1_000)
    scorer = make("dbscan").fit(flows(train), seed=0)
    eps = scorer.get_state().arrays["edge"][0]
    cores = DBSCAN(eps=eps, min_samples=5).fit(train.astype(np.float64)).core_sample_indices_
    assert len(cores) == 950


def test_an_automatic_radius_counts_repeated_flows_as_often_as_they_occur(flows):
    # Each place has four flows and its neighbour one apart: five lie within 1 of every flow.
    train = np.repeat(np.arange(20.0), 4)[:, None] * [1.0, 0.0]
    scorer = make("dbscan").fit(flows(train), seed=0)
    assert scorer.get_state().arrays["edge"].tolist() == [1.0]
    assert len(scorer.get_state().arrays["kept"]) == 20


@pytest.mark.parametrize("name", ["dbscan", "hdbscan"])
@pytest.mark.parametrize("by", ["distance", "cluster-share"])
def test_flows_that_all_repeat_each_other_have_a_scale_all_the_same(name, by, flows):
    scorer = make(name, by=by).fit(flows(np.ones((50, 2))), seed=0)
    same, off = scorer.score(flows([[1.0, 1.0], [3.0, 1.0]])).score
    assert same < off < np.inf


def test_dbscan_without_a_core_says_what_to_change(flows):
    with pytest.raises(ContractError, match=r"within eps 0\.001") as caught:
        make("dbscan", eps=0.001).fit(flows(blobs(50)), seed=0)
    assert "larger eps" in caught.value.do


def test_hdbscan_keeps_scikit_learns_clusters_and_their_members_lie_inside(flows):
    strays = np.random.default_rng(5).uniform(-30, 60, size=(40, 4))
    train = np.vstack([blobs(400), strays]).astype(np.float32)
    theirs = HDBSCAN(copy=True).fit(train.astype(np.float64)).labels_
    scorer = make("hdbscan").fit(flows(train), seed=0)
    mine = scorer.clusters(flows(train))
    members = theirs >= 0
    assert 0 < members.sum() < len(train)
    assert np.array_equal(mine[members], theirs[members])
    assert scorer.score(flows(train)).score[members].max() == 1.0
    state = scorer.get_state()
    assert state.arrays["size"].tolist() == np.bincount(theirs[members]).tolist()


def test_hdbscan_by_hand(flows):
    # Two rows of five flows, one apart and an eighth apart, far from each other.
    train = [[float(x), 0.0] for x in range(5)] + [[100 + x / 8, 0.0] for x in range(5)]
    scorer = make("hdbscan", min_cluster_size=4, min_samples=2).fit(flows(train), seed=0)
    assert scorer.get_state().arrays["edge"].tolist() == [1.0, 0.125]
    # Each flow joins the next one. 6 lies 2 from the sparse row, 100.75 lies 2 / 8 from the dense
    # one: equally far beyond their edges.
    assert scorer.score(at(flows, 2.0, 6.0, 100.75)).score.tolist() == [1.0, 2.0, 2.0]


def test_hdbscan_joins_flows_at_their_mutual_reachability(flows):
    train = blobs(60)
    scorer = make("hdbscan", min_cluster_size=60, min_samples=4).fit(flows(train), seed=0)
    apart = np.linalg.norm(train[:, None].astype(float) - train[None], axis=2)
    core = np.sort(apart, axis=1)[:, 3]  # itself among them
    mutual = np.maximum(apart, np.maximum(core[:, None], core[None]))
    np.fill_diagonal(mutual, np.inf)
    state = scorer.get_state().arrays
    assert np.allclose(state["reach"], mutual.min(axis=1))
    assert np.allclose(state["edge"], mutual.min(axis=1).max())


def test_where_hdbscan_finds_no_cluster_all_flows_are_one(flows):
    train = np.arange(6.0)[:, None] * [1.0, 0.0]
    scorer = make("hdbscan", min_cluster_size=6).fit(flows(train), seed=0)
    assert scorer.get_state().arrays["size"].tolist() == [6.0]
    assert (scorer.clusters(flows(train)) == 0).all()


def test_a_detector_without_clusters_has_none(flows):
    assert isinstance(make("dbscan"), Clustering)
    assert not isinstance(make("knn"), Clustering)
