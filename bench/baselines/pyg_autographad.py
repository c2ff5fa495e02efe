"""AutoGraphAD the straightforward way: PyG's own layers, a Python loop, one window per step.

Written from the published description as a careful user of PyG would: `HeteroConv` over four
`SAGEConv(mean)`, linear heads for mu and logvar, a SAGE decoder for the features, a weighted inner
product for the links, AdamW. Windows are `HeteroData` in memory before any timer starts. The loop
may be given its random draws, so that its loss curve can be compared with another implementation's,
and may collect the gradients of several windows for one step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from netvigil.contracts import WindowGraphs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyG compiles at import with torch.jit, which torch deprecated
    from torch_geometric.data import HeteroData
    from torch_geometric.nn import HeteroConv, SAGEConv

SOURCE, TARGET = ("flow", "from", "host"), ("flow", "to", "host")
OF_SOURCE, OF_TARGET = ("host", "sends", "flow"), ("host", "receives", "flow")
REVERSED = {SOURCE: OF_SOURCE, TARGET: OF_TARGET}
LOGVAR = 10.0  # logarithms of variances are clamped to plus and minus this


@dataclass(frozen=True)
class Draws:
    """The random choices of one step over one window; hosts are rows of the window.

    Shapes:
        keep: bool [2, flows], whether a flow's link to its source, destination host is kept
        masked: bool [flows], whose features are replaced by the token
        negatives: int64 [2, flows], a host that is not the flow's, or -1 for no negative link
        flow_noise: [flows, hidden]; host_noise: [hosts, hidden], standard normal
    """

    keep: Tensor
    masked: Tensor
    negatives: Tensor
    flow_noise: Tensor
    host_noise: Tensor


@dataclass(frozen=True)
class Settings:
    """What the published grid varies, and the optimizer's numbers."""

    hidden: int = 32
    layers: int = 1
    rate: float = 0.2
    anneal_epochs: int = 10
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5


class Network(nn.Module):
    """Encoder, heads and both decoders."""

    def __init__(self, features: int, settings: Settings) -> None:
        super().__init__()
        hidden = settings.hidden
        self.token = nn.Parameter(torch.zeros(features))
        self.convs = nn.ModuleList()
        for layer in range(settings.layers):
            flow, host = (features, 1) if layer == 0 else (hidden, hidden)
            to_host = {edge: SAGEConv((flow, host), hidden) for edge in (SOURCE, TARGET)}
            to_flow = {edge: SAGEConv((host, flow), hidden) for edge in (OF_SOURCE, OF_TARGET)}
            self.convs.append(HeteroConv({**to_host, **to_flow}, aggr="sum"))
        self.mu = nn.ModuleDict({kind: nn.Linear(hidden, hidden) for kind in ("flow", "host")})
        self.logvar = nn.ModuleDict({kind: nn.Linear(hidden, hidden) for kind in ("flow", "host")})
        # `HeteroConv` warns of hosts that get nothing, which is what is meant here.
        self.decoder = nn.ModuleList(SAGEConv((hidden, hidden), features) for _ in range(2))
        self.link_weight = nn.Parameter(torch.ones(2, hidden))
        self.link_bias = nn.Parameter(torch.zeros(2))

    def encode(
        self, x: dict[str, Tensor], edges: dict[tuple[str, str, str], Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return mu and logvar of flows and hosts."""
        for conv in self.convs:
            x = {kind: value.relu() for kind, value in conv(x, edges).items()}
        mu = {kind: head(x[kind]) for kind, head in self.mu.items()}
        logvar = {kind: head(x[kind]).clamp(-LOGVAR, LOGVAR) for kind, head in self.logvar.items()}
        return mu, logvar

    def decode(self, z: dict[str, Tensor], edges: dict[tuple[str, str, str], Tensor]) -> Tensor:
        """Return the features of flows from z, [flows, features]."""
        source, target = self.decoder
        ends = (z["host"], z["flow"])
        decoded: Tensor = source(ends, edges[OF_SOURCE]) + target(ends, edges[OF_TARGET])
        return decoded

    def links(self, z: dict[str, Tensor], pairs: Sequence[Tensor]) -> Tensor:
        """Return the logits of links between flows and hosts, by source, then by destination.

        Shapes:
            pairs: int64 [2, links] for each of the two, flows and hosts; returns: [all links]
        """
        found = []
        for (flow, host), weight, bias in zip(pairs, self.link_weight, self.link_bias, strict=True):
            found.append((z["flow"][flow] * z["host"][host]) @ weight + bias)
        return torch.cat(found)


def to_hetero(graphs: WindowGraphs) -> list[HeteroData]:
    """Turn every window that holds flows into PyG's own form."""
    made = []
    for number in range(len(graphs)):
        window = graphs[number : number + 1]
        if not len(window.flow_id):
            continue
        data = HeteroData()
        data["flow"].x = torch.tensor(window.flow_x)
        data["host"].x = torch.ones(len(window.node_key), 1)
        flow = torch.arange(len(window.flow_id))
        for edge, ends in ((SOURCE, window.flow_src), (TARGET, window.flow_dst)):
            index = torch.stack([flow, torch.tensor(ends).long()])
            data[edge].edge_index = index
            data[REVERSED[edge]].edge_index = index.flip(0)
        made.append(data)
    return made


def draw(data: HeteroData, settings: Settings, rng: torch.Generator) -> Draws:
    """Draw one step's augmentation and noise."""
    flows, hosts = data["flow"].num_nodes, data["host"].num_nodes
    there: dict[str, Any] = {"generator": rng, "device": rng.device}
    ends = torch.stack([data[edge].edge_index[1] for edge in (SOURCE, TARGET)])
    negatives = torch.full_like(ends, -1)
    if hosts > 1:
        # A step of 1 to hosts - 1 around the ring of hosts never returns to the true one.
        other = (ends + torch.randint(1, hosts, ends.shape, **there)) % hosts
        chosen = torch.rand(ends.shape, **there) < settings.rate
        negatives = torch.where(chosen, other, negatives)
    return Draws(
        keep=torch.rand(ends.shape, **there) >= settings.rate,
        masked=torch.rand(flows, **there) < settings.rate,
        negatives=negatives,
        flow_noise=torch.randn(flows, settings.hidden, **there),
        host_noise=torch.randn(hosts, settings.hidden, **there),
    )


def window_sums(network: Network, data: HeteroData, draws: Draws) -> dict[str, Tensor]:
    """Add up each loss term over one augmented window."""
    flow_x = torch.where(draws.masked[:, None], network.token, data["flow"].x)
    kept = {}
    for keep, edge in zip(draws.keep, (SOURCE, TARGET), strict=True):
        index = data[edge].edge_index[:, keep]
        kept[edge], kept[REVERSED[edge]] = index, index.flip(0)
    mu, logvar = network.encode({"flow": flow_x, "host": data["host"].x}, kept)
    noise = {"flow": draws.flow_noise, "host": draws.host_noise}
    z = {kind: mu[kind] + noise[kind] * (logvar[kind] / 2).exp() for kind in mu}
    decoded = network.decode(z, kept)
    positive = network.links(z, [data[edge].edge_index for edge in (SOURCE, TARGET)])
    negative = network.links(z, [_negative(hosts) for hosts in draws.negatives])
    kl = torch.cat([_kl(mu[kind], logvar[kind]) for kind in mu])
    return {
        "feature": (decoded - data["flow"].x).square().sum(),
        "positive": functional.softplus(-positive).sum(),
        "negative": functional.softplus(negative).sum(),
        "kl": kl.sum(),
    }


def _negative(hosts: Tensor) -> Tensor:
    flow = (hosts >= 0).nonzero().flatten()
    return torch.stack([flow, hosts[flow]])


def _kl(mu: Tensor, logvar: Tensor) -> Tensor:
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1)


def train(
    network: Network,
    windows: Sequence[HeteroData],
    settings: Settings,
    *,
    epochs: int,
    accumulate: int = 1,
    draws: Callable[[int, int], Draws] | None = None,
    seed: int = 0,
) -> list[float]:
    """Train window by window and return each epoch's mean loss, weighted by flows.

    Args:
        network: Its weights are where the training starts, on the device of the windows.
        windows: Windows in order of time, each with flows.
        settings: See `Settings`.
        epochs: How often all windows are walked through.
        accumulate: Windows per step of the optimizer; every term is then a mean over all of them.
        draws: Gives the draws of (epoch, window); drawn from `seed` where absent.
        seed: Of the draws.
    """
    rng = torch.Generator(network.token.device).manual_seed(seed)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    curve = []
    for epoch in range(epochs):
        weight = min(epoch / settings.anneal_epochs, 1.0)
        total, flows = 0.0, 0
        for group in _groups(len(windows), accumulate):
            given = [
                draw(windows[n], settings, rng) if draws is None else draws(epoch, n) for n in group
            ]
            optimizer.zero_grad()
            loss = _backward(network, [windows[n] for n in group], given, weight)
            optimizer.step()
            size = sum(windows[n]["flow"].num_nodes for n in group)
            total, flows = total + loss * size, flows + size
        curve.append(total / flows)
    return curve


def _groups(windows: int, accumulate: int) -> Iterator[range]:
    for first in range(0, windows, accumulate):
        yield range(first, min(first + accumulate, windows))


def _backward(
    network: Network, windows: Sequence[HeteroData], draws: Sequence[Draws], weight: float
) -> float:
    """Add up the gradients of the loss over these windows; one window at a time is in memory."""
    counts = {"feature": 0, "positive": 0, "negative": 0, "kl": 0}
    for window, drawn in zip(windows, draws, strict=True):
        flows = window["flow"].num_nodes
        counts["feature"] += window["flow"].x.numel()
        counts["positive"] += 2 * flows
        counts["negative"] += int((drawn.negatives >= 0).sum())
        counts["kl"] += flows + window["host"].num_nodes
    share = {"feature": 1.0, "positive": 0.5, "negative": 0.5, "kl": weight}
    value = 0.0
    for window, drawn in zip(windows, draws, strict=True):
        sums = window_sums(network, window, drawn)
        loss = sum(
            (share[name] / max(counts[name], 1) * term for name, term in sums.items()),
            start=torch.zeros((), device=network.token.device),
        )
        torch.autograd.backward(loss)
        value += loss.item()
    return value


@torch.no_grad()
def score(network: Network, windows: Sequence[HeteroData]) -> list[dict[str, Tensor]]:
    """Return the three terms of each flow, window by window, from mu."""
    found = []
    for data in windows:
        mu, logvar = network.encode(data.x_dict, data.edge_index_dict)
        decoded = network.decode(mu, data.edge_index_dict)
        logits = network.links(mu, [data[edge].edge_index for edge in (SOURCE, TARGET)])
        found.append(
            {
                "feature": (decoded - data["flow"].x).square().mean(1),
                "structure": functional.softplus(-logits).view(2, -1).mean(0),
                "kl": _kl(mu["flow"], logvar["flow"]),
            }
        )
    return found
