"""What the micro-benchmarks of networks do alike."""

from __future__ import annotations

from typing import Any

from netvigil.contracts import WindowGraphs
from netvigil.torch.device import settle


class Encodes:
    """Of a case whose `prepared` is a fitted encoder and windows: encodes these once."""

    device: str

    def run(self, prepared: Any) -> int:
        """Encode them; returns the number of flows."""
        made, graphs = prepared
        encoded = made.encode(graphs)
        settle(self.device)
        return len(encoded)


class Classifies:
    """Of a case whose `prepared` is a fitted classifier and windows: classifies these once."""

    device: str

    def run(self, prepared: Any) -> int:
        """Classify them; returns the number of flows."""
        made, graphs = prepared
        found = made.classify(graphs)
        settle(self.device)
        return len(found)


def seen(graphs: WindowGraphs) -> int:
    """Return the bytes of what a network sees of flows: their features and where they point."""
    return graphs.flow_x.nbytes + graphs.flow_src.nbytes + graphs.flow_dst.nbytes
