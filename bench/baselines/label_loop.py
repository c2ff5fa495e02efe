"""Labelling the straightforward way: for each row of truth, look at all flows, both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

ENDS = ("src_ip", "src_port", "dst_ip", "dst_port")


def by_rows(
    flows: pd.DataFrame, truth: pd.DataFrame, *, tolerance_s: float
) -> np.ndarray[Any, Any]:
    """Return which flows a row of truth matches, bool [flows]."""
    attack = np.zeros(len(flows), np.bool_)
    columns = {name: flows[name].to_numpy() for name in (*ENDS, "protocol", "start", "end")}
    tolerance = np.timedelta64(round(tolerance_s * 1e6), "us")
    for row in truth.to_dict("records"):
        near = columns["protocol"] == row["protocol"]
        near &= columns["start"] <= row["end"].to_datetime64() + tolerance
        near &= columns["end"] >= row["start"].to_datetime64() - tolerance
        for ends in (ENDS, (*ENDS[2:], *ENDS[:2])):
            found = near
            for ours, theirs in zip(ENDS, ends, strict=True):
                found = found & (columns[ours] == row[theirs])
            attack |= found
    return attack
