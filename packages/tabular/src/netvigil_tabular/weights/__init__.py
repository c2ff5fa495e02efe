"""Synthetic traffic weights: many small graphs of one network, some of them anomalous, with truth.

Every row is one graph: the weight of each pair of nodes, such as the bytes they exchanged in a
minute. The setting of a published notebook (3 nodes, base 20, multiplier 5) is the default; what it
lacks is here: labels, seeds, edges of different scale, and more kinds of anomaly than one.

    python -m netvigil_tabular.weights --to weights --nodes 3 --graphs 10000 --seed 0
"""

from __future__ import annotations

from netvigil_tabular.weights.generate import KINDS, NORMAL, TrafficWeights, generate
from netvigil_tabular.weights.rules import (
    FlattenedMean,
    PerEdgeQuantile,
    PerEdgeRobust,
    Verdict,
    judge,
)

__all__ = [
    "KINDS",
    "NORMAL",
    "FlattenedMean",
    "PerEdgeQuantile",
    "PerEdgeRobust",
    "TrafficWeights",
    "Verdict",
    "generate",
    "judge",
]
