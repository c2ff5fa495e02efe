"""What an evaluation says, as frozen models that write and read plain JSON.

NaN and infinity are refused: a missing figure is None and carries its reason.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PromiseKind = Literal["share", "fpr", "alerts-per-day"]
ThresholdMode = Literal["label-free", "validation-labels", "oracle"]
Kind = Literal["method", "baseline"]


class Model(BaseModel):
    """Frozen, strict about keys, without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PromiseUse(Model):
    """What a threshold promises of traffic to come: a rate of at most `value`.

    `share` of all flows flagged, `fpr` the share of benign flows flagged, or `alerts-per-day`.
    """

    kind: PromiseKind
    value: float


class ThresholdUse(Model):
    """How a cut was chosen: the declared mode, the rule's name, and what it was set on, in words.

    `oracle` means that the test labels chose it; figures at such a cut stay out of the headline.
    `promise` is what the rule says about the rate of alerts, if it says anything.
    """

    mode: ThresholdMode
    rule: str
    provenance: str
    promise: PromiseUse | None = None


class Spread(Model):
    """One metric of one method over its seeds.

    `sd` divides by seeds - 1 and is None for one seed. `low` and `high` are the bootstrap interval
    of the mean over seeds, from `resamples` resamples that had both classes. `reason` says why a
    value is missing.
    """

    mean: float | None
    sd: float | None = None
    per_seed: tuple[float | None, ...]
    low: float | None = None
    high: float | None = None
    resamples: int = 0
    reason: str = ""


class Realised(Model):
    """What came of a promise on the test range.

    `rate` is the realised rate with the 95 % interval of its mean over seeds; `on` says in words
    which flows it was measured on, `flows` how many they are, `seconds` how long they last.
    """

    promise: PromiseUse
    on: str
    flows: int
    seconds: float | None
    rate: Spread


class AttackResult(Model):
    """One attack class against all benign flows of the test range."""

    attack: str
    support: int
    recall: Spread
    auroc: Spread


class ConfusionResult(Model):
    """Known flows by truth and decision, for one seed."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


class PairSupport(Model):
    """What the within-pair AUROC rests on."""

    pairs: int
    flows: int
    comparisons: int


class PpvAt(Model):
    """Share of alerts that would be attacks if attacks were this rare."""

    prevalence: float = Field(gt=0, lt=1)
    ppv: Spread


class OracleResult(Model):
    """The best F1 with a cut chosen on the test labels: marked, and never in a headline."""

    mode: Literal["oracle"] = "oracle"
    f1: Spread
    precision: Spread
    recall: Spread
    cuts: tuple[float | None, ...]


class ClassResult(Model):
    """One class of a classifier; `taught` is False for a class that only the test part has."""

    name: str
    taught: bool
    support: int
    precision: Spread
    recall: Spread
    f1: Spread


class ClassReport(Model):
    """How well a classifier names classes by arg max.

    `metrics` holds accuracy, balanced_accuracy, class_macro_f1, log_loss, brier and ece. `classes`
    are those taught, then those of the test part alone, whose `unseen_flows` count as errors
    everywhere. `confusion` counts, for the first seed, flows by class (rows) and by the class that
    they were taken for (columns, the taught ones).
    """

    metrics: dict[str, Spread]
    classes: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, ...], ...]
    unseen_flows: int


class MethodResult(Model):
    """One row of the comparison: a method or a baseline.

    `metrics` holds auroc, auprc, tpr_at_fpr_*, within_pair_auroc, and at the cut precision, recall,
    f1, macro_f1, mcc, ari (adjusted Rand index of alerts against attacks), fpr, alerts_per_hour; of
    a method that makes clusters also their number, `clusters`, and `cluster_ari`, the index of them
    against the same two classes. `seeds` is empty for a method without randomness. Where a cut
    moves, `cuts` are the first ones and `moved` the lowest and highest of each seed. `fit_s` and
    `score_s` are medians over seeds. A classifier, and nothing else, has `classes`.
    """

    method: str
    kind: Kind
    seeds: tuple[int, ...]
    metrics: dict[str, Spread]
    within_pair: PairSupport
    attacks: tuple[AttackResult, ...]
    threshold: ThresholdUse | None
    cuts: tuple[float | None, ...]
    moved: tuple[tuple[float, float] | None, ...] = ()
    confusions: tuple[ConfusionResult | None, ...]
    ppv: tuple[PpvAt, ...]
    oracle: OracleResult
    realised: Realised | None = None
    fit_s: float | None = None
    score_s: float | None = None
    classes: ClassReport | None = None

    @property
    def supervised(self) -> bool:
        """Whether labels taught it."""
        return self.classes is not None

    @property
    def title(self) -> str:
        """What tables call it: what is supervised says so."""
        return f"{self.method} SUPERVISED" if self.supervised else self.method


class Difference(Model):
    """Method minus reference in one metric, with the interval of the paired bootstrap."""

    method: str
    reference: str
    metric: str
    mean: float
    low: float | None
    high: float | None
    resamples: int


class BootstrapUse(Model):
    """What was resampled and why."""

    by: Literal["flow", "window"]
    units: int
    why: str
    resamples: int
    level: float
    seed: int


class Headline(Model):
    """All methods on the same known test flows; the positive class is the attack class.

    `excluded` counts flows of the attack classes that were left out.
    """

    positive_class: Literal["attack"] = "attack"
    flows: int
    attacks: int
    benign: int
    prevalence: float | None
    excluded: dict[str, int]
    bootstrap: BootstrapUse
    methods: tuple[MethodResult, ...]
    differences: tuple[Difference, ...]

    @property
    def title(self) -> str:
        """Say which flows this is about."""
        if not self.excluded:
            return "all known flows"
        return f"without {', '.join(self.excluded)}"


class Evaluation(Model):
    """Everything measured on the test range.

    `unknown` flows have no label and are left out of every metric but alerts per hour: an operator
    sees those alerts too. `exclude_unmatched` names excluded classes that no test flow has.
    """

    test_flows: int
    unknown: int
    seconds: float | None
    headline: Headline
    without_excluded: Headline | None
    exclude_unmatched: tuple[str, ...] = ()
