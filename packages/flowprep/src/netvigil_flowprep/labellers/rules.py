"""What the label texts of each dialect mean: benign, an attack of some category, or unknown.

Readers hand label text on untouched; this is the only place that interprets it. Traffic that its
authors did not classify (Background, suspicious, attempted, empty) is unknown, never benign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

BENIGN = frozenset(
    {"0", "0.0", "false", "no", "benign", "normal", "legitimate", "good", "benigntraffic"}
)
ATTACK = frozenset(
    {"1", "1.0", "true", "yes", "malicious", "attack", "anomaly", "anomalous", "malware", "bad"}
)
_EMPTY = {"", "-", "---", "?", "(empty)", "none", "null", "nan", "n/a"}
_UNDECIDED = {"background", "unknown", "undefined", "suspicious", "needmanuallabel", "no label"}
UNKNOWN = frozenset(_EMPTY | _UNDECIDED)


@dataclass(frozen=True)
class LabelRule:
    """How one dialect's texts read, in lower case without padding.

    `benign`, `attack` and `unknown` are whole texts, on top of the general ones; `attack` are words
    that say "attack" without saying which. `patterns` are tried first: a regular expression of the
    text -> "benign", "unknown", or "attack", whose group 1 (if any) names the category. `renamed`
    mends categories that are spelt in several ways. With `category_decides`, the category's text
    overrules the label's.
    """

    benign: frozenset[str] = frozenset()
    attack: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    category_decides: bool = False


_ATTEMPTED = re.compile(r"- attempted$")
_CIC = LabelRule(
    # The corrected releases mark flows of an attack that had no effect; their authors leave the
    # choice to the user, so they are neither benign nor an attack here.
    patterns=((_ATTEMPTED, "unknown"),)
)

RULES: Mapping[str, LabelRule] = {
    "ctu-13": LabelRule(
        patterns=(
            # Background first: "From-Background" and "To-Background-CVUT-..." name no verdict.
            (re.compile(r"background"), "unknown"),
            (re.compile(r"(botnet(?:-v\d+)?|malware|attack)"), "attack"),
            (re.compile(r"normal"), "benign"),
            (re.compile(r""), "unknown"),  # "flow=Established-to-somewhere" describes, no more
        )
    ),
    "unsw-nb15": LabelRule(renamed={"backdoors": "backdoor"}),
    "unsw-nb15-partition": LabelRule(renamed={"backdoors": "backdoor"}),
    "cidds": LabelRule(attack=frozenset({"attacker", "victim"})),
    # "GOOD-SSH" is a harmless login among the events; its flag is 1 all the same.
    "westermo": LabelRule(
        patterns=((re.compile(r"^good-"), "benign"), (re.compile(r"^bad-(.+)$"), "attack")),
        category_decides=True,
    ),
    "cic-ids2017": _CIC,
    "cse-cic-ids2018": _CIC,
    "cicflowmeter": _CIC,
}
"""Dialect -> rule; a dialect that is not here has the general words only."""


class Interpreted(NamedTuple):
    """The meaning of label texts, row by row.

    Shapes:
        known, is_attack: Boolean [rows], without nulls; `is_attack` is false where unknown
        category: String [rows], lower_snake, null unless `is_attack`
    """

    known: pl.Series
    is_attack: pl.Series
    category: pl.Series


def interpret(label: pl.Series | None, attack: pl.Series | None, format: str) -> Interpreted:  # noqa: A002
    r"""Read the label texts (and category texts, where there are any) of one dialect.

    `label` decides; where it says nothing, `attack` does. A text that is no known word is the name
    of an attack. Each distinct pair of texts is looked at once.

    Raises:
        ValueError: Neither column is given.

    Example:
        >>> texts = pl.Series(["BENIGN", "Web Attack \x96 XSS", "Background"])
        >>> interpret(texts, None, "cicflowmeter").category.to_list()
        [None, 'web_attack_xss', None]
    """
    given = label if label is not None else attack
    if given is None:
        msg = "There is no label text to interpret."
        raise ValueError(msg)
    nothing = pl.repeat(None, len(given), dtype=pl.String, eager=True)
    texts = pl.DataFrame(
        {
            "label": nothing if label is None else label.cast(pl.String),
            "attack": nothing if attack is None else attack.cast(pl.String),
        }
    )
    rule = RULES.get(format, LabelRule())
    distinct = texts.unique()
    verdicts = [_verdict(words, detail, rule) for words, detail in distinct.iter_rows()]
    distinct = distinct.with_columns(
        pl.Series("known", [v is not None for v, _ in verdicts], dtype=pl.Boolean),
        pl.Series("is_attack", [bool(v) for v, _ in verdicts], dtype=pl.Boolean),
        pl.Series("category", [c for _, c in verdicts], dtype=pl.String),
    )
    rows = texts.join(
        distinct, on=["label", "attack"], how="left", nulls_equal=True, maintain_order="left"
    )
    return Interpreted(rows["known"], rows["is_attack"], rows["category"])


def _verdict(
    label: str | None, attack: str | None, rule: LabelRule
) -> tuple[bool | None, str | None]:
    """Return (is an attack, or None where unknown; the category of an attack)."""
    truth, name = _read(label, rule)
    detail, detail_name = _read(attack, rule)
    if rule.category_decides and detail is not None:
        truth = detail
    if truth is None and (label or "").strip().lower() in UNKNOWN | rule.unknown:
        # "Background" with a detail stays unknown; only an empty label lets the category decide.
        truth = detail if not (label or "").strip(" -") else None
    if not truth:
        return truth, None
    category = (detail_name if detail else None) or name or "attack"
    return True, rule.renamed.get(category, category)


def _read(text: str | None, rule: LabelRule) -> tuple[bool | None, str | None]:
    word = (text or "").strip().lower()
    for pattern, verdict in rule.patterns:
        if found := pattern.search(word):
            if verdict == "unknown":
                return None, None
            return verdict == "attack", _snake(found[1]) if pattern.groups else None
    if word in UNKNOWN | rule.unknown:
        return None, None
    if word in BENIGN | rule.benign:
        return False, None
    return True, None if word in ATTACK | rule.attack else _snake(word)


def _snake(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "attack"
