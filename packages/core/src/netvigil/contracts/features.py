"""`FlowFeatures`: the numbers and categories a model may see, between table and graph.

Transforms map features to features. A column that is not in here cannot leak: endpoints, times,
identifiers and labels never are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.errors import ContractError


@dataclass(frozen=True)
class FlowFeatures:
    """Model input of some flows, before or after transforms.

    Shapes:
        x: float32 [flows, features]; NaN means missing, which only a transform such as `clean` may
            leave behind resolved
        names: [features]
        categories: name -> dictionary string array [flows], nulls allowed; a transform such as
            `categories` turns them into numeric features, and whatever is left at the end is not
            used

    Raises:
        ContractError: Shapes that disagree, names that repeat.
    """

    x: NDArray[np.float32]
    names: tuple[str, ...]
    categories: Mapping[str, pa.DictionaryArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.dtype != np.float32:
            msg = f"Features must be float32 [flows, features], not {self.x.dtype} {self.x.shape}."
            raise ContractError(msg)
        if self.x.shape[1] != len(self.names) or len(set(self.names)) != len(self.names):
            msg = (
                f"{self.x.shape[1]} feature columns need as many distinct names, not {self.names}."
            )
            raise ContractError(msg)
        for name, values in self.categories.items():
            if len(values) != len(self.x):
                msg = f"Category '{name}' has {len(values)} values for {len(self.x)} flows."
                raise ContractError(msg)

    def __len__(self) -> int:
        return len(self.x)
