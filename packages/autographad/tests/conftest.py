"""Small batches, and AutoGraphAD written the plain way with PyG's own layers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.testing.synthetic.windows import windows
from netvigil.torch.generators import build, generator
from netvigil_autographad import losses
from netvigil_autographad.augment import Draws
from netvigil_autographad.batch import WindowBatch, clean_view
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.network import Network, Relations

FEATURES = 5


@pytest.fixture(scope="session")
def graphs() -> WindowGraphs:
    """Five windows: a self-loop alone, none, and three of usual shape."""
    return windows(5, flows=25, nodes=6, features=FEATURES)


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., WindowBatch]:
    """Make a batch, in double precision where finite differences or equality need it."""

    def make(graphs: WindowGraphs, *, double: bool = False) -> WindowBatch:
        batch = WindowBatch.of(graphs, torch.device("cpu"))
        if not double:
            return batch
        graph = replace(batch.graph, x=batch.graph.x.double())
        return replace(batch, graph=graph, clean=clean_view(graph))

    return make


@pytest.fixture(scope="session")
def network_of() -> Callable[..., Network]:
    """Make a network whose token and link weights are not at their plain start."""

    def make(config: AutoGraphADConfig, *, seed: int = 0) -> Network:
        network = build(lambda: Network(FEATURES, config), generator(seed, 0), "cpu")
        rng = generator(seed, 1)
        with torch.no_grad():
            for parameter in (network.first.token, network.link_weight, network.link_bias):
                parameter.copy_(torch.randn(parameter.shape, generator=rng))
        return network

    return make


@pytest.fixture(scope="session")
def pyg() -> Any:
    """PyG's convolutions; its import warns of what torch has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_geometric.nn import HeteroConv, SAGEConv
    return SimpleNamespace(HeteroConv=HeteroConv, SAGEConv=SAGEConv)


@pytest.fixture(scope="session")
def plain(pyg: Any) -> Callable[..., Plain]:
    """Return a network's plain twin."""
    return lambda network, config: Plain(pyg, network, config)


class Plain:
    """AutoGraphAD with `HeteroConv`, masked copies, index lists and losses from `losses.py`.

    It shares the network's parameters, so that gradients arrive in the network itself.
    """

    FROM, TO = ("flow", "from", "host"), ("flow", "to", "host")
    SENDS, RECEIVES = ("host", "sends", "flow"), ("host", "receives", "flow")

    def __init__(self, pyg: Any, network: Network, config: AutoGraphADConfig) -> None:
        self.pyg, self.network, self.config = pyg, network, config

    def convolve(
        self, relations: Relations, edges: Any, x: dict[str, Tensor], index: dict[Any, Tensor]
    ) -> Tensor:
        """Run one `SAGEConv` per relation with the weights of `relations`, and add up."""
        kind = edges[0][2]
        total = torch.zeros((), dtype=x[kind].dtype)
        for number, edge in enumerate(edges):
            row = min(number, len(relations.bias) - 1)
            widths = (relations.neighbour.shape[2], relations.own.shape[2])
            conv = self.pyg.SAGEConv(widths, relations.bias.shape[1])
            given = {
                "lin_l.weight": relations.neighbour[row],
                "lin_l.bias": relations.bias[row],
                "lin_r.weight": relations.own[row],
            }
            args = ((x[edge[0]], x[kind]), index[edge])
            total = total + torch.func.functional_call(conv, given, args)
        return total

    def layer(self, layer: Any, x: dict[str, Tensor], index: dict[Any, Tensor]) -> dict[str, Any]:
        return {
            "flow": self.convolve(layer.to_flows.relations, (self.SENDS, self.RECEIVES), x, index),
            "host": self.convolve(layer.to_hosts, (self.FROM, self.TO), x, index),
        }

    def encode(
        self, batch: WindowBatch, cut: Tensor | None, masked: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[Any, Tensor]]:
        """Return means and log variances by kind, and the kept links by relation."""
        graph, network = batch.graph, self.network
        flow, features = torch.arange(graph.flows), graph.x
        if masked is not None:
            features = torch.where(masked[:, None] > 0, network.first.token, features)
        index = {}
        relations = ((self.FROM, self.SENDS), (self.TO, self.RECEIVES))
        for side, (edge, back) in enumerate(relations):
            kept = slice(None) if cut is None else cut[side] == 0
            node = (graph.src, graph.dst)[side].node
            index[edge] = torch.stack([flow, node])[:, kept]
            index[back] = index[edge].flip(0)
        ones = torch.ones(graph.nodes, self.config.host_width, dtype=graph.x.dtype)
        x = {"flow": features, "host": ones}
        for layer in (network.first, *network.later):
            x = {kind: value.relu() for kind, value in self.layer(layer, x, index).items()}
        heads: Any = network.heads
        if self.config.heads == "sage":
            mean, logvar = (self.layer(head, x, index) for head in (heads.mean, heads.logvar))
        else:
            mean = {"flow": heads.flow_mean(x["flow"]), "host": heads.host_mean(x["host"])}
            logvar = {"flow": heads.flow_logvar(x["flow"]), "host": heads.host_logvar(x["host"])}
        return mean, {kind: value.clamp(-10, 10) for kind, value in logvar.items()}, index

    def decode(self, z: dict[str, Tensor], index: dict[Any, Tensor]) -> Tensor:
        edges = (self.SENDS, self.RECEIVES)
        return self.convolve(self.network.decoder.relations, edges, z, index)

    def logits(self, z: dict[str, Tensor], hosts: tuple[Tensor, Tensor]) -> Tensor:
        """Return the logits of each flow's links to two hosts, [flows, 2]."""
        weight, bias = self.network.link_weight, self.network.link_bias
        columns = [
            (z["flow"] * z["host"][host] * weight[min(side, len(bias) - 1)]).sum(1)
            + bias[min(side, len(bias) - 1)]
            for side, host in enumerate(hosts)
        ]
        return torch.stack(columns, 1)

    def objective(
        self, batch: WindowBatch, draws: Draws, noise: list[Tensor], *, kl_weight: float
    ) -> dict[str, Tensor]:
        config, graph = self.config, batch.graph
        mean, logvar, index = self.encode(batch, draws.cut, draws.masked)
        feature, structure = [], []
        weight = draws.masked if config.feature_on == "masked" else None
        for sample in noise:
            parts = {"flow": sample[: batch.flows], "host": sample[batch.flows :]}
            z = {kind: mean[kind] + parts[kind] * (logvar[kind] / 2).exp() for kind in mean}
            decoded = self.decode(z, index)
            feature.append(losses.feature_loss(graph.x, decoded, config.feature_loss, weight))
            positive = self.logits(z, (graph.src.node, graph.dst.node))
            negative = self.logits(z, (draws.negative[0], draws.negative[1]))
            structure.append(losses.structure_loss(positive, negative, draws.weight.t()))
        reduction = config.kl_reduction
        kl = torch.cat([losses.divergence(mean[k], logvar[k], reduction) for k in mean]).mean()
        terms = {
            "feature": sum(feature) / len(noise),
            "structure": sum(structure) / len(noise),
            "kl": kl,
        }
        total = config.feature_weight * terms["feature"] + kl_weight * kl
        total = total + config.structure_weight * terms["structure"]
        if config.regulariser:
            clean = self.encode(batch, None, None)[0]
            moved = torch.cat([losses.inconsistency(clean[k], mean[k]) for k in mean]).mean()
            terms["regulariser"] = moved
            total = total + config.regulariser_weight * moved
        return terms | {"total": total}
