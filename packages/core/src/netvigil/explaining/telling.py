"""From an explainer's numbers to what a person reads: one flow with its features and neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from netvigil import parts
from netvigil.classes import verdicts
from netvigil.contracts import Contribution, Explanation, FlowFeatures, FlowTable, WindowGraphs
from netvigil.explaining import words
from netvigil.explaining.results import Check, ExplainedFlow, FeaturePart, FlowsPart, Told
from netvigil.features import extract
from netvigil.outputs import alerts_of, errors_at
from netvigil.pipeline import Pipeline, encode_checked

IDS = 20  # flow ids listed of a group of flows
OTHERS = "all other features"


def tell(
    pipeline: Pipeline,
    flows: FlowTable,
    window: WindowGraphs,
    rows: NDArray[np.int64],
    score: NDArray[np.float64],
    explained: Sequence[tuple[parts.Explainer, Sequence[Explanation]]],
    *,
    alert: NDArray[np.bool_],
) -> list[ExplainedFlow]:
    """Put what explainers found about some flows of a window into words.

    Shapes:
        flows: those of the window, in its order; rows: int64 [explained]; score: float64
            [explained]; alert: bool [explained], whether the score lies above the flow's cut
        explained: explainer -> [explained]
    """
    chosen = flows.take(rows)
    raw = extract(chosen, pipeline.contract)
    reasons = _reasons(pipeline, chosen, window, rows, score)
    found = []
    for place, row in enumerate(chosen.table.to_pylist()):
        told = [
            _told(
                pipeline,
                part,
                each[place],
                flows,
                row,
                _row(raw, place),
                window.flow_x[rows[place]],
            )
            for part, each in explained
        ]
        raised = bool(alert[place])
        found.append(_flow(row, float(score[place]), reasons[place], told, flows, alert=raised))
    return found


def _flow(
    row: dict[str, Any],
    score: float,
    reasons: list[str],
    told: list[Told],
    flows: FlowTable,
    *,
    alert: bool,
) -> ExplainedFlow:
    clock = flows.info.time_basis == "clock"
    return ExplainedFlow(
        flow_id=row["flow_id"],
        when=row["start"].isoformat() if clock else None,
        seconds=(row["end"] - row["start"]).total_seconds() if clock else None,
        src=row["src_ip"],
        src_port=row["src_port"],
        dst=row["dst_ip"],
        dst_port=row["dst_port"],
        protocol=row["protocol"],
        packets=_both_ways(row, "packets"),
        bytes=_both_ways(row, "bytes"),
        score=score,
        alert=alert,
        reasons=tuple(reasons),
        told=tuple(told),
    )


def _both_ways(row: dict[str, Any], unit: str) -> int | None:
    there, back = row[f"fwd_{unit}"], row[f"bwd_{unit}"]
    return None if there is None else there + (back or 0)


def _told(
    pipeline: Pipeline,
    part: parts.Explainer,
    found: Explanation,
    flows: FlowTable,
    row: dict[str, Any],
    raw: FlowFeatures,
    x: NDArray[np.float32],
) -> Told:
    groups = pipeline.profile.groups()

    def feature(each: Contribution) -> FeaturePart:
        if each.kind == "rest":
            return FeaturePart(kind="rest", name="", amount=each.amount, words=OTHERS)
        said, deviations = words.feature(each.name, groups[each.name], pipeline.profile, raw, x)
        return FeaturePart(
            kind="feature", name=each.name, amount=each.amount, words=said, deviations=deviations
        )

    def around(each: Contribution) -> FlowsPart:
        others = flows.take(each.rows)
        return FlowsPart(
            kind=cast("Any", each.kind),
            words=words.flows(each.kind, others, row),
            flows=len(others),
            flow_ids=tuple(others.flow_id[:IDS].tolist()),
            amount=each.amount,
        )

    features = [each for each in found.contributions if each.kind in {"feature", "rest"}]
    others = [each for each in found.contributions if each.kind not in {"feature", "rest"}]
    return Told(
        explainer=part.name,
        about=part.about,
        unit=part.unit,
        features=tuple(map(feature, features)),
        neighbours=tuple(map(around, others)),
        check=Check.of(found.faithfulness),
        remarks=found.remarks,
    )


def _reasons(
    pipeline: Pipeline,
    chosen: FlowTable,
    window: WindowGraphs,
    rows: NDArray[np.int64],
    score: NDArray[np.float64],
) -> list[list[str]]:
    """Return the reasons that alerts of these flows state, above the cut or not."""
    verdict = None
    if pipeline.assembly.classifier is not None:
        encoded = encode_checked(pipeline.encoder, pipeline.assembly.encoder.name, window)
        verdict = verdicts(encoded)[rows]
    alerts = alerts_of(
        pipeline,
        chosen,
        score,
        window.flow_x[rows],
        "",
        cut=-np.inf,
        verdict=verdict,
        errors=errors_at(pipeline, window, rows),
    )
    return cast("list[list[str]]", alerts.table["reasons"].to_pylist())


def _row(raw: FlowFeatures, place: int) -> FlowFeatures:
    """Return one flow's features."""
    categories = {name: values.slice(place, 1) for name, values in raw.categories.items()}
    return FlowFeatures(raw.x[place : place + 1], raw.names, categories)
