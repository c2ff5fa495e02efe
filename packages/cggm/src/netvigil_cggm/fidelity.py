"""How near synthetic snapshots come to real ones: features, graphs, copies, and telling them apart.

Features are compared over nodes, in the scale of the real ones. MMD is given twice: the published
values exceed 1, which only the sum over several kernels can, and the mean has a range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp, wasserstein_distance

from netvigil.errors import ContractError
from netvigil_cggm.generator import Scale
from netvigil_cggm.snapshots import Snapshots

ROWS = 2_000  # nodes for what costs a distance per pair: 32 MB of distances
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the median distance
Rows = NDArray[np.float64]


class Fidelity(NamedTuple):
    """Distances between real and synthetic snapshots; 0 is best but where it says otherwise.

    wasserstein, ks: over features, the mean of their distances
    mmd_sum, mmd_mean: squared maximum mean discrepancy over five kernels
    correlation: mean absolute difference of the features' correlations
    density, degree, clustering: of graphs; degree in shares of the other nodes
    nearest: median distance of a synthetic node to the nearest real one, over that of real nodes to
        one another; far below 1 means copies
    auc: of a classifier that tells real from synthetic nodes, 0.5 is best
    """

    wasserstein: float
    ks: float
    mmd_sum: float
    mmd_mean: float
    correlation: float
    density: float
    degree: float
    clustering: float
    nearest: float
    auc: float


def fidelity(real: Snapshots, synthetic: Snapshots, *, seed: int = 0) -> Fidelity:
    """Compare synthetic snapshots with real ones, all nodes of both.

    Raises:
        ContractError: Other features, or no snapshots.
    """
    if real.feature_names != synthetic.feature_names:
        msg = "Real and synthetic snapshots have other features."
        raise ContractError(msg)
    if not len(real) or not len(synthetic):
        msg = "There is nothing to compare: one side has no snapshots."
        raise ContractError(msg)
    scale = Scale.of(real.x)
    a, b = (
        ((s.x.reshape(-1, s.x.shape[2]) - scale.low) / scale.span).astype(np.float64)
        for s in (real, synthetic)
    )
    rng = np.random.default_rng(seed)
    few, some = _sample(a, rng), _sample(b, rng)
    mmd = discrepancy(few, some)
    return Fidelity(
        wasserstein=float(np.mean([_apart(*pair) for pair in zip(a.T, b.T, strict=True)])),
        ks=float(np.mean([_ks(*pair) for pair in zip(a.T, b.T, strict=True)])),
        mmd_sum=float(mmd.sum()),
        mmd_mean=float(mmd.mean()),
        correlation=float(np.abs(_correlation(a) - _correlation(b)).mean()),
        density=_apart(real.density(), synthetic.density()),
        degree=_apart(_degrees(real), _degrees(synthetic)),
        clustering=_apart(clustering(real.links), clustering(synthetic.links)),
        nearest=_nearest(few, some),
        auc=_told_apart(few, some, seed),
    )


def discrepancy(a: Rows, b: Rows) -> Rows:
    """Return the squared maximum mean discrepancy for each bandwidth, float64 [bandwidths].

    Shapes:
        a, b: [rows, features]
    """
    own, other, across = cdist(a, a), cdist(b, b), cdist(a, b)
    median = float(np.median(across)) or 1.0
    found = []
    for factor in BANDWIDTHS:
        scale = -0.5 / (factor * median) ** 2
        means = (float(np.exp(scale * d**2).mean()) for d in (own, other, across))
        first, second, both = means
        found.append(max(first + second - 2 * both, 0.0))
    return np.array(found)


def clustering(links: NDArray[np.bool_]) -> Rows:
    """Return the share of a node's pairs of neighbours that are linked, directions left aside.

    Shapes:
        links: bool [snapshots, nodes, nodes]; returns float64 [snapshots * nodes], 0 for fewer than
            two neighbours
    """
    both = (links | links.transpose(0, 2, 1)).astype(np.float32)
    triangles = np.einsum("sij,sji->si", both @ both, both)
    degree = both.sum(2)
    pairs = degree * (degree - 1)
    share = np.divide(triangles, pairs, out=np.zeros_like(pairs), where=pairs > 0)
    return np.asarray(share.ravel(), np.float64)


def _ks(a: Rows, b: Rows) -> float:
    """Return the largest difference of two empirical distribution functions."""
    return float(ks_2samp(a, b, method="asymp").statistic)  # no exact p-value, which nobody reads


def _apart(a: Rows, b: Rows) -> float:
    """Return the area between two empirical distribution functions."""
    return float(wasserstein_distance(a, b))


def _degrees(snapshots: Snapshots) -> Rows:
    both = snapshots.links | snapshots.links.transpose(0, 2, 1)
    return np.asarray(both.sum(2).ravel() / (snapshots.nodes - 1), np.float64)


def _correlation(x: Rows) -> Rows:
    """Return the correlations of features, 0 where one of them is constant."""
    z = x - x.mean(0)
    spread = z.std(0)
    z = np.divide(z, spread, out=np.zeros_like(z), where=spread > 1e-9)
    return np.asarray(z.T @ z / len(z), np.float64)


def _nearest(real: Rows, synthetic: Rows) -> float:
    """Return the ratio of nearest-neighbour distances; distinct rows, since many nodes are idle."""
    real, synthetic = np.unique(real, axis=0), np.unique(synthetic, axis=0)
    if len(real) < 2:
        return float("nan")
    within = cdist(real, real)
    np.fill_diagonal(within, np.inf)
    apart = float(np.median(within.min(1)))
    return float(np.median(cdist(synthetic, real).min(1))) / max(apart, 1e-12)


def _told_apart(real: Rows, synthetic: Rows, seed: int) -> float:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    x = np.concatenate([real, synthetic])
    y = np.repeat([0, 1], [len(real), len(synthetic)])
    if min(len(real), len(synthetic)) < 3:
        return float("nan")
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    forest = RandomForestClassifier(50, min_samples_leaf=3, random_state=seed)
    chance = cross_val_predict(forest, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, chance))


def _sample(x: Rows, rng: np.random.Generator) -> Rows:
    return x if len(x) <= ROWS else x[np.sort(rng.choice(len(x), ROWS, replace=False))]
