"""`explanations.json`: what `netvigil explain` found, in words and numbers, ready to be shown.

Text in it may come from traffic and is kept as it is; whoever prints it escapes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from netvigil.contracts import Faithfulness
from netvigil.errors import RunError

FILE = "explanations.json"


class Model(BaseModel):
    """The base of every part of the document: frozen, unknown keys refused, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Check(Model):
    """How far the score falls without what is named, and without as much at random."""

    named: float
    random: float
    things: int
    draws: int
    pool: str

    @staticmethod
    def of(found: Faithfulness | None) -> Check | None:
        """Take over an explainer's check."""
        if found is None:
            return None
        return Check(
            named=found.named,
            random=found.random,
            things=found.things,
            draws=found.draws,
            pool=found.pool,
        )


class FeaturePart(Model):
    """A feature's amount, with its value and what is usual, in words.

    `deviations` says where the transformed value lies, in train deviations from the train mean;
    None for what is not one number. `rest` stands for all features that were not told apart.
    """

    kind: Literal["feature", "rest"]
    name: str
    amount: float
    words: str
    deviations: float | None = None


class FlowsPart(Model):
    """Flows around the one explained, and how far its score falls without them.

    `flow_ids` are the first of them.
    """

    kind: Literal["host", "pair", "flow"]
    words: str
    flows: int
    flow_ids: tuple[int, ...]
    amount: float


class Told(Model):
    """What one explainer says of one flow; the larger amounts first."""

    explainer: str
    about: Literal["features", "neighbours"]
    unit: str
    features: tuple[FeaturePart, ...] = ()
    neighbours: tuple[FlowsPart, ...] = ()
    check: Check | None = None
    remarks: tuple[str, ...] = ()


class ExplainedFlow(Model):
    """One flow: when, who, how much, its score, and what each explainer says of it.

    `when` is ISO 8601 UTC, None without a clock.
    """

    flow_id: int
    when: str | None
    seconds: float | None
    src: str | None
    src_port: int | None
    dst: str | None
    dst_port: int | None
    protocol: int | None
    packets: int | None
    bytes: int | None
    score: float
    alert: bool
    reasons: tuple[str, ...]
    told: tuple[Told, ...]


class ExplainerUse(Model):
    """An explainer, its settings and who provides it."""

    name: str
    about: str
    unit: str
    config: dict[str, Any]
    distribution: str
    version: str


class SourceUse(Model):
    """A source that was read to explain, by name and digest."""

    name: str
    sha256: str


class Explanations(Model):
    """The whole document; `summary` is explainer -> feature -> mean absolute amount over flows."""

    schema_version: Literal["netvigil.explanations/1"] = "netvigil.explanations/1"
    sources: tuple[SourceUse, ...]
    bundle: str
    method: str
    cut: float
    seed: int
    train_flows: int
    explainers: tuple[ExplainerUse, ...]
    flows: tuple[ExplainedFlow, ...]
    summary: dict[str, dict[str, float]]

    def told(self, about: str) -> Iterator[tuple[ExplainedFlow, Told]]:
        """Yield each flow with what the first explainer of a kind says of it."""
        for flow in self.flows:
            for told in flow.told:
                if told.about == about:
                    yield flow, told
                    break

    def to_json(self) -> str:
        """Return the document; the same run gives the same text."""
        return self.model_dump_json(indent=1) + "\n"

    @staticmethod
    def load(path: Path) -> Explanations | None:
        """Read a document back, or return None where there is none.

        Raises:
            RunError: It is damaged, or of another version.
        """
        if not path.exists():
            return None
        try:
            return Explanations.model_validate_json(path.read_bytes())
        except (ValidationError, OSError) as error:
            msg = "The explanations are damaged, or of another version."
            do = "Remove the file, or run `netvigil explain` again."
            where = f"{path}: {str(error).splitlines()[0]}"
            raise RunError(msg, where=where, do=do) from error


def summary(flows: tuple[ExplainedFlow, ...]) -> dict[str, dict[str, float]]:
    """Return the mean absolute amount of each feature over the flows, the largest first."""
    sums: dict[str, dict[str, float]] = {}
    counts: dict[str, int] = {}
    for told in (told for flow in flows for told in flow.told if told.about == "features"):
        counts[told.explainer] = counts.get(told.explainer, 0) + 1
        found = sums.setdefault(told.explainer, {})
        for part in told.features:
            if part.kind == "feature":
                found[part.name] = found.get(part.name, 0.0) + abs(part.amount)
    return {
        name: {
            feature: total / counts[name]
            for feature, total in sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
        }
        for name, found in sums.items()
    }
