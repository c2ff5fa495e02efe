"""The error terms of flows under a trained network; no gradients, no augmentation, no chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil_autographad import losses
from netvigil_autographad.batch import View
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.network import Latent, Network


class Usual(NamedTuple):
    """Where the links of train flows lie: median and quartile range of their logits.

    Shapes:
        centre, spread: float32 [2], by source and by destination
    """

    centre: Tensor
    spread: Tensor

    @staticmethod
    def of(logits: NDArray[np.float32]) -> Usual:
        """Learn from the train flows' logits, [flows, 2]; 1 stands for a spread of zero."""
        low, centre, high = np.percentile(logits.astype(np.float64), [25, 50, 75], axis=0)
        spread = np.where(high > low, high - low, 1.0)
        return Usual(*(torch.tensor(a, dtype=torch.float32) for a in (centre, spread)))


@torch.no_grad()
def terms(
    network: Network,
    config: AutoGraphADConfig,
    view: View,
    points: Tensor | None,
    usual: Usual | None = None,
) -> dict[str, Tensor]:
    """Return `feature`, `structure` and `kl` of each flow, higher is worse.

    With `points`, the first two are averaged over one z per point, mean + point * deviation. All
    flows share the points, and all hosts, so that a flow's terms do not depend on its companions;
    drawing noise for each flow, as Multiple Draw does, would make them depend on the order.

    Shapes:
        points: [draws, 2, hidden], of flows and of hosts, or None to score at the mean
        usual: what "deviation" measures from, or None for the published form of `structure`
        returns: name -> [flows]
    """
    latent = network.encode(view)
    kl = _divergence(*latent.flows)
    if config.kl_reduction == "mean":
        kl /= config.hidden
    pairs = [(latent.flows.mean, latent.hosts.mean)] if points is None else _samples(latent, points)
    feature, structure = torch.zeros_like(kl), torch.zeros_like(kl)
    for flows, hosts in pairs:
        decoded = network.decode(view, flows, hosts)
        feature += _feature(view.graph.x, decoded, config.feature_score or config.feature_loss)
        structure += structure_term(link_logits(network, view, flows, hosts), usual)
    return {"feature": feature / len(pairs), "structure": structure / len(pairs), "kl": kl}


@torch.no_grad()
def train_logits(network: Network, view: View) -> Tensor:
    """Return the logits of the two links of each flow at the mean of z, [flows, 2]."""
    latent = network.encode(view)
    return link_logits(network, view, latent.flows.mean, latent.hosts.mean)


def link_logits(network: Network, view: View, flows: Tensor, hosts: Tensor) -> Tensor:
    """Return the logits of each flow's links to its source and destination, [flows, 2].

    Shapes:
        flows: z of flows, [flows, hidden]; hosts: z of hosts, [nodes, hidden]
    """
    logit = view.links.dots(flows, network.link_table(hosts))
    return logit.view(-1, 2) + network.link_biases()


def structure_term(logit: Tensor, usual: Usual | None) -> Tensor:
    """Return how unusual the two links of each flow are, [flows].

    Published (`usual` is None): the mean binary cross-entropy of the two links. It ranks most
    attacks as the most usual flows. A logit is an inner product, so it grows with the length of the
    latent vectors; unusual flows have long ones, and so has their host, which is a mean of such
    flows; their links look certain. "deviation" therefore takes the distance of a logit from the
    train flows' median, to either side, in quartile ranges: ours, not the paper's.

    Shapes:
        logit: [flows, 2]
    """
    if usual is None:
        return losses.link_error(logit, linked=True).mean(1)
    return ((logit - usual.centre.to(logit.device)).abs() / usual.spread.to(logit.device)).mean(1)


def _divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return `losses.divergence`, summed, with a single copy."""
    return logvar.exp().sub_(logvar).addcmul_(mean, mean).sum(1).sub_(mean.shape[1]).mul_(0.5)


def _feature(features: Tensor, decoded: Tensor, distance: losses.Distance) -> Tensor:
    """Return `losses.feature_error`; overwrites `decoded`."""
    if distance == "mse":
        off = decoded.sub_(features)
        found: Tensor = torch.linalg.vector_norm(off, dim=1)
        return found.square_().div_(off.shape[1])
    return losses.feature_error(features, decoded, distance)


def _samples(latent: Latent, points: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(latent.flows.sample(own), latent.hosts.sample(theirs)) for own, theirs in points]
