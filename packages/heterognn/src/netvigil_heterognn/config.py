"""Settings of `hetero-flow-gnn`; defaults are the article's where it names a value."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from netvigil.torch.settings import TrainingConfig

Weighting = Literal["none", "inverse", "effective"]


class HeteroFlowGNNConfig(TrainingConfig):
    """Settings of `hetero-flow-gnn`."""

    epochs: int = Field(101, ge=1, description="most passes over the train windows")
    optimizer: Literal["adamw", "adam", "sgd"] = Field("adam", description="which optimizer")
    weight_decay: float = Field(0.0, ge=0, description="decoupled for adamw, L2 for adam and sgd")
    layers: int = Field(3, ge=1, le=8, description="layers: how many links away a flow looks")
    hidden: int = Field(64, ge=1, description="width of the layers")
    slope: float = Field(0.01, ge=0, lt=1, description="slope of LeakyReLU below zero")
    host_features: Literal["window", "ones"] = Field(
        "window",
        description="what a host starts from: degrees, peers, services and mean features of its "
        "flows in the window, or a constant",
    )
    class_weight: Weighting = Field(
        "none",
        description="weight of a class in the loss: none as in the article, inverse to its flows, "
        "or inverse to their effective number",
    )
    beta: float = Field(
        0.9999, ge=0, lt=1, description="what `effective` numbers are of: (1 - beta^n) / (1 - beta)"
    )
