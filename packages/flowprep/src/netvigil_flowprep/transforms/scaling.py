"""(x - center) / scale per column, then a clip: what `robust-scale` and `min-max` share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import blocks, own_copy, require_columns


@dataclass(frozen=True)
class Scaling:
    """What was learnt of some columns.

    Shapes:
        center, scale: float32 [features]; a column that the train range does not spread has scale 1

    Raises:
        ContractError: A center or scale is not finite.
    """

    names: tuple[str, ...]
    center: NDArray[np.float32]
    scale: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.center).all() and np.isfinite(self.scale).all()):
            msg = "The train range holds infinity, or spreads beyond the range of float32."
            raise ContractError(msg, do="Put `clean` and `log1p` first among features.transforms.")

    @classmethod
    def of(cls, features: FlowFeatures, center: list[float], scale: list[float]) -> Self:
        """Keep what was learnt; a scale that float32 cannot hold counts as none."""
        with np.errstate(over="ignore", under="ignore"):
            spread = np.array(scale, np.float32)
            spread[spread == 0] = 1
            return cls(features.names, np.array(center, np.float32), spread)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Read what `to_state` wrote."""
        return cls(tuple(state.values["names"]), state.arrays["center"], state.arrays["scale"])

    def to_state(self) -> State:
        """Return arrays and names for a bundle."""
        arrays = {"center": self.center, "scale": self.scale}
        return State(arrays=arrays, values={"names": list(self.names)})

    def apply(
        self, part: str, features: FlowFeatures, *, low: float | None, high: float | None
    ) -> FlowFeatures:
        """Return scaled features, clipped where there are bounds; missing values stay missing."""
        require_columns(part, self.names, features)
        x = own_copy(features.x)
        most = np.finfo(np.float32).max
        bounds = (-most if low is None else low, most if high is None else high)
        # What overflows float32 meets a bound, so the result is finite.
        with np.errstate(over="ignore"):
            for block in blocks(x):
                np.subtract(block, self.center, out=block)
                np.divide(block, self.scale, out=block)
                np.clip(block, *bounds, out=block)
        return replace(features, x=x)

    def undo(self, part: str, features: FlowFeatures) -> FlowFeatures:
        """Return features as they were before `apply`, but for what was clipped."""
        require_columns(part, self.names, features)
        most = np.finfo(np.float32).max
        with np.errstate(over="ignore"):
            x = np.clip(features.x * self.scale + self.center, -most, most)
        return replace(features, x=x)
