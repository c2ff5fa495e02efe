"""What Anomal-E can be told; no torch is imported here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netvigil.torch.settings import TrainingConfig

Direction = Literal["both", "in", "out"]
Messages = Literal["edge", "node-edge"]
Form = Literal["auto", "plain", "pairs"]


class AnomalEConfig(TrainingConfig):
    """Settings of `anomal-e`: the network as published, trained until its loss stands still.

    Published are 4,000 epochs without early stopping; the presets ask for that. Nothing is held out
    for validation, as published: the train loss is monitored, and the best weights are kept.
    """

    epochs: int = Field(1000, ge=1, description="most passes over the train windows")
    patience: int | None = Field(
        50, ge=1, description="stop after so many epochs without a better loss; none: never"
    )
    optimizer: Literal["adamw", "adam", "sgd"] = Field("adam", description="which optimizer")
    weight_decay: float = Field(0.0, ge=0, description="decoupled for adamw, L2 for others")
    validation: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the train flows, the latest windows, held out to stop early by; "
        "with 0 the train loss decides, as published",
    )
    hidden: int = Field(128, ge=1, description="width of a host's state")
    embedding: int = Field(256, ge=1, description="width of a flow's embedding")
    layers: Annotated[int, Field(ge=1, le=3)] = Field(
        1, description="rounds of messages; 1 as published"
    )
    direction: Direction = Field(
        "both",
        description="which flows a host gathers: both, as published (each flow becomes two edges "
        "in training, a flow of a host with itself one); in: those it receives; out: sends",
    )
    messages: Messages = Field(
        "edge",
        description="edge: a flow's features alone, as Anomal-E; node-edge: with the state of the "
        "host at the other end, as E-GraphSAGE",
    )
    own_edge: bool = Field(
        default=False,
        description="join a flow's own features to its embedding; without, as published, all "
        "flows of an ordered host pair share one embedding",
    )
    form: Form = Field(
        "auto",
        description="plain: embeddings of all edges, as written down; pairs: the same loss by sums "
        "per host and pair (with own_edge: per host and edge); auto: pairs",
    )

    @property
    def by_pairs(self) -> bool:
        """Whether training uses the sums per host and pair."""
        return self.form != "plain"
