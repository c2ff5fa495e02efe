"""`best-f-beta`: the cut with the best F-beta of the attack class on labelled flows. Supervised.

`best-f1` is the same with beta 1.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.parts import PartConfig
from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.ruled import Cut


class BestFBetaConfig(PartConfig):
    """Settings of `best-f-beta`."""

    beta: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="How many times as much recall counts as precision.",
    )


class BestF1Config(PartConfig):
    """`best-f1` has no settings."""

    beta: ClassVar[float] = 1.0


def choose(config: BestFBetaConfig | BestF1Config, calibration: Calibration) -> Cut:
    """Try a cut below every distinct score; of equal figures the highest cut, as it alerts least.

    Raises:
        IncompatiblePartsError: If there are no labels.
        ContractError: If no known flow of the calibration range is an attack.
    """
    name = "F1" if config.beta == 1 else f"F-beta (beta {config.beta:g})"
    if calibration.is_attack is None or calibration.known is None:
        msg = f"A threshold by best {name} needs labels of the calibration range."
        raise IncompatiblePartsError(msg, do="Give [labels], or use a label-free threshold.")
    scores = calibration.score[calibration.known]
    attack = calibration.is_attack[calibration.known]
    if not attack.any():
        msg = f"None of the {len(scores):,} labelled calibration flows is an attack: no {name}."
        raise ContractError(msg, do="Move the split, or use a label-free threshold.")
    ranked = np.sort(scores)
    # The best cut lies below an attack: to alert on benign flows alone raises no figure.
    tried, found = np.unique(scores[attack], return_counts=True)
    tried, hits = tried[::-1], np.cumsum(found[::-1])
    below_each = np.searchsorted(ranked, tried)  # flows with a lower score
    weight = config.beta**2
    figure = (1.0 + weight) * hits / (len(ranked) - below_each + weight * attack.sum())
    best = int(np.argmax(figure))
    lower = int(below_each[best])
    below = float(ranked[lower - 1]) if lower else float(np.nextafter(ranked[0], -np.inf))
    how = (
        f"Supervised: the best {name} of the attack class ({figure[best]:.4f}) on {len(scores):,} "
        f"labelled calibration flows, {int(attack.sum()):,} of them attacks."
    )
    return Cut(below, how)
