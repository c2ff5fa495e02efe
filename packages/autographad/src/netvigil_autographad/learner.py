"""One step of training: the loss of a batch under given draws, and who draws them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.generators import generator
from netvigil.torch.training import Step
from netvigil_autographad import losses
from netvigil_autographad.augment import Draws, draw
from netvigil_autographad.batch import View, WindowBatch
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.fused import Kind, link_loss, sampled, squared_error
from netvigil_autographad.network import Latent, Network

# Streams of random numbers of one seed; the training loop's own are numbered from 0.
STATIC, POINTS = 101, 102


class Learner:
    """What `netvigil.torch.training.fit_network` trains."""

    def __init__(self, network: Network, config: AutoGraphADConfig, *, seed: int) -> None:
        self.network = network
        self.config = config
        self.seed = seed

    def batch(self, graphs: WindowGraphs, device: torch.device) -> WindowBatch:
        """Copy windows to a device."""
        return WindowBatch.of(graphs, device)

    def losses(self, batch: WindowBatch, step: Step) -> Mapping[str, Tensor]:
        """Return the loss terms, their weighted sum `total`, and the same at the final KL weight.

        Validation sees the clean graph, negative links and noise apart, at the final weight of KL;
        its feature loss is over all flows, as none is masked.
        """
        draws, view = self._view(batch, step)
        config = self.config
        weight = config.kl_weight(step.epoch) if step.training else config.kl_max
        noise = self._noise(batch, step)
        return objective(self.network, config, batch, draws, view, noise, kl_weight=weight)

    def _view(self, batch: WindowBatch, step: Step) -> tuple[Draws, View]:
        if not (self.config.static and step.training):
            draws = draw(batch, self.config, step.generator, augment=step.training)
            return draws, draws.view(batch)
        # Drawn from the batch's number, so a batch that had to be made anew gets the same again.
        if not batch.drawn:
            device = batch.graph.x.device
            rng = generator(self.seed, STATIC, step.number, device=device)
            draws = draw(batch, self.config, rng, augment=True)
            batch.drawn.append((draws, draws.view(batch)))
        return batch.drawn[0]

    def _noise(self, batch: WindowBatch, step: Step) -> Iterator[Tensor]:
        """Yield standard normal noise; the second half of the nodes has that of the first, negated.

        Each node's noise is what it would be otherwise, opposite noise cancels in the gradient's
        mean, and drawing noise is a tenth of a step.
        """
        nodes, device = batch.flows + batch.graph.nodes, batch.graph.x.device
        for _ in range(self.config.draws):
            noise = torch.empty(nodes, self.config.hidden, device=device)
            half, rest = noise[: (nodes + 1) // 2], noise[(nodes + 1) // 2 :]
            half.normal_(generator=step.generator)
            torch.neg(half[: len(rest)], out=rest)
            yield noise


def objective(
    network: Network,
    config: AutoGraphADConfig,
    batch: WindowBatch,
    draws: Draws,
    view: View,
    noise: Iterable[Tensor],
    *,
    kl_weight: float,
) -> dict[str, Tensor]:
    """Return the loss of one step; all chance is in `draws` and `noise`.

    Means are over all flows, links and nodes of the batch, whichever window they are in: with one
    window per batch, as published, that is the window's own mean.

    Shapes:
        noise: [flows + nodes, hidden] for each sample of z; losses are averaged over samples
    """
    latent = network.encode(view)
    links = _links(batch, draws, view)
    hidden = draws.masked if config.feature_on == "masked" else None
    feature, structure = [], []
    for sample in noise:
        flows, flow_sum = sampled(*latent.flows, sample[: batch.flows])
        hosts, host_sum = sampled(*latent.hosts, sample[batch.flows :])
        feature.append(_feature(network, config, view, flows, hosts, hidden))
        structure.append(link_loss(flows, network.link_table(hosts), network.link_biases(), links))
    nodes = batch.flows + batch.graph.nodes
    each = nodes * config.hidden if config.kl_reduction == "mean" else nodes
    terms = {
        "feature": torch.stack(feature).mean(),
        "structure": torch.stack(structure).mean(),
        "kl": (flow_sum + host_sum) / each,
    }
    total = config.feature_weight * terms["feature"] + config.structure_weight * terms["structure"]
    total = total + kl_weight * terms["kl"]
    if config.regulariser:
        terms["regulariser"] = _regulariser(network, batch, view, latent)
        total = total + config.regulariser_weight * terms["regulariser"]
    # Annealing alone must not make a later epoch look worse.
    judged = total.detach() + (config.kl_max - kl_weight) * terms["kl"].detach()
    return terms | {"total": total, "judged": judged}


def _feature(
    network: Network,
    config: AutoGraphADConfig,
    view: View,
    flows: Tensor,
    hosts: Tensor,
    hidden: Tensor | None,
) -> Tensor:
    """Return the feature loss of one sample; the target is the clean features, masked or not."""
    features = view.graph.x
    if config.feature_loss == "mse" and hidden is None:
        return squared_error(flows, *network.decoder.parts(hosts), view, features)
    decoded = network.decode(view, flows, hosts)
    return losses.feature_loss(features, decoded, config.feature_loss, hidden)


def _links(batch: WindowBatch, draws: Draws, view: View) -> list[Kind]:
    """Return the true links and those negative ones that count; see `losses.structure_loss`."""
    links, side = draws.negative_links(batch.graph.nodes)
    return [
        Kind(view.links, side=None, sign=-1.0, share=0.25 / max(batch.flows, 1)),
        Kind(links, side, sign=1.0, share=0.5 / max(len(side), 1)),
    ]


def _regulariser(network: Network, batch: WindowBatch, view: View, augmented: Latent) -> Tensor:
    """Return how far the means of z move under augmentation, over all nodes."""
    if view is batch.clean:  # in validation; the same names are due in every step
        return augmented.flows.mean.new_zeros(())
    clean = network.encode(batch.clean)
    pairs = zip(clean, augmented, strict=True)
    return torch.cat([losses.inconsistency(a.mean, b.mean) for a, b in pairs]).mean()
