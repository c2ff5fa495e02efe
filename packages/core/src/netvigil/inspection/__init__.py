"""`netvigil data inspect --html`: one page about a source of flows, before anything learns from it.

Columns, distributions, correlations, classes over time, rare values and memory. Labels are read to
colour pictures and for nothing else; no detector's scores are known here.
"""

from __future__ import annotations

from netvigil.inspection.labels import Labelled, labelled
from netvigil.inspection.look import look_into
from netvigil.inspection.measure import Inspection, measure

__all__ = ["Inspection", "Labelled", "labelled", "look_into", "measure"]
