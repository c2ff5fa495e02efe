"""Settings of CGGM; what the paper leaves open is a setting with our choice as default."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from netvigil.parts import PartConfig

Plan = Literal["balanced", "table3"] | dict[str, Annotated[int, Field(ge=0)]]


class CggmConfig(PartConfig):
    """Settings of `cggm`."""

    nodes: int = Field(
        49, ge=2, description="busiest addresses of the train range that become nodes; 49 published"
    )
    ends: Literal["source", "both"] = Field(
        "source", description="whose features a flow is in: its source's, or both ends'"
    )
    label_rule: Literal["majority-attack", "any-touch", "majority"] = Field(
        "majority-attack",
        description="a node's class: the commonest attack that it sends, the commonest that "
        "touches it, or the commonest class of its flows, normal among them",
    )
    label_plan: Plan = Field(
        "balanced",
        description="classes of generated nodes: balanced, table3 (published, for 49 nodes) "
        "or a table of class = nodes",
    )
    density: Literal["empirical", "mean"] | Annotated[float, Field(gt=0, lt=1)] = Field(
        "empirical",
        description="links of a generated graph: as many as a train snapshot drawn at random has, "
        "as they have in the mean, or this share of all possible ones",
    )
    backbone: Literal["attention", "linear"] = Field(
        "attention",
        description="what noise goes through: convolution and attention, or a linear map "
        "(published for comparison)",
    )
    embedding: Literal["leaky", "relu"] = Field(
        "leaky",
        description="activation of the label embedding; behind the published relu a feature that "
        "the commonest class pulls below 0 is lost to all classes",
    )
    attention: Literal["feature", "node"] = Field(
        "feature",
        description="feature: over features, as the published Q^T K says; node: the usual one, "
        "over nodes",
    )
    heads: int = Field(4, ge=1, description="heads of the attention; the paper names no number")
    convolve: Literal["thinned", "noise"] = Field(
        "thinned",
        description="graph of the generator's convolution: the links that it gives out, or, as "
        "printed, all the noise they are thinned from, which makes all nodes nearly equal",
    )
    hidden: int = Field(64, ge=1, description="width of the label embedding and of the critic")
    adversary: Literal["wgan-clip", "wgan-gp", "bce"] = Field(
        "wgan-clip",
        description="wgan-clip follows the paper's text, bce its formula; wgan-gp is a later form",
    )
    clip: float = Field(0.01, gt=0, description="bound of the critic's weights; only wgan-clip")
    penalty: float = Field(10.0, ge=0, description="weight of the gradient penalty; only wgan-gp")
    critic_steps: int = Field(5, ge=1, description="critic steps for each step of the generator")
    adversarial_weight: float = Field(1.0, ge=0, description="lambda 1; the paper gives none")
    task_weight: float = Field(10.0, ge=0, description="lambda 2, of L1 + L2; the paper gives none")
    l2_on: Literal["embedding", "logit"] = Field(
        "embedding",
        description="what L2 compares: the critic's last layer but one, or as printed its output",
    )
    steps: int = Field(1_000, ge=1, description="steps of the generator")
    batch: int = Field(16, ge=1, description="snapshots per step; 1 as published")
    learning_rate: float = Field(2e-3, gt=0, description="step size of the generator")
    critic_rate: float | None = Field(
        None, gt=0, description="step size of the critic; none: 5e-5 for wgan-clip, else 5e-4"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")

    @property
    def rate_of_critic(self) -> float:
        """The critic's step size: small where weights are clipped to a hundredth."""
        if self.critic_rate is not None:
            return self.critic_rate
        return 5e-5 if self.adversary == "wgan-clip" else 5e-4

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.label_plan, dict) and sum(self.label_plan.values()) < 1:
            msg = "A label plan says how many nodes of each class there are; this one says none."
            raise ValueError(msg)
        return self
