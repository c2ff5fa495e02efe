"""How far simple rules get: each single column, host, port and time rules, and a decision stump.

A data set on which these suffice cannot tell a good detector from a trivial one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.addresses import combine, flow_keys
from netvigil.baselines import pair_keys, service_keys
from netvigil.contracts import FlowInfo, FlowTable
from netvigil.contracts.flows import CATEGORY
from netvigil.evaluation.ranking import Ranking, auroc
from netvigil.features import shortcut

TIME_BINS = 200
"""Bins of equal width over the whole time: half a per cent of it each."""
MISSING = -np.finfo(np.float64).max
"""A missing value ranks below every number."""


@dataclass(frozen=True)
class FeatureAuc:
    """How well one column alone ranks attacks: max(AUC, 1 - AUC), and which end they are at.

    `denied_as` says why netvigil leaves the column out of the features, None where it does not.
    """

    name: str
    auc: float
    attacks_are: str
    missing: float
    denied_as: str | None


@dataclass(frozen=True)
class RuleAuc:
    """AUC of a rule that knows only a key's attack rate, learnt on one fold and tried on the other.

    `folds` says how the flows were cut in two; `forward` and `backward` are the two directions.
    """

    rule: str
    folds: str
    forward: float | None
    backward: float | None
    auc: float | None
    reason: str = ""


@dataclass(frozen=True)
class Stump:
    """The best single cut on a single column, chosen on one half, tried on the other."""

    feature: str
    alert_if: str
    cut: float
    balanced_accuracy: float
    f1: float
    chosen_on: str


def single_features(table: pa.Table, is_attack: NDArray[np.bool_]) -> list[FeatureAuc]:
    """Rank flows by each numeric column alone, best first.

    Shapes:
        table: [flows, columns of a FlowTable]; is_attack: bool [flows]
    """
    found = []
    for name, values in _numbers(table):
        area = auroc(Ranking.of(values, is_attack)).value
        if area is None:
            return []
        found.append(
            FeatureAuc(
                name=name,
                auc=max(area, 1 - area),
                attacks_are="high" if area >= 0.5 else "low",
                missing=float((values == MISSING).mean()),
                denied_as=_denied(name),
            )
        )
    return sorted(found, key=lambda feature: (-feature.auc, feature.name))


def rules(table: pa.Table, info: FlowInfo, is_attack: NDArray[np.bool_]) -> list[RuleAuc]:
    """Try the host-only, port-only, category and time-only rules.

    Shapes:
        table: [flows, columns of a FlowTable], in time order; is_attack: bool [flows]
    """
    flows = FlowTable.trusted(table, info)
    halves = np.arange(len(is_attack)) >= len(is_attack) // 2
    when = "halves of the time" if info.time_basis == "clock" else "halves of the rows"
    found = [_rule(name, keys, is_attack, halves, when) for name, keys in _keys(flows)]
    if info.time_basis == "clock":
        # A time of the second half never occurs in the first, so time alone is tried on every
        # other flow: does knowing when tell the label?
        start = flows.start_us
        span = max(int(start[-1] - start[0]), 1)
        bins = ((start - start[0]).astype(np.float64) * TIME_BINS / span).astype(np.int64)
        folds = (combine(flows.flow_id) & np.uint64(1)).astype(np.bool_)
        keys = bins.astype(np.uint64)
        found.append(_rule("time only", keys, is_attack, folds, "random halves"))
    return sorted(found, key=lambda rule: (-(rule.auc or 0.0), rule.rule))


def stumps(table: pa.Table, is_attack: NDArray[np.bool_]) -> list[Stump]:
    """Choose the best stump on each half and try it on the other; none where a half has one class.

    Columns that are denied as features take no part.

    Shapes:
        table: [flows, columns of a FlowTable], in time order; is_attack: bool [flows]
    """
    middle = len(is_attack) // 2
    halves = (slice(0, middle), slice(middle, None))
    if any(not is_attack[half].any() or is_attack[half].all() for half in halves):
        return []
    best: dict[int, tuple[float, Stump]] = {}
    for name, values in _numbers(table):
        if _denied(name):  # what no model may see; how far it gets is said by `single_features`
            continue
        for number, half in enumerate(halves):
            gain, cut, above = _best_cut(Ranking.of(values[half], is_attack[half]))
            if number not in best or gain > best[number][0]:
                other, chosen = halves[1 - number], ("first half", "second half")[number]
                alert = (values[other] > cut) == above
                best[number] = (
                    gain,
                    _tried(name, cut, alert, is_attack[other], above=above, chosen=chosen),
                )
    return [stump for _, stump in best.values()]


def _numbers(table: pa.Table) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for name in table.column_names:
        column = table[name]
        if name == "flow_id" or pa.types.is_dictionary(column.type):
            continue
        if pa.types.is_string(column.type) or column.null_count == len(column):
            continue
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        yield name, column.cast(pa.float64(), safe=False).fill_null(MISSING).to_numpy()


def _keys(flows: FlowTable) -> Iterator[tuple[str, NDArray[np.uint64]]]:
    if flows.has_addresses:
        yield "source host only", flow_keys(flows.table["src_ip"])
        yield "destination host only", flow_keys(flows.table["dst_ip"])
        yield "host pair only", pair_keys(flows)
    if flows.table["dst_port"].null_count < len(flows):
        yield "destination port and protocol only", service_keys(flows)
    for name in flows.table.column_names:
        if name in ("conn_state", "l7_proto") or CATEGORY.match(name):
            yield f"{name} only", flow_keys(flows.table[name])


def _rule(
    name: str,
    keys: NDArray[np.uint64],
    is_attack: NDArray[np.bool_],
    second: NDArray[np.bool_],
    folds: str,
) -> RuleAuc:
    one = _learn_and_try(keys[~second], is_attack[~second], keys[second], is_attack[second])
    two = _learn_and_try(keys[second], is_attack[second], keys[~second], is_attack[~second])
    known = [area for area in (one, two) if area is not None]
    reason = "" if len(known) == 2 else "a fold has attack or benign flows only"
    mean = sum(known) / len(known) if known else None
    return RuleAuc(name, folds, forward=one, backward=two, auc=mean, reason=reason)


def _learn_and_try(
    keys: NDArray[np.uint64],
    is_attack: NDArray[np.bool_],
    new_keys: NDArray[np.uint64],
    truth: NDArray[np.bool_],
) -> float | None:
    """Rank new flows by the attack rate of their key, plus one flow at the base rate."""
    if not len(keys) or not is_attack.any():
        return None
    base = float(is_attack.mean())
    known, place = np.unique(keys, return_inverse=True)
    flows = np.bincount(place)
    rate = (np.bincount(place, weights=is_attack) + base) / (flows + 1)
    row = np.minimum(np.searchsorted(known, new_keys), len(known) - 1)
    return auroc(Ranking.of(np.where(known[row] == new_keys, rate[row], base), truth)).value


def _best_cut(ranking: Ranking) -> tuple[float, float, bool]:
    """Return Youden's J, the cut, and whether attacks lie above it."""
    gain = np.cumsum(ranking.attacks) / ranking.attacks.sum()
    gain -= np.cumsum(ranking.benign) / ranking.benign.sum()
    step = int(np.argmax(np.abs(gain)))
    last = step + 1 == len(ranking.score)
    cut = np.nextafter(ranking.score[step], -np.inf) if last else ranking.score[step + 1]
    return float(abs(gain[step])), float(cut), bool(gain[step] >= 0)


def _tried(
    name: str,
    cut: float,
    alert: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    *,
    above: bool,
    chosen: str,
) -> Stump:
    true, false = int((alert & truth).sum()), int((alert & ~truth).sum())
    attacks, benign = int(truth.sum()), int((~truth).sum())
    return Stump(
        feature=name,
        alert_if="above" if above else "at most",
        cut=cut,
        balanced_accuracy=(true / attacks + 1 - false / benign) / 2,
        f1=2 * true / (true + false + attacks),
        chosen_on=chosen,
    )


def _denied(name: str) -> str | None:
    fixed = {"start": "time", "src_port": "port", "dst_port": "port"}
    return fixed.get(name) or shortcut(name)
