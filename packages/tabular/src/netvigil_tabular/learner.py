"""What the training loop asks of the autoencoders: columns of flows, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.generators import build
from netvigil.torch.rows import RowBatch
from netvigil.torch.training import Step
from netvigil_tabular.config import ReconstructionConfig, VaeConfig
from netvigil_tabular.fused import DirectLoss, can_fuse
from netvigil_tabular.losses import errors, kl_loss
from netvigil_tabular.network import Network


class AutoencoderLearner:
    """Reconstruction of features: by gradients written out, or by autograd with norm or dropout."""

    captures = True

    def __init__(
        self,
        features: int,
        config: ReconstructionConfig,
        device: torch.device,
        rng: torch.Generator,
    ) -> None:
        self.config = config
        self.network = build(lambda: Network(features, config), rng, device)
        layers = self.network.layers()
        self.writes_gradients = can_fuse(layers) and config.precision == "float32"
        self._direct = DirectLoss(layers, config.loss)

    def columns(self, graphs: WindowGraphs) -> tuple[NDArray[Any], ...]:
        """Return the features."""
        return (graphs.flow_x,)

    def losses(self, batch: RowBatch, step: Step) -> Mapping[str, Tensor]:
        """Return the mean error over flows and features."""
        (x,) = batch.columns
        if self.writes_gradients:
            return {"total": self._direct(x, training=step.training)}
        rng = step.generator if step.training else None
        decoded = self.network.decode(self.network.encode(x, rng).mean, rng)
        return {"total": errors(x, decoded, self.config.loss).mean()}


class VaeLearner:
    """The sum of squared errors over features plus the weighted KL, averaged over flows."""

    captures = True

    def __init__(
        self, features: int, config: VaeConfig, device: torch.device, rng: torch.Generator
    ) -> None:
        self.config = config
        self.network = build(lambda: Network(features, config), rng, device)

    def columns(self, graphs: WindowGraphs) -> tuple[NDArray[Any], ...]:
        """Return the features."""
        return (graphs.flow_x,)

    def losses(self, batch: RowBatch, step: Step) -> Mapping[str, Tensor]:
        """Draw z and return both parts, their sum `total`, and the same at the final weight."""
        (x,) = batch.columns
        rng = step.generator if step.training else None
        mean, logvar = self.network.encode(x, rng)
        assert logvar is not None
        noise = torch.randn(mean.shape, generator=step.generator, device=mean.device)
        decoded = self.network.decode(mean + noise * (0.5 * logvar).exp(), rng)
        reconstruction = (decoded - x).square().sum(1).mean()
        kl = kl_loss(mean, logvar, self.config.free_bits)
        return {
            "reconstruction": reconstruction,
            "kl": kl,
            "total": reconstruction + self.config.kl_weight(step.epoch) * kl,
            # The warm-up alone must not make a later epoch look worse.
            "judged": reconstruction.detach() + self.config.beta * kl.detach(),
        }
