"""What a run keeps so that it can be looked at later: curves, timeline, traffic, alerts, a sample.

`collect` is called by the runner's last step alone; `netvigil.report` draws what it left.
"""

from __future__ import annotations

from netvigil.evidence.tables import FOLDER, Evidence, Facts

__all__ = ["FOLDER", "Evidence", "Facts"]
