"""The door of netvigil-anomale: which parts exist. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netvigil import hookimpl, parts
from netvigil_anomale import presets
from netvigil_anomale.config import AnomalEConfig


def _make(config: Any) -> Any:
    from netvigil_anomale.encoder import AnomalE

    return AnomalE(config)


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """Anomal-E."""
    yield parts.Encoder(
        name="anomal-e",
        summary="Anomal-E: E-GraphSAGE on host graphs, trained by deep graph infomax.",
        config=AnomalEConfig,
        make=_make,
        accepts=("flow-host",),
        emits=frozenset({"embedding"}),
        passes="many",
        presets=presets.PRESETS,
        parity=presets.PARITY,
        spaces=presets.SPACES,
    )
