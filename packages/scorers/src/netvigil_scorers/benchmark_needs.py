"""What scorers and thresholds need at least, for the distance from this machine's limit."""

from __future__ import annotations

from netvigil.bench.limits import Needs
from netvigil.contracts import EncodedFlows
from netvigil.protocols import Calibration, Scorer

# 52 features: what the readers give of a UNSW or Westermo flow after one-hot coding.
DIM = 52


def of_components(scorer: Scorer, flows: EncodedFlows) -> Needs:
    """Count two operations for each number of each principal component kept."""
    components = scorer.get_state().arrays["components"]
    return Needs(operations=2.0 * components.size * len(flows))


def of_features(scorer: Scorer, flows: EncodedFlows) -> Needs:
    """Count the density of each feature, which is looked up by its value, and their sum."""
    del scorer
    return Needs(lookups=DIM * len(flows), operations=DIM * len(flows))


def of_distances(scorer: Scorer, flows: EncodedFlows) -> Needs:
    """Count a product and a sum for each number of half a symmetric matrix."""
    del scorer
    return Needs(operations=float(DIM**2) * len(flows))


def of_mixture(scorer: Scorer, flows: EncodedFlows) -> Needs:
    """Count the same for each component, and its likelihood."""
    components = len(scorer.get_state().arrays["means"])
    each = components * len(flows)
    return Needs(operations=float(DIM**2) * each, logarithms=each)


def of_centres(scorer: Scorer, flows: EncodedFlows) -> Needs:
    """Count two operations for each number of each centre."""
    return Needs(operations=2.0 * scorer.get_state().arrays["centres"].size * len(flows))


def of_kernel(scorer: Scorer, flows: EncodedFlows) -> Needs:
    """Count two operations for each number of each support vector, and its exponential."""
    support = scorer.get_state().arrays["support"]
    return Needs(operations=2.0 * support.size * len(flows), logarithms=len(support) * len(flows))


def of_trees(scorer: Scorer, flows: EncodedFlows) -> Needs:
    """Count two look-ups for each node that a flow passes in each tree: the node and a feature."""
    x, forest = flows.embedding, scorer.get_state().estimators["forest"]
    trees = (estimator.tree_ for estimator in forest.estimators_)
    passed = sum(float((tree.compute_node_depths() - 1)[tree.apply(x)].sum()) for tree in trees)
    return Needs(lookups=2 * passed)


BOUNDED = {
    "pca": of_components,
    "hbos": of_features,
    "mcd": of_distances,
    "elliptic-envelope": of_distances,
    "gmm": of_mixture,
    "cblof": of_centres,
    "ocsvm": of_kernel,
    "nystroem-ocsvm": of_kernel,
    "iforest": of_trees,
}
"""Scorers whose formula says what it costs; the others search or rank, in ways that differ."""


def of_one_pass(scores: Calibration) -> Needs:
    """Count scores once: a quantile is found without putting them in order."""
    return Needs(moved=scores.score.nbytes)


def of_two_passes(scores: Calibration) -> Needs:
    """Count scores twice: how far they lie from their median is known after it."""
    return Needs(moved=2 * scores.score.nbytes)


def of_histogram(scores: Calibration) -> Needs:
    """Count scores once, and each where it lies in a histogram."""
    return Needs(moved=scores.score.nbytes, lookups=len(scores.score))


def of_order(scores: Calibration) -> Needs:
    """Count scores and truth once, and that every score may be the cut: they are put in order."""
    return Needs(moved=scores.score.nbytes + len(scores.score), sorted=len(scores.score))


BOUNDED_CUTS = {
    "quantile": of_one_pass,
    "alerts-per-day": of_one_pass,
    "target-fpr": of_one_pass,
    "mad": of_two_passes,
    "adaptive": of_histogram,
    "best-f1": of_order,
    "best-f-beta": of_order,
}
"""Thresholds whose rule says what it costs; `evt` tries one tail after the other."""
