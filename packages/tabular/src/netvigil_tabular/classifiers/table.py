"""The classifiers of this package: one table, one adapter.

To add one, write its config and one line of `CLASSIFIERS`. Importing this loads no scikit-learn and
no torch; models are imported when they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netvigil.config import part_config
from netvigil.errors import ConfigError, nearest
from netvigil.parts import Overlay
from netvigil_tabular.classifiers import configs
from netvigil_tabular.classifiers.configs import ClassifierConfig, VotingConfig
from netvigil_tabular.classifiers.models import Estimator, Model, Neighbours
from netvigil_tabular.classifiers.taught import Taught
from netvigil_tabular.classifiers.voting import Voting

TREE = "sklearn.tree._tree.Tree"
BOOSTED = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


@dataclass(frozen=True)
class Kind:
    """One line of the table: what a classifier is called, set by, and made with.

    `trusted_types` is what skops may find in its estimator beyond plain ones. One that draws no
    random numbers is not `seeded`: every seed gives it the same sample and the same model. One that
    is `trained` reports its epochs.
    """

    name: str
    config: type[ClassifierConfig]
    model: Callable[[Any], Model]
    trusted_types: tuple[str, ...] = ()
    seeded: bool = True
    trained: bool = False
    presets: Mapping[str, Overlay] = field(default_factory=dict)


def _sklearn(source: str, *, alone: bool = False) -> Callable[[Any], Model]:
    return lambda config: Estimator(source, config.settings(), alone=alone)


def _mlp(config: Any) -> Model:
    from netvigil_tabular.classifiers.mlp import Mlp

    return Mlp(config)


def _voting(config: VotingConfig) -> Model:
    if config.weights is not None and len(config.weights) != len(config.members):
        msg = f"{len(config.members)} voters need as many weights, not {len(config.weights)}."
        raise ConfigError(msg, where="[classifier] voting", do="Give one each, or none.")
    return Voting(lambda: [voter(m.name, m.options) for m in config.members], config.weights)


def voter(name: str, options: Mapping[str, Any]) -> Taught:
    """Make one member of a vote.

    Raises:
        ConfigError: No such classifier here, a vote within a vote, or a wrong setting.
    """
    names = [kind.name for kind in CLASSIFIERS if kind.name != "voting"]
    if name not in names:
        msg = f"No classifier of this package that can vote is named '{name}'."
        do = f"{nearest(name, names)} Voters: {', '.join(names)}."
        raise ConfigError(msg, where="[classifier] voting, members", do=do.strip())
    from pathlib import Path

    kind = next(kind for kind in CLASSIFIERS if kind.name == name)
    where = f"[classifier] voting, member '{name}'"
    config = part_config(kind.config, options, where=where, base=Path())
    return Taught(name, config, lambda: kind.model(config))


# The notebook trains its second network, on the autoencoder's code, with batches of 2048.
_NOTEBOOK: Mapping[str, Overlay] = {
    name: {
        "classifier": {
            "hidden": (50, 25),
            "norm": "batch",
            "activation": "relu",
            "epochs": 100,
            "batch": batch,
            "learning_rate": 1e-3,
        }
    }
    for name, batch in (("notebook", 1024), ("notebook-code", 2048))
}

CLASSIFIERS = (
    Kind(
        "random-forest",
        configs.RandomForestConfig,
        _sklearn("sklearn.ensemble:RandomForestClassifier", alone=True),
        (TREE,),
    ),
    Kind(
        "extra-trees",
        configs.ExtraTreesConfig,
        _sklearn("sklearn.ensemble:ExtraTreesClassifier", alone=True),
        (TREE,),
    ),
    Kind(
        "hist-gradient-boosting",
        configs.BoostingConfig,
        _sklearn("sklearn.ensemble:HistGradientBoostingClassifier", alone=True),
        (BOOSTED,),
    ),
    Kind(
        "logistic-regression",
        configs.LogisticConfig,
        _sklearn("sklearn.linear_model:LogisticRegression"),
        seeded=False,
    ),
    Kind(
        "k-nearest-neighbours",
        configs.NeighboursConfig,
        lambda config: Neighbours(config.settings()),
        seeded=False,
    ),
    Kind(
        "naive-bayes",
        configs.NaiveBayesConfig,
        _sklearn("sklearn.naive_bayes:GaussianNB"),
        seeded=False,
    ),
    Kind(
        "decision-tree",
        configs.DecisionTreeConfig,
        _sklearn("sklearn.tree:DecisionTreeClassifier", alone=True),
        (TREE,),
    ),
    Kind("voting", VotingConfig, _voting, (TREE, BOOSTED)),
    Kind("mlp", configs.NetworkConfig, _mlp, trained=True, presets=_NOTEBOOK),
)
