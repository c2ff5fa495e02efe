"""What every trained encoder can be told; no torch is imported here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netvigil.parts import PartConfig


class TrainingConfig(PartConfig):
    """Settings of the training loop; a method's config inherits them and may change defaults."""

    epochs: int = Field(100, ge=1, description="most passes over the train windows")
    patience: int | None = Field(
        20, ge=1, description="stop after so many epochs without a better loss; none: never"
    )
    optimizer: Literal["adamw", "adam", "sgd"] = Field("adamw", description="which optimizer")
    learning_rate: float = Field(1e-3, gt=0, description="step size")
    momentum: float = Field(0.0, ge=0, lt=1, description="share of the last step kept; only sgd")
    schedule: Literal["none", "plateau", "cosine"] = Field(
        "none",
        description="how the step size changes: plateau halves it after schedule_patience epochs "
        "without a better loss, cosine lets it fall to lowest_rate in the last epoch",
    )
    schedule_patience: int = Field(
        3, ge=1, description="stale epochs after which the step size is halved; only plateau"
    )
    lowest_rate: float = Field(1e-6, ge=0, description="a schedule stops at this step size")
    weight_decay: float = Field(1e-5, ge=0, description="decoupled for adamw, L2 for adam and sgd")
    clip_norm: float | None = Field(None, gt=0, description="clip gradients to this norm")
    batch: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="flows per step at most, or one larger window; auto: as many as the device "
        "works well with, and at least 16 steps per epoch",
    )
    batch_windows: int | None = Field(
        None, ge=1, description="windows per step in place of a number of flows; 1 as published"
    )
    validation: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="share of the train flows, the latest windows, held out to stop early by",
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16 mixes precisions on a GPU; the CPU stays at float32"
    )
    checkpoint_s: float = Field(30.0, gt=0, description="seconds between checkpoints, about")
