"""The only room where scores and labels meet: metrics, intervals, the receipt and the table.

Positive class: attack, everywhere. An undefined figure is None and carries its reason, never NaN.
"""

from __future__ import annotations

from netvigil.evaluation.bootstrap import Interval, Resampler, interval, tpr_name
from netvigil.evaluation.class_table import ClassView, classes_to_markdown
from netvigil.evaluation.classes import ClassFigures, ClassShares, class_figures
from netvigil.evaluation.clusters import adjusted_rand
from netvigil.evaluation.judge import evaluate
from netvigil.evaluation.metrics import (
    FPR_LIMITS,
    AttackFigures,
    Confusion,
    WithinPair,
    alerts_per_hour,
    per_attack,
    within_pair,
)
from netvigil.evaluation.pitfalls import Pitfall, judge_pitfalls
from netvigil.evaluation.promises import poisson, promise_words, realised, wilson
from netvigil.evaluation.ranking import (
    BestF1,
    Figure,
    Ranking,
    auprc,
    auroc,
    best_f1,
    tpr_at_fpr,
)
from netvigil.evaluation.receipt import (
    DataUse,
    FeatureUse,
    Hardware,
    LabelUse,
    PartUse,
    Phase,
    Receipt,
    SplitUse,
    hardware,
    versions,
)
from netvigil.evaluation.results import (
    ClassReport,
    ClassResult,
    Difference,
    Evaluation,
    Headline,
    MethodResult,
    PromiseUse,
    Realised,
    Spread,
    ThresholdUse,
)
from netvigil.evaluation.summary import MethodScores
from netvigil.evaluation.table import (
    printable,
    receipt_lines,
    to_csv,
    to_json,
    to_markdown,
    to_rich,
    to_rows,
)

__all__ = [
    "FPR_LIMITS",
    "AttackFigures",
    "BestF1",
    "ClassFigures",
    "ClassReport",
    "ClassResult",
    "ClassShares",
    "ClassView",
    "Confusion",
    "DataUse",
    "Difference",
    "Evaluation",
    "FeatureUse",
    "Figure",
    "Hardware",
    "Headline",
    "Interval",
    "LabelUse",
    "MethodResult",
    "MethodScores",
    "PartUse",
    "Phase",
    "Pitfall",
    "PromiseUse",
    "Ranking",
    "Realised",
    "Receipt",
    "Resampler",
    "SplitUse",
    "Spread",
    "ThresholdUse",
    "WithinPair",
    "adjusted_rand",
    "alerts_per_hour",
    "auprc",
    "auroc",
    "best_f1",
    "class_figures",
    "classes_to_markdown",
    "evaluate",
    "hardware",
    "interval",
    "judge_pitfalls",
    "per_attack",
    "poisson",
    "printable",
    "promise_words",
    "realised",
    "receipt_lines",
    "to_csv",
    "to_json",
    "to_markdown",
    "to_rich",
    "to_rows",
    "tpr_at_fpr",
    "tpr_name",
    "versions",
    "wilson",
    "within_pair",
]
