"""Settings of AutoGraphAD; what the paper leaves open is a setting with our choice as default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netvigil.torch.settings import TrainingConfig

Rate = Annotated[float, Field(ge=0, lt=1)]


class AutoGraphADConfig(TrainingConfig):
    """Settings of `autographad`; optimizer, epochs and patience default to the published ones."""

    layers: int = Field(1, ge=1, le=3, description="layers of the encoder; published: 1 or 2")
    hidden: int = Field(32, ge=1, description="width of the layers and of the latent variables")
    host_width: int = Field(
        1, ge=1, description="ones that every host starts with; the paper leaves the width open"
    )
    distinct_relations: bool = Field(
        default=True,
        description="own weights for links to the source and to the destination host; false: both "
        "relations share theirs. The paper does not say",
    )
    heads: Literal["linear", "sage"] = Field(
        "linear", description="what gives mean and log variance of z; the paper leaves it open"
    )
    augment: Rate = Field(
        0.2, description="shared rate of dropped links, masked flows and negative links"
    )
    drop_edges: Rate | None = Field(
        None, description="share of links cut, in both directions; none: that of `augment`"
    )
    mask_nodes: Rate | None = Field(
        None, description="share of flows whose features are masked; none: that of `augment`"
    )
    negatives: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="negative links per true link, 1 for as many; none: `augment`"
    )
    static: bool = Field(
        default=False,
        description="draw the augmentation of each batch once, as the published code does, and not "
        "anew in every step",
    )
    feature_loss: Literal["mse", "cosine"] = Field(
        "mse", description="distance of features from their reconstruction: mse, or 1 - cosine"
    )
    feature_score: Literal["mse", "cosine"] | None = Field(
        None, description="the same for the term `feature` of a flow; none: that of `feature_loss`"
    )
    feature_on: Literal["all", "masked"] = Field(
        "all",
        description="flows the feature loss is taken over in training: all, or the masked ones as "
        "in GraphMAE. The paper does not say",
    )
    feature_weight: float = Field(1.0, ge=0, description="weight of the feature loss in training")
    structure_weight: float = Field(1.0, ge=0, description="weight of the loss on links")
    anneal_epochs: int = Field(
        10,
        ge=0,
        description="epochs over which the weight of KL grows in a line; 0: from the start",
    )
    kl_min: float = Field(0.0, ge=0, description="weight of KL in the first epoch")
    kl_max: float = Field(
        1.0, ge=0, description="weight of KL after annealing; the paper names only the minimum"
    )
    kl_reduction: Literal["sum", "mean"] = Field(
        "sum", description="over the dimensions of z; the paper does not say"
    )
    regulariser: bool = Field(
        default=False,
        description="add 1 - cosine between the means of the clean and of the augmented graph: our "
        "reading of the published Regulariser, which is not explained",
    )
    regulariser_weight: float = Field(
        1.0, ge=0, description="weight of the regulariser; the paper names none"
    )
    draws: int = Field(
        1,
        ge=1,
        le=100,
        description="samples of z to average over, 10 in the published Multiple Draw; with 1 flows "
        "are scored at the mean of z",
    )
    structure_score: Literal["published", "deviation"] = Field(
        "published",
        description="form of the term `structure`: published is the mean loss of a flow's own two "
        "links, which is low for most attacks; deviation is how far their logits lie from those of "
        "the train flows, to either side",
    )

    @property
    def drop_rate(self) -> float:
        """Share of links cut in training."""
        return self.augment if self.drop_edges is None else self.drop_edges

    @property
    def mask_rate(self) -> float:
        """Share of flows masked in training."""
        return self.augment if self.mask_nodes is None else self.mask_nodes

    @property
    def negative_rate(self) -> float:
        """Negative links per true link."""
        return self.augment if self.negatives is None else self.negatives

    def kl_weight(self, epoch: int) -> float:
        """Return the weight of KL in an epoch, counted from 0.

        Example:
            >>> [AutoGraphADConfig().kl_weight(epoch) for epoch in (0, 5, 10, 99)]
            [0.0, 0.5, 1.0, 1.0]
        """
        done = min(epoch / self.anneal_epochs, 1.0) if self.anneal_epochs else 1.0
        return self.kl_min + (self.kl_max - self.kl_min) * done
