"""Does it matter what an explanation names? Take it away, and as much at random, and score again.

An explanation that names the right things makes the score fall further than a random choice of as
many; one that names anything falls as far as chance. Such deletion tests are common: see Samek et
al. (2017), and the comprehensiveness of DeYoung et al. (2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from netvigil.contracts import Contribution, Faithfulness
from netvigil.explaining.copies import Perturbed
from netvigil.protocols import Scoring

NAMED = 3  # things taken away together: as many as a reader takes in
DRAWS = 20  # random choices: their mean is then known to a quarter of their spread


def of_features(
    scoring: Scoring, flow: Perturbed, found: Sequence[Contribution], rng: np.random.Generator
) -> Faithfulness | None:
    """Set the features that raise the score most to their train median, and as many random ones.

    None where no feature raises it. The random choice is among all features, those named included,
    so that a random explanation comes out at 0.
    """
    groups = scoring.groups
    named = [each.name for each in found if each.kind == "feature" and each.amount > 0][:NAMED]
    if not named:
        return None
    names = list(groups)
    choices = [named, *(_drawn(names, len(named), rng) for _ in range(DRAWS))]
    x = np.repeat(flow.x[None], len(choices), axis=0)
    for copy, chosen in enumerate(choices):
        for name in chosen:
            columns = list(groups[name])
            x[copy, columns] = scoring.median[columns]
    fall = flow.score - flow.scores(x)
    return Faithfulness(
        named=float(fall[0]),
        random=float(fall[1:].mean()),
        things=len(named),
        draws=DRAWS,
        pool="features",
    )


def generator(scoring: Scoring, flow_id: int) -> np.random.Generator:
    """Return a flow's own generator: what is drawn does not depend on the flows beside it."""
    return np.random.default_rng([scoring.seed, flow_id])


def contributions(amounts: Mapping[str, float]) -> list[Contribution]:
    """Return features by their amounts, the largest first, equal ones in the order given."""
    ranked = sorted(amounts.items(), key=lambda pair: -pair[1])
    return [Contribution("feature", float(amount), name=name) for name, amount in ranked]


def _drawn(names: list[str], count: int, rng: np.random.Generator) -> list[str]:
    return [names[k] for k in rng.choice(len(names), count, replace=False).tolist()]
