"""Published settings, written like an experiment file: section -> key -> value.

Sources: the report of the autoencoder project on UNSW-NB15 ("published", "published-vae",
"beta-vae"), and the notebook on the data set derived from NSL-KDD ("notebook").

The learning rate of the project is that of its library, 0.001, and so is the decay of its AdamW,
0.004. What it scales by belongs to `[features]`: both scale to 0 to 1 (`min-max`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netvigil.parts import Overlay

_PROJECT: dict[str, Any] = {
    "hidden": [64, 32],
    "bottleneck": 16,
    "batch": 64,
    "epochs": 100,
    "patience": 5,
    "learning_rate": 1e-3,
    "validation": 0.2,
    "schedule": "plateau",
    "schedule_patience": 3,
    "lowest_rate": 1e-6,
}

_VAE = {**_PROJECT, "optimizer": "adam", "weight_decay": 0.0, "draws": 1, "terms": ["error"]}

PRESETS: Mapping[str, Overlay] = {
    "published": {
        "encoder": {
            **_PROJECT,
            "activation": "tanh",
            "norm": "batch",
            "dropout": 0.2,
            "code": "block",
            "optimizer": "adamw",
            "weight_decay": 0.004,
            "terms": ["error"],
        },
    },
    "notebook": {
        "encoder": {
            "hidden": [115, 100, 50],
            "bottleneck": 25,
            "activation": "relu",
            "norm": "batch",
            "code": "block",
            "output": "sigmoid",
            "batch": 1024,
            "epochs": 100,
            "patience": 100,
            "optimizer": "adam",
            "weight_decay": 0.0,
            "learning_rate": 1e-3,
        },
    },
}
"""Of `autoencoder`."""

VAE_PRESETS: Mapping[str, Overlay] = {
    "published-vae": {"encoder": dict(_VAE)},
    "beta-vae": {"encoder": {**_VAE, "beta": 10.0}},
    "beta-vae-warmup": {"encoder": {**_VAE, "beta": 4.0, "warmup_epochs": 10}},
}
"""Of `vae`; z is sampled once, as published, but by the same noise for every flow."""

_NETWORKS: dict[str, Any] = {
    "encoder.hidden": [[32], [64, 32], [128, 64, 32]],
    "encoder.bottleneck": [4, 8, 16, 32],
    "encoder.activation": ["relu", "leaky-relu", "elu", "selu", "tanh"],
}

SPACES: Mapping[str, Mapping[str, Any]] = {
    "network": {
        **_NETWORKS,
        "encoder.loss": ["mse", "mixed", "mae", "huber"],
        "encoder.optimizer": ["adamw", "adam", "sgd"],
    },
}

VAE_SPACES: Mapping[str, Mapping[str, Any]] = {
    "network": {
        **_NETWORKS,
        "encoder.beta": [0.1, 1.0, 4.0, 10.0],
        "encoder.warmup_epochs": [0, 10],
        "encoder.free_bits": [0.0, 0.1],
    },
}
