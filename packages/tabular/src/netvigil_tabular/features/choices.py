"""How features are chosen: by a forest, by elimination, by mutual information, by correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError
from netvigil_tabular.classifiers.models import few_threads, told_to_the_log
from netvigil_tabular.features.configs import (
    CorrelationFilterConfig,
    EliminationConfig,
    ForestImportanceConfig,
    MutualInformationConfig,
)
from netvigil_tabular.features.selection import Choice, Material, top


def by_forest(config: ForestImportanceConfig, material: Material, seed: int) -> Choice:
    """Keep the features whose splits lower the impurity of a random forest most (Breiman 2001).

    Impurity favours features of many values; `mutual-information` does not.
    """
    worth = _forest(config.n_estimators, config.max_depth, seed).fit(
        material.x.astype(np.float32), _labels(material)
    )
    importance = np.asarray(worth.feature_importances_, np.float64)
    return Choice(top(importance, config.keep), importance)


def by_elimination(config: EliminationConfig, material: Material, seed: int) -> Choice:
    """Fit, drop the least used feature, and fit again, until `keep` are left (Guyon et al. 2002).

    What a feature is worth is the place at which it was dropped: 1 for those kept, 1/2 for the last
    dropped, and so on. For linear models features are scaled to unit variance first.
    """
    from sklearn.feature_selection import RFE

    x, keep = material.x, min(config.keep, len(material.names))
    if config.model == "logistic-regression":
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    step = config.step if config.step < 1 else int(config.step)
    with told_to_the_log("RFE"), few_threads():
        found = RFE(_model(config, seed), n_features_to_select=keep, step=step)
        found.fit(x, _labels(material))
    kept = np.flatnonzero(found.support_).astype(np.int64)
    return Choice(kept, 1 / found.ranking_.astype(np.float64))


def by_information(config: MutualInformationConfig, material: Material, seed: int) -> Choice:
    """Keep the features of most mutual information with the label, in nats (Ross 2014).

    A column of two values, such as a one-hot one, is counted exactly; of others neighbours decide.

    Raises:
        ContractError: Fewer flows of a class than neighbours.
    """
    from sklearn.feature_selection import mutual_info_classif

    y = _labels(material)
    fewest = int(min(y.sum(), len(y) - y.sum()))
    if fewest <= config.n_neighbors:
        msg = f"{config.n_neighbors} neighbours need more than {fewest} flows of each class."
        raise ContractError(msg, do="Lower n_neighbors, or give training a larger part.")
    two = np.array([len(np.unique(column)) <= 2 for column in material.x.T])
    with few_threads():
        worth = mutual_info_classif(
            material.x,
            y,
            discrete_features=two,
            n_neighbors=config.n_neighbors,
            random_state=seed % 2**32,
        )
    worth = np.asarray(worth, np.float64)
    return Choice(top(worth, config.keep), worth)


def by_correlation(config: CorrelationFilterConfig, material: Material, seed: int) -> Choice:
    """Walk through the features in order and drop each that a kept one is correlated with.

    A feature that never varies has no correlation and stays; `clean` can drop it. What a feature is
    worth is 1 less its largest absolute correlation with the kept features before it.
    """
    del seed
    r = np.abs(correlations(material.x))
    kept: list[int] = []
    worth = np.ones(len(material.names))
    notes = {}
    for number, name in enumerate(material.names):
        if kept:
            near = kept[int(np.argmax(r[number, kept]))]
            worth[number] = 1 - r[number, near]
            if r[number, near] > config.limit:
                notes[name] = f"|r| = {r[number, near]:.4f} with {material.names[near]}"
                continue
        kept.append(number)
    return Choice(np.array(kept, np.int64), worth, notes)


def correlations(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation of each two columns, [features, features]; 0 with a constant.

    Columns are scaled to their largest value first, so that squares neither overflow nor vanish.
    """
    largest = np.abs(x).max(axis=0, initial=0)
    scaled = x / np.where(largest > 0, largest, 1)
    centred = scaled - scaled.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    # Rounding leaves a constant column about this far from its mean.
    varies = length > 1e-12 * np.sqrt(len(x))
    unit = np.where(varies, centred / np.where(varies, length, 1), 0)
    with few_threads():
        return np.asarray(np.clip(unit.T @ unit, -1, 1))


def _labels(material: Material) -> NDArray[np.int64]:
    assert material.is_attack is not None
    return material.is_attack.astype(np.int64)


def _forest(trees: int, depth: int | None, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, max_depth=depth, random_state=seed % 2**32)


def _model(config: EliminationConfig, seed: int) -> Any:
    if config.model == "random-forest":
        return _forest(config.n_estimators, None, seed)
    if config.model == "decision-tree":
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(random_state=seed % 2**32)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)
