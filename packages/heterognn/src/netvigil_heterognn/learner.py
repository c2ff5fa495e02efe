"""One step of training: cross-entropy of labelled flows; epochs are judged by macro-F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.training import Step
from netvigil_heterognn.batch import Blocks, HeteroBatch
from netvigil_heterognn.config import HeteroFlowGNNConfig
from netvigil_heterognn.fused import learn
from netvigil_heterognn.losses import counts, cross_entropy, macro_f1, shares
from netvigil_heterognn.network import Network

TIE = 1e-3  # at most what the loss adds to 1 - macro-F1, so that of equal F1 the lower loss wins


class Known(NamedTuple):
    """The classes of train flows, to be looked up by id.

    Shapes:
        flow_id: int64 [flows], increasing; code: int64 [flows], -1 where unknown
    """

    flow_id: NDArray[np.int64]
    code: NDArray[np.int64]

    @staticmethod
    def of(flow_id: NDArray[np.int64], code: NDArray[np.int64]) -> Known:
        """Sort flows by id."""
        order = np.argsort(flow_id, kind="stable")
        return Known(flow_id[order], code[order])

    def codes(self, flow_id: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the class of each flow, int64 [flows]; all of them are train flows."""
        return self.code[np.searchsorted(self.flow_id, flow_id)]


class Learner:
    """What `netvigil.torch.training.fit_network` trains.

    Shapes:
        weight: float32 [classes], of each class in the loss
    """

    def __init__(
        self,
        network: Network,
        config: HeteroFlowGNNConfig,
        known: Known,
        weight: NDArray[np.float32],
    ) -> None:
        self.network, self.config = network, config
        self._known, self._weight = known, weight
        device = network.classes.bias.device
        self.writes_gradients = device.type == "cpu"
        self._counts = torch.zeros(len(weight), len(weight), dtype=torch.int64, device=device)
        self._judged = torch.zeros((), dtype=torch.float64, device=device)
        self._flows = 0

    def batch(self, graphs: WindowGraphs, device: torch.device) -> Blocks:
        """Copy windows and the classes of their flows to a device."""
        codes = self._known.codes(np.asarray(graphs.flow_id))
        described = self.config.host_features == "window"
        share = shares(codes, self._weight)
        return Blocks.of(graphs, device, codes=codes, share=share, described=described)

    def losses(self, batch: Blocks, step: Step) -> Mapping[str, Tensor]:
        """Return the weighted mean cross-entropy, and `judged`, 1 - macro-F1 of the epoch so far.

        F1 is no mean over batches. So `judged` of a batch is what makes the flow-weighted mean over
        the batches up to here that of all their flows together; a tie is broken by the loss.
        """
        if self.writes_gradients:
            total, found = learn(self.network, batch.blocks, training=step.training)
        else:
            total, found = by_autograd(self.network, batch.blocks)
        with torch.no_grad():
            if step.number == 0:
                self._counts, self._flows = torch.zeros_like(self._counts), 0
            self._counts = self._counts + found
            loss = total.detach()
            worse = 1 - macro_f1(self._counts) + TIE * loss / (1 + loss)
            before, self._flows = self._judged * self._flows, self._flows + batch.flows
            self._judged = worse
            judged = (worse * self._flows - before) / max(batch.flows, 1)
        return {"total": total, "judged": judged.to(total.dtype)}


def by_autograd(network: Network, blocks: Sequence[HeteroBatch]) -> tuple[Tensor, Tensor]:
    """Return what `fused.learn` does, the loss with a graph."""
    total, found = [], []
    for block in blocks:
        logits = network(block)
        total.append(cross_entropy(logits, block.y, block.share))
        found.append(counts(logits.detach().argmax(1), block.y, logits.shape[1]))
    return torch.stack(total).sum(), torch.stack(found).sum(0)


def class_weights(
    y: NDArray[np.int64], classes: int, config: HeteroFlowGNNConfig
) -> NDArray[np.float32]:
    """Return the weight of each class, with mean 1 over classes, float32 [classes].

    `inverse` is one over a class's flows, `effective` one over their effective number (Cui et al.,
    Class-Balanced Loss, CVPR 2019, equation 2).

    Shapes:
        y: int64 [flows], each class at least once

    Example:
        >>> config = HeteroFlowGNNConfig(class_weight="inverse")
        >>> class_weights(np.array([0, 0, 0, 1]), 2, config).tolist()
        [0.5, 1.5]
    """
    flows = np.bincount(y, minlength=classes).astype(np.float64)
    if config.class_weight == "none":
        weight = np.ones(classes)
    elif config.class_weight == "inverse":
        weight = 1 / flows
    else:
        weight = (1 - config.beta) / (1 - config.beta**flows)
    return np.asarray(weight / weight.mean(), np.float32)
