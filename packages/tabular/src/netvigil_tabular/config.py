"""What the autoencoders can be told; no torch is imported here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from netvigil.torch.settings import TrainingConfig

Activation = Literal["relu", "leaky-relu", "elu", "selu", "tanh", "gelu", "sigmoid"]
Loss = Literal["mse", "mae", "huber", "mixed"]
Term = Literal["error", "standardised", "mahalanobis", "knn"]
VaeTerm = Literal["error", "standardised", "mahalanobis", "knn", "kl", "elbo", "error-kl"]
Width = Annotated[int, Field(ge=1)]


class RowTrainingConfig(TrainingConfig):
    """Training on flows one by one, in random order."""

    epochs: int = Field(100, ge=1, description="most passes over the train flows")
    patience: int | None = Field(
        10, ge=1, description="stop after so many epochs without a better loss; none: never"
    )
    batch: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        256, description="flows per step; auto: at least 16 steps per epoch, up to 16,384 flows"
    )
    batch_windows: None = Field(None, description="not used: flows are shuffled across windows")
    validation: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="share of the train flows, the latest, held out to stop early by; with 0 the "
        "train loss decides, and residuals are those of the train flows",
    )


class NetworkConfig(RowTrainingConfig):
    """The network that both autoencoders have: down to the code, and up again in mirror image."""

    hidden: tuple[Width, ...] = Field(
        (64, 32), description="widths of the layers down to the code; the decoder mirrors them"
    )
    bottleneck: int = Field(16, ge=1, description="width of the code, which is the embedding")
    activation: Activation = Field("relu", description="of every hidden layer")
    norm: Literal["none", "batch", "layer"] = Field(
        "none", description="after each activation, as published, where it is not none"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of hidden units dropped in training")
    output: Literal["linear", "sigmoid"] = Field(
        "linear", description="sigmoid keeps reconstructions in 0 to 1, for features of `min-max`"
    )


class TermsConfig(NetworkConfig):
    """What both encoders are told of their error terms."""

    neighbours: int = Field(
        5, ge=1, description="`knn` is the distance to this one of the train codes next to a flow's"
    )

    @field_validator("terms", check_fields=False)
    @classmethod
    def _some_terms(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        if not terms or len(set(terms)) < len(terms):
            msg = "Name at least one term, and each once."
            raise ValueError(msg)
        return terms


class ReconstructionConfig(NetworkConfig):
    """An autoencoder that is not variational.

    The defaults are label-free choices: the lowest loss on held-out flows per second of training.
    """

    code: Literal["linear", "block"] = Field(
        "linear",
        description="the layer that gives the code: linear, or block: with activation, norm and "
        "dropout as the others have, as published",
    )
    loss: Loss = Field(
        "mse", description="mixed: mse + 0.3 mean(x * squared error), large values weigh more"
    )


class AutoencoderConfig(ReconstructionConfig, TermsConfig):
    """Settings of `autoencoder`."""

    part: ClassVar[str] = "autoencoder"

    terms: tuple[Term, ...] = Field(
        ("error", "standardised", "mahalanobis"),
        description="which error terms each flow gets; knn costs many times the others",
    )


class VaeConfig(TermsConfig):
    """Settings of `vae`; with `beta` other than 1 it is a beta-VAE."""

    part: ClassVar[str] = "vae"

    beta: float = Field(1.0, ge=0, description="weight of KL, after the warm-up")
    warmup_epochs: int = Field(
        0, ge=0, description="epochs over which the weight of KL grows from 0 in a line"
    )
    free_bits: float = Field(
        0.0, ge=0, description="KL (in nats) that each latent dimension may have at no cost"
    )
    draws: int = Field(
        0,
        ge=0,
        le=100,
        description="samples of z that a flow's error is averaged over; 0: its error at the mean "
        "of z. The noise is drawn in `fit`, once for all flows",
    )
    terms: tuple[VaeTerm, ...] = Field(
        ("error", "standardised", "kl"),
        description="which error terms each flow gets: error for a score by reconstruction, elbo, "
        "error-kl for reconstruction + KL; knn costs many times the others",
    )

    def kl_weight(self, epoch: int) -> float:
        """Return the weight of KL in an epoch, counted from 0.

        Example:
            >>> [VaeConfig(beta=4, warmup_epochs=10).kl_weight(epoch) for epoch in (0, 5, 10, 99)]
            [0.0, 2.0, 4.0, 4.0]
        """
        done = min(epoch / self.warmup_epochs, 1.0) if self.warmup_epochs else 1.0
        return self.beta * done


class AutoencoderCodeConfig(ReconstructionConfig):
    """Settings of the transform `autoencoder-code`."""

    summary: ClassVar[str] = "An autoencoder's code in place of the features; reads no labels."

    keep: bool = Field(
        default=False, description="put the code beside the features, not in their place"
    )
