"""What the micro-benchmarks of networks do alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from netvigil.contracts import EncodedFlows, WindowGraphs
from netvigil.torch.device import settle


class _Asks(ABC):
    """Of a case whose `prepared` is a fitted network and windows: asks about these once."""

    device: str

    @abstractmethod
    def ask(self, made: Any, graphs: WindowGraphs) -> EncodedFlows:
        """Return what the network says of the flows."""

    def run(self, prepared: Any) -> int:
        """Ask; returns the number of flows, once the device is done."""
        found = self.ask(*prepared)
        settle(self.device)
        return len(found)


class Encodes(_Asks):
    """Of a case that encodes windows."""

    def ask(self, made: Any, graphs: WindowGraphs) -> EncodedFlows:
        """Encode them."""
        encoded: EncodedFlows = made.encode(graphs)
        return encoded


class Classifies(_Asks):
    """Of a case that classifies windows."""

    def ask(self, made: Any, graphs: WindowGraphs) -> EncodedFlows:
        """Classify them."""
        found: EncodedFlows = made.classify(graphs)
        return found


def seen(graphs: WindowGraphs) -> int:
    """Return the bytes of what a network sees of flows: their features and where they point."""
    return graphs.flow_x.nbytes + graphs.flow_src.nbytes + graphs.flow_dst.nbytes
