"""What the training loop asks of Anomal-E: batches of windows, and their loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.generators import build
from netvigil.torch.training import Step
from netvigil_anomale.config import AnomalEConfig
from netvigil_anomale.edge_batch import EdgeBatch
from netvigil_anomale.network import Infomax
from netvigil_anomale.pair_batch import PairBatch


class InfomaxLearner:
    """Deep graph infomax on E-GraphSAGE, in the plain or the algebraic form."""

    network: Infomax

    def __init__(
        self, features: int, config: AnomalEConfig, device: torch.device, rng: torch.Generator
    ) -> None:
        self.config = config
        self.network = build(lambda: Infomax(features, config), rng, device)

    def batch(self, graphs: WindowGraphs, device: torch.device) -> EdgeBatch | PairBatch:
        """Prepare windows; each is a graph of its own."""
        config = self.config
        if config.by_pairs:
            return PairBatch.of(graphs, config.direction, device, own_edge=config.own_edge)
        return EdgeBatch.of(graphs, config.direction, device)

    def losses(self, batch: EdgeBatch | PairBatch, step: Step) -> Mapping[str, Tensor]:
        """Draw a corruption and return the loss; a validation step draws one too."""
        return batch.losses(self.network, step.generator)
