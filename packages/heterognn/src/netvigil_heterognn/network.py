"""The network: modules, shapes in, shapes out.

Flows and hosts are nodes, and a flow is linked to its source and its destination by four relations,
each with weights of its own: source to flow, destination to flow, and back. For one layer

    h_v = LeakyReLU( sum_r W_r mean_{u in N_r(v)} h_u + W_self h_v + b )

which is PyG's `SAGEConv(mean)` per relation inside `HeteroConv(aggr="sum")`, whose own matrices and
biases add up to one each (the article's two relations forget direction; see the README). A flow has
one source and one destination, so means over them are look-ups.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from netvigil.torch.segments import spread
from netvigil_heterognn.batch import HeteroBatch
from netvigil_heterognn.config import HeteroFlowGNNConfig


class Layer(nn.Module):
    """One layer; the last one of a network gives flows alone."""

    def __init__(self, flows: int, hosts: int, out: int, *, last: bool) -> None:
        super().__init__()
        self.flow_own = nn.Linear(flows, out)
        self.source_to_flow = nn.Linear(hosts, out, bias=False)
        self.destination_to_flow = nn.Linear(hosts, out, bias=False)
        self.last = last
        if not last:
            self.host_own = nn.Linear(hosts, out)
            self.flow_to_source = nn.Linear(flows, out, bias=False)
            self.flow_to_destination = nn.Linear(flows, out, bias=False)

    def forward(self, batch: HeteroBatch, flows: Tensor, hosts: Tensor) -> tuple[Tensor, Tensor]:
        """Return [flows, out] and [nodes, out] before the activation; hosts as they are if last."""
        source, destination = batch.sides
        to_flows = self.flow_own(flows)
        to_flows = to_flows + spread(self.source_to_flow(hosts), source)
        to_flows = to_flows + spread(self.destination_to_flow(hosts), destination)
        if self.last:
            return to_flows, hosts
        to_hosts = self.host_own(hosts)
        to_hosts = to_hosts + self.flow_to_source(batch.mean_sent(flows))
        return to_flows, to_hosts + self.flow_to_destination(batch.mean_received(flows))


class Network(nn.Module):
    """Layers, and a linear map to one logit per class.

    Shapes:
        forward: [flows, classes]
    """

    def __init__(
        self, features: int, hosts: int, classes: int, config: HeteroFlowGNNConfig
    ) -> None:
        super().__init__()
        self.slope = config.slope
        widths = [(features, hosts), *[(config.hidden, config.hidden)] * (config.layers - 1)]
        self.layers = nn.ModuleList(
            Layer(f, h, config.hidden, last=number == config.layers)
            for number, (f, h) in enumerate(widths, start=1)
        )
        self.classes = nn.Linear(config.hidden, classes)

    def forward(self, batch: HeteroBatch) -> Tensor:
        """Return logits."""
        flows, hosts = batch.graph.x, batch.hosts
        for layer in self.layers:
            flows, hosts = layer(batch, flows, hosts)
            flows = functional.leaky_relu(flows, self.slope)
            hosts = functional.leaky_relu(hosts, self.slope)
        logits: Tensor = self.classes(flows)
        return logits
