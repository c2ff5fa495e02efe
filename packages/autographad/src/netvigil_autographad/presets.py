"""Published settings and grids, written like an experiment file: section -> key -> value.

From the README of the authors' repository: the best settings for each share of attacks in the train
range, and the grid they were found in. What is published there about flows, splits and windows
belongs to an experiment file.
"""

from __future__ import annotations

from typing import Any

from netvigil.parts import Overlay

_TRAINING: dict[str, Any] = {
    "batch_windows": 1,
    "epochs": 100,
    "patience": 20,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 1e-5,
    "hidden": 32,
    "anneal_epochs": 10,
    "kl_min": 0.0,
    "static": True,
}


def _published(
    encoder: dict[str, Any], feature: float, structure: float, kl: float, keep: float
) -> Overlay:
    weights = {"feature": feature, "structure": structure, "kl": kl}
    return {
        "encoder": {**_TRAINING, **encoder},
        "scorer": {"name": "weighted-terms", "weights": weights},
        "threshold": {"name": "quantile", "keep": keep},
    }


PRESETS: dict[str, Overlay] = {
    "published-0": _published(
        {"regulariser": True, "augment": 0.2, "layers": 1, "feature_loss": "mse"},
        0.1,
        0.5,
        0.1,
        0.05,
    ),
    "published-3.4": _published(
        {"regulariser": True, "augment": 0.4, "layers": 2, "feature_loss": "cosine"},
        1.0,
        0.1,
        1.0,
        0.05,
    ),
    "published-5.8": _published(
        {"draws": 10, "augment": 0.2, "layers": 1, "feature_loss": "mse"}, 0.5, 0.1, 0.5, 0.05
    ),
}
"""Named by the share of attacks in the train range, in percent."""

_WEIGHTS = [0.1, 0.5, 1.0]

SPACES: dict[str, dict[str, Any]] = {
    "published": {
        "encoder.regulariser": [True, False],
        "encoder.draws": [1, 10],
        "encoder.augment": [0.2, 0.4],
        "encoder.layers": [1, 2],
        "encoder.feature_loss": ["mse", "cosine"],
        "scorer.weights.feature": _WEIGHTS,
        "scorer.weights.structure": _WEIGHTS,
        "scorer.weights.kl": _WEIGHTS,
        "threshold.keep": [0.05, 0.03, 0.02, 0.01],
    }
}
