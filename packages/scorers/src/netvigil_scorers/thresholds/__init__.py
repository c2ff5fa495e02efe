"""Rules that choose the cut above which a flow becomes an alert.

Each module holds one rule: its config, a pure function `choose(config, calibration) -> Cut`, and,
where the rule promises a rate of alerts, `promise(config) -> Promise`. `Ruled` makes a threshold of
it. An alert needs a score strictly above the cut, so among equal scores all or none are alerts; a
rule that promises a number of alerts keeps it by taking none.
"""

from __future__ import annotations

from netvigil_scorers.thresholds.ruled import Cut, Ruled

__all__ = ["Cut", "Ruled"]
