"""Scores and alerts along the time axis, and when each attack truly took place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.cuts import Cuts
from netvigil.evidence.bins import Bins
from netvigil.evidence.curves import TestTruth
from netvigil.evidence.tables import table
from netvigil.truth import ATTACK, BENIGN, UNKNOWN

EVENTS = 400  # of one class, drawn as shades; more would be a smear anyway


def timeline(
    parts: dict[str, tuple[Bins, NDArray[np.float64], TestTruth, Cuts]],
) -> pa.Table:
    """Return figures of each bin that holds flows, for the parts `calibrate` and `test`.

    Each part is its bins, its scores, float64 [flows], what is known about its flows, and the cut,
    or float64 [flows] of them; a bin's is that of its first flow.
    """
    pieces = []
    for part, (bins, score, truth, cut) in parts.items():
        first = np.flatnonzero(np.diff(bins.of_flow, prepend=-1))
        number = bins.of_flow[first]
        alert = score > cut
        sums = {
            "flows": np.ones(len(score), np.int64),
            "known": truth.state != UNKNOWN,
            "attacks": truth.state == ATTACK,
            "alerts": alert,
            "false_alerts": alert & (truth.state == BENIGN),
        }
        pieces.append(
            table(
                "timeline",
                bin=number if part == "test" else np.full(len(number), -1, np.int32),
                part=pa.array([part] * len(number), pa.string()),
                start=bins.start[number],
                end=bins.end[number],
                **{
                    name: np.add.reduceat(values.astype(np.int64), first)
                    for name, values in sums.items()
                },
                cut=np.broadcast_to(cut, score.shape)[first].astype(np.float64),
                score_max=np.maximum.reduceat(score, first),
                score_q95=_quantile(score, first, 0.95),
                score_median=_quantile(score, first, 0.5),
            )
        )
    return pa.concat_tables(pieces).unify_dictionaries().combine_chunks()


def _quantile(
    score: NDArray[np.float64], first: NDArray[np.int64], share: float
) -> NDArray[np.float64]:
    """Return the smallest score of each bin that `share` of its flows do not exceed."""
    sizes = np.diff(np.append(first, len(score)))
    order = np.lexsort((score, np.repeat(np.arange(len(first)), sizes)))
    rank = np.maximum(np.ceil(share * sizes).astype(np.int64) - 1, 0)
    return score[order][first + rank]


def events(
    when: NDArray[np.int64], end: NDArray[np.int64], truth: TestTruth, *, gap: int
) -> pa.Table:
    """Return when attack flows of one class followed one another within `gap`.

    Shapes:
        when, end: int64 [flows], first and last moment of each flow, `when` rising
    """
    rows = list(_events(when, end, truth, gap))
    return table(
        "events",
        attack=pa.array([name for name, *_ in rows], pa.string()),
        start=np.array([start for _, start, _, _ in rows], np.int64),
        end=np.array([stop for _, _, stop, _ in rows], np.int64),
        flows=np.array([count for *_, count in rows], np.int64),
    )


def _events(
    when: NDArray[np.int64], end: NDArray[np.int64], truth: TestTruth, gap: int
) -> Iterator[tuple[str, int, int, int]]:
    attacks = np.flatnonzero(truth.state == ATTACK)
    for code in np.unique(truth.attack[attacks]).tolist():
        rows = attacks[truth.attack[attacks] == code]
        name = truth.names[code] if code >= 0 else "attack"
        wide = gap
        while True:
            begins = np.flatnonzero(np.diff(when[rows], prepend=when[rows[0]] - wide - 1) > wide)
            if len(begins) <= EVENTS:
                break
            wide = max(2 * wide, 1)
        last = np.maximum.reduceat(end[rows], begins)
        sizes = np.diff(np.append(begins, len(rows)))
        for begin, stop, size in zip(begins, last, sizes, strict=True):
            yield name, int(when[rows[begin]]), int(stop), int(size)
