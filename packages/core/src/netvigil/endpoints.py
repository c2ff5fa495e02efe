"""What flows are counted by: their hosts, alone and as a pair, and their service there.

A service is a destination port with a protocol. The keys are `netvigil.addresses`' 64-bit keys, so
what is fitted holds no address in clear.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netvigil.addresses import combine
from netvigil.contracts import WindowGraphs
from netvigil.errors import ContractError

Subject = Literal[
    "source", "destination", "pair", "source-service", "destination-service", "pair-service"
]
Keys = NDArray[np.uint64]


def subject_keys(windows: WindowGraphs, *, encoder: str) -> dict[Subject, Keys]:
    """Return each flow's key by what is counted, uint64 [flows] each.

    Raises:
        ContractError: Windows without hosts, or of a builder that keeps no services.
    """
    if windows.schema != "flow-host" or windows.flow_service is None:
        lack = "service keys" if windows.schema == "flow-host" else "hosts"
        msg = f"Encoder '{encoder}' looks endpoints up, but these windows have no {lack}."
        raise ContractError(msg, do='Use [graph] builder = "flow-host" of netvigil-flowprep.')
    source_row, destination_row = windows.node_rows()
    source, destination = windows.node_key[source_row], windows.node_key[destination_row]
    service = windows.flow_service
    pair = combine(source, destination)
    return {
        "source": source,
        "destination": destination,
        "pair": pair,
        "source-service": combine(source, service),
        "destination-service": combine(destination, service),
        "pair-service": combine(pair, service),
    }
