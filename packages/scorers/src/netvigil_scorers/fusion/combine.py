"""Rules that make one number of several tail probabilities; higher means more anomalous."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["fisher", "max", "mean-rank", "higher-criticism"]
P = NDArray[np.float64]


def fisher(p: P) -> P:
    """Return minus the sum of logarithms (Fisher 1932): weak evidence of many parts adds up.

    Shapes:
        p: float64 [parts, flows] in (0, 1]; returns [flows], as of every rule here

    Example:
        >>> fisher(np.array([[0.1], [0.01]])).round(3)
        array([6.908])
    """
    return np.asarray(-np.log(p).sum(axis=0))


def strongest(p: P) -> P:
    """Return minus the logarithm of the smallest (Tippett 1931): one part is enough.

    Example:
        >>> strongest(np.array([[0.1], [0.01]])).round(3)
        array([4.605])
    """
    return np.asarray(-np.log(p.min(axis=0)))


def mean_rank(p: P) -> P:
    """Return minus the mean: parts that ask one question vote, and none can shout.

    Example:
        >>> mean_rank(np.array([[0.1], [0.3]]))
        array([-0.2])
    """
    return np.asarray(-p.mean(axis=0))


def higher_criticism(p: P) -> P:
    """Return the largest standardised excess of small ones (Donoho and Jin 2004, section 1.1).

    Between one part and all of them: how many more are below some level than would be by chance.

    Example:
        >>> higher_criticism(np.array([[0.5], [0.5]])).round(3)
        array([1.414])
    """
    ordered = np.sort(p, axis=0)
    expected = np.arange(1, len(p) + 1)[:, None] / len(p)
    spread = np.sqrt(np.maximum(ordered * (1.0 - ordered), 1e-12) / len(p))
    return np.asarray(((expected - ordered) / spread).max(axis=0))


RULES: dict[Rule, Callable[[P], P]] = {
    "fisher": fisher,
    "max": strongest,
    "mean-rank": mean_rank,
    "higher-criticism": higher_criticism,
}
