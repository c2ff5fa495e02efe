"""What every builder does alike: cut flows into windows and hand their features on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures, FlowTable
from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil_flowprep.transforms.columns import row_major


class Windows(NamedTuple):
    """Consecutive windows of a batch; windows without flows are not among them.

    Shapes:
        number: int64 [windows], as `window_of` gave it; flow_ptr: int64 [windows + 1]
    """

    number: NDArray[np.int64]
    flow_ptr: NDArray[np.int64]


def cut(window: NDArray[np.int64]) -> Windows:
    """Find the windows in the window number of each flow.

    Raises:
        ContractError: The numbers decrease somewhere.

    Example:
        >>> cut(np.array([4, 4, 7]))
        Windows(number=array([4, 7]), flow_ptr=array([0, 2, 3]))
    """
    if not len(window):
        return Windows(window, np.zeros(1, np.int64))
    if np.any(window[1:] < window[:-1]):
        msg = "The window numbers of consecutive flows decrease."
        raise ContractError(msg, do="Flows come in the order of their start times.")
    first = np.flatnonzero(np.append(True, window[1:] != window[:-1]))
    return Windows(window[first], np.append(first, len(window)))


def row_numbers(flows: FlowTable, first_row: int) -> NDArray[np.int64]:
    """Return the number of each flow in its stream, int64 [flows]."""
    return np.arange(first_row, first_row + len(flows))


def row_major_features(features: FlowFeatures) -> NDArray[np.float32]:
    """Return features [flows, features] C-contiguous, without copying where they are so already."""
    if features.x.flags.c_contiguous:
        return features.x
    x = np.empty(features.x.shape, np.float32)
    row_major(features.x, x)
    return x


def require_clock(flows: FlowTable, where: str) -> None:
    """Refuse windows of time for flows that only have a row order.

    Raises:
        IncompatiblePartsError: The source has no clock.
    """
    if flows.info.time_basis != "clock":
        msg = (
            f"Flows read as '{flows.info.format}' have no clock, so windows of time are impossible."
        )
        raise IncompatiblePartsError(
            msg, where=where, do="Use windows that count flows: graph.window_flows = 10000."
        )
