"""`netvigil data audit`: is this data set able to tell a good detector from a trivial one?

Looks for repeats, columns and hosts that give the label away, labels that follow
the clock, and published defects. Refuses to know any detector's scores.
"""

from __future__ import annotations

from netvigil.audit.defects import Defect, Traits, known_defects
from netvigil.audit.examine import audit
from netvigil.audit.report import Audit, ClassRow, Finding
from netvigil.audit.shortcuts import FeatureAuc, RuleAuc, Stump

__all__ = [
    "Audit",
    "ClassRow",
    "Defect",
    "FeatureAuc",
    "Finding",
    "RuleAuc",
    "Stump",
    "Traits",
    "audit",
    "known_defects",
]
