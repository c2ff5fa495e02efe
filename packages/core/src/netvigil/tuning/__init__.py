"""`netvigil tune`: a search for settings that never reads the test part of the split.

Data is prepared once; a trial lays one point of a space over the experiment, fits it with the
experiment's seeds on the train part and judges it on held-out windows or on the calibration part.
Two of the three objectives read no label; the third says so in every later receipt. Optuna, which
keeps the trials in a journal and proposes points, comes with `netvigil[tune]`.
"""

from __future__ import annotations

from netvigil.tuning.results import Tuning
from netvigil.tuning.search import tune

__all__ = ["Tuning", "tune"]
