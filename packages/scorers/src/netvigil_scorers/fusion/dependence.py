"""How much the parts of `fused` agree where nothing is known to be wrong.

Which rule fits follows from dependence, which held-out train flows show without a label: the mean
of probabilities is valid however parts depend (Vovk and Wang, Biometrika 2020, section 3), Fisher's
rule needs independent ones and is then the best (Littell and Folks, JASA 1971).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from netvigil_scorers.fusion.combine import P


def dependence(parts: Mapping[str, P], groups: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return Spearman's rank correlation of parts, the mean over pairs.

    Shapes:
        parts: part -> [flows] each

    Returns:
        `within <group>` for each group of several parts, and `across` for pairs from two groups;
        what cannot be said (one part, parts that are constant) is left out

    Example:
        >>> rising = np.arange(4.0)
        >>> parts = {"a": rising, "b": rising**2, "c": np.array([1.0, 0.0, 0.0, 1.0])}
        >>> dependence(parts, {"both": ("a", "b"), "other": ("c",)})
        {'within both': 1.0, 'across': 0.0}
    """
    from scipy.stats import rankdata

    ranks = {name: rankdata(part) for name, part in parts.items()}
    ranks = {name: (r - r.mean()) / r.std() for name, r in ranks.items() if np.ptp(r) > 0}
    found: dict[str, list[float]] = {}
    member = [(group, name) for group, names in groups.items() for name in names if name in ranks]
    for (group, name), (other, partner) in combinations(member, 2):
        key = f"within {group}" if group == other else "across"
        found.setdefault(key, []).append(float(np.mean(ranks[name] * ranks[partner])))
    order = [*(f"within {group}" for group in groups), "across"]
    return {key: round(float(np.mean(found[key])), 3) + 0.0 for key in order if key in found}
