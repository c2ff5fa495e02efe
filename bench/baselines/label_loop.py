"""Labelling the straightforward way: for each row of truth, look at all flows, both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

ENDS = ("src_ip", "src_port", "dst_ip", "dst_port")


def by_rows(
    flows: pd.DataFrame, truth: pd.DataFrame, *, tolerance: pd.Timedelta
) -> np.ndarray[Any, Any]:
    """Return which flows a row of truth matches, bool [flows]."""
    attack = np.zeros(len(flows), bool)
    columns = {name: flows[name].to_numpy() for name in (*ENDS, "protocol", "start", "end")}
    for row in truth.itertuples():
        near = columns["protocol"] == row.protocol
        near &= columns["start"] <= np.datetime64((row.end + tolerance).tz_localize(None))
        near &= columns["end"] >= np.datetime64((row.start - tolerance).tz_localize(None))
        for src, sport, dst, dport in (ENDS, (*ENDS[2:], *ENDS[:2])):
            attack |= (
                near
                & (columns["src_ip"] == getattr(row, src))
                & (columns["dst_ip"] == getattr(row, dst))
                & (columns["src_port"] == getattr(row, sport))
                & (columns["dst_port"] == getattr(row, dport))
            )
    return attack
