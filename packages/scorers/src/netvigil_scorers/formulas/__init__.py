"""What each fitted detector remembers, and how it scores a block of flows from that.

A formula is a frozen dataclass of arrays and plain values, so a bundle holds no detector object and
loading one imports no PyOD. `learn` fits the PyOD detector and reads it out; `score` gives what the
detector's own `decision_function` gives (tested to 1e-9), but never looks at a flow's companions.
"""

from __future__ import annotations

from netvigil_scorers.formulas.cblof import Cblof
from netvigil_scorers.formulas.forest import Forest
from netvigil_scorers.formulas.formula import Formula
from netvigil_scorers.formulas.gaussian import Mahalanobis, Mixture
from netvigil_scorers.formulas.hbos import Hbos
from netvigil_scorers.formulas.held import Held
from netvigil_scorers.formulas.kernel import Kernel
from netvigil_scorers.formulas.neighbours import Density, Distance
from netvigil_scorers.formulas.pca import Pca

__all__ = [
    "Cblof",
    "Density",
    "Distance",
    "Forest",
    "Formula",
    "Hbos",
    "Held",
    "Kernel",
    "Mahalanobis",
    "Mixture",
    "Pca",
]
