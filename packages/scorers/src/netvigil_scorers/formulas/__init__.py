"""What each fitted detector remembers, and how it scores a block of flows from that.

A formula is a frozen dataclass of arrays and plain values, so a bundle holds no detector object and
loading one imports no PyOD. `learn` fits PyOD's or scikit-learn's detector and reads it out;
`score` gives what its own `decision_function` gives (tested to 1e-9), where it has one, but never
looks at a flow's companions. Only `Ecod` and `Copod` do, and their parts say so: `transductive`.
"""

from __future__ import annotations

from netvigil_scorers.formulas.cblof import Cblof
from netvigil_scorers.formulas.clusters import Clusters, Dbscan, Hdbscan
from netvigil_scorers.formulas.company import Copod, Ecod
from netvigil_scorers.formulas.forest import Forest
from netvigil_scorers.formulas.formula import Formula
from netvigil_scorers.formulas.gaussian import Envelope, Mahalanobis, Mixture
from netvigil_scorers.formulas.hbos import Hbos
from netvigil_scorers.formulas.held import Held
from netvigil_scorers.formulas.kernel import Kernel, Nystroem
from netvigil_scorers.formulas.neighbours import Density, Distance
from netvigil_scorers.formulas.pca import Pca

__all__ = [
    "Cblof",
    "Clusters",
    "Copod",
    "Dbscan",
    "Density",
    "Distance",
    "Ecod",
    "Envelope",
    "Forest",
    "Formula",
    "Hbos",
    "Hdbscan",
    "Held",
    "Kernel",
    "Mahalanobis",
    "Mixture",
    "Nystroem",
    "Pca",
]
