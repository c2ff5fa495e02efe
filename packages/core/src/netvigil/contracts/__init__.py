"""What passes between rooms: frozen, self-checking, never a dict, never a bare data frame."""

from __future__ import annotations

from netvigil.contracts.alerts import ALERTS, AlertTable
from netvigil.contracts.encodings import EncodedFlows
from netvigil.contracts.explanations import Contribution, Explanation, Faithfulness
from netvigil.contracts.features import FlowFeatures
from netvigil.contracts.flows import CANONICAL, OPTIONAL, FlowBatch, FlowInfo, FlowTable, ReadReport
from netvigil.contracts.graphs import WindowGraphs, WindowStream, require_reiterable
from netvigil.contracts.joins import JoinedFlows
from netvigil.contracts.labels import LABELS, AlignedLabels, LabelTable
from netvigil.contracts.scores import ScoreTable

__all__ = [
    "ALERTS",
    "CANONICAL",
    "LABELS",
    "OPTIONAL",
    "AlertTable",
    "AlignedLabels",
    "Contribution",
    "EncodedFlows",
    "Explanation",
    "Faithfulness",
    "FlowBatch",
    "FlowFeatures",
    "FlowInfo",
    "FlowTable",
    "JoinedFlows",
    "LabelTable",
    "ReadReport",
    "ScoreTable",
    "WindowGraphs",
    "WindowStream",
    "require_reiterable",
]
