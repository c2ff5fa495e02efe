"""Any other PyOD detector: kept whole, asked block by block, saved through skops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil_scorers.formulas.formula import GEMM_ROWS


@dataclass(frozen=True)
class Held:
    """A PyOD detector as it is; the part lists its types in `trusted_types`.

    Right for detectors that score flow by flow. One that ranks flows against the batch (ECOD,
    COPOD) stays wrong in fixed blocks too, and does not belong in the table.
    """

    block_rows: ClassVar[int] = GEMM_ROWS
    most_rows: ClassVar[int] = GEMM_ROWS

    detector: Any

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit the detector and keep it."""
        del config
        return cls(detector=detector.fit(rows))

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Ask the detector."""
        return np.asarray(
            self.detector.decision_function(rows.astype(np.float64)), dtype=np.float64
        )
