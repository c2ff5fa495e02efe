"""`best-f1`: the cut with the best F1 of the attack class on labelled flows. Supervised."""

from __future__ import annotations

import numpy as np

from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.parts import PartConfig
from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.ruled import Cut


class BestF1Config(PartConfig):
    """`best-f1` has no settings."""


def choose(config: BestF1Config, calibration: Calibration) -> Cut:
    """Try a cut below every distinct score; of equal F1 the highest cut wins, as it alerts least.

    Raises:
        IncompatiblePartsError: If there are no labels.
        ContractError: If no known flow of the calibration range is an attack.
    """
    del config
    if calibration.is_attack is None or calibration.known is None:
        msg = "Threshold 'best-f1' needs labels of the calibration range."
        raise IncompatiblePartsError(msg, do="Give [labels], or use a label-free threshold.")
    scores = calibration.score[calibration.known]
    attack = calibration.is_attack[calibration.known]
    if not attack.any():
        msg = f"None of the {len(scores):,} labelled calibration flows is an attack: no F1."
        raise ContractError(msg, do="Move the split, or use a label-free threshold.")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # the last flow of each tie
    hits = np.cumsum(attack[order])[last]
    f1 = 2.0 * hits / (last + 1 + attack.sum())
    best = int(np.argmax(f1))
    lowest = float(ranked[last[best]])
    below = (
        float(ranked[last[best + 1]])
        if best + 1 < len(last)
        else float(np.nextafter(lowest, -np.inf))
    )
    how = (
        f"Supervised: the best F1 of the attack class ({f1[best]:.4f}) on {len(scores):,} labelled "
        f"calibration flows, {int(attack.sum()):,} of them attacks."
    )
    return Cut(below, how)
