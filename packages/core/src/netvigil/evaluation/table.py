"""The comparison table for terminals, READMEs, spreadsheets and machines; the receipt in words.

Names of attacks, files and classes come out of traffic and label files, so they are hostile:
control and formatting characters are shown as escapes, and each format's own markup is defused.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from netvigil.evaluation.bootstrap import tpr_name
from netvigil.evaluation.promises import promise_words
from netvigil.evaluation.receipt import Receipt, SplitUse
from netvigil.evaluation.results import Headline, MethodResult, Spread

REALISED = "realised"
PROMISED = {"share": "flagged", "fpr": "FPR", "alerts-per-day": "alerts/day"}
"""What the column of realised rates is called, by the kind of the promise."""
Cell = Callable[[MethodResult], Spread | float | None]


def _metric(name: str) -> Cell:
    # A receipt of an earlier version may lack a figure that was added since.
    return lambda method: method.metrics.get(name)


COLUMNS: Mapping[str, tuple[str, Cell, str]] = {
    "auroc": ("AUROC", _metric("auroc"), ".3f"),
    "auprc": ("AUPRC", _metric("auprc"), ".3f"),
    "tpr_at_fpr_1%": ("TPR@1%", _metric(tpr_name(0.01)), ".3f"),
    "tpr_at_fpr_5%": ("TPR@5%", _metric(tpr_name(0.05)), ".3f"),
    "within_pair_auroc": ("within pair", _metric("within_pair_auroc"), ".3f"),
    "precision": ("precision", _metric("precision"), ".3f"),
    "recall": ("recall", _metric("recall"), ".3f"),
    "f1": ("F1", _metric("f1"), ".3f"),
    "ari": ("ARI", _metric("ari"), ".3f"),
    "alerts_per_hour": ("alerts/h", _metric("alerts_per_hour"), ",.0f"),
    REALISED: ("realised", lambda m: m.realised.rate if m.realised else None, ",.4g"),
    "fit_s": ("fit s", lambda method: method.fit_s, ".2f"),
    "score_s": ("score s", lambda method: method.score_s, ".2f"),
}
"""Key -> header, where the value is found, how it is printed."""
MARKUP = frozenset("\\`*[]<>|&")
"""Characters with a meaning in Markdown or HTML; a character reference has none."""
PADDING = 3  # a blank on each side and one rule
ABSENT = "–"  # noqa: RUF001 - an en dash, the usual sign for a figure that does not exist


def printable(text: str) -> str:
    r"""Show control, formatting and line-breaking characters as escapes.

    Example:
        >>> printable("scan\x1b[31m\u202e")
        'scan\\x1b[31m\\u202e'
    """
    return "".join(c if c == " " or _shows(c) else _escaped(c) for c in text)


@dataclass(frozen=True)
class ComparisonView:
    """The table as something rich can print: as many tables below each other as the width asks for.

    No column is squeezed or dropped; baselines are dimmed.
    """

    headline: Headline
    title: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(printable(self.title or _title(self.headline)), style="italic")
        methods = self.headline.methods
        names = [escape(printable(method.title)) for method in methods]
        headers = [header.replace(" (", "\n(") for header in _headers(self.headline)]
        rows = [_cells(self.headline, method) for method in methods]
        columns = list(zip(headers, *rows, strict=True))
        lines = [[line for cell in column for line in cell.split("\n")] for column in columns]
        widths = [max(map(cell_len, cells)) + PADDING for cells in lines]
        room = options.max_width - max(map(cell_len, ["method", *names])) - PADDING - 1
        for group in fill_lines(widths, room):
            table = Table()
            table.add_column("method", no_wrap=True)
            for place in group:
                table.add_column(columns[place][0], justify="right", no_wrap=True)
            for row, method in enumerate(methods, start=1):
                cells = [columns[place][row] for place in group]
                style = "dim" if method.kind == "baseline" else ""
                table.add_row(names[row - 1], *cells, style=style)
            yield table


def to_rich(headline: Headline, *, title: str = "") -> ComparisonView:
    """Return the table for a terminal of any width: `console.print(to_rich(headline))`."""
    return ComparisonView(headline, title)


def to_markdown(headline: Headline) -> str:
    """Return the table for a README, with a caption line below it."""
    header = ["method", *_headers(headline)]
    lines = [markdown_row(header), markdown_row(["---", *["---:"] * (len(header) - 1)])]
    for method in headline.methods:
        name = markdown_cell(method.title)
        name = f"*{name}*" if method.kind == "baseline" else f"**{name}**"
        lines.append(markdown_row([name, *_cells(headline, method)]))
    return "\n".join([*lines, "", markdown_cell(_title(headline))]) + "\n"


def to_csv(headlines: Mapping[str, Headline]) -> str:
    """Return one line per run and method with mean, deviation and interval in columns of their own.

    `headlines` maps a run's name to its headline; base rates differ between runs and stand beside.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    spread = ("", "_sd", "_low", "_high")
    plain = [key for key in COLUMNS if key.endswith("_s")]
    names = [f"{key}{end}" for key in COLUMNS if key not in plain for end in spread]
    fixed = ["run", "method", "kind", "supervised", "seeds", "flows", "attacks", "prevalence"]
    writer.writerow([*fixed, *names, *plain])
    for row in to_rows(headlines):
        first = [row["run"], row["method"], row["kind"], row["supervised"], len(row["seeds"])]
        first += [row["flows"], row["attacks"], row["prevalence"]]
        values = [row[name] for name in (*names, *plain)]
        writer.writerow([csv_cell(value) for value in (*first, *values)])
    return out.getvalue()


def to_json(headlines: Mapping[str, Headline]) -> str:
    """Return the same rows as JSON, missing figures as null."""
    return json.dumps(to_rows(headlines), indent=2, allow_nan=False) + "\n"


def to_rows(headlines: Mapping[str, Headline]) -> list[dict[str, Any]]:
    """Return plain values, one mapping per run and method."""
    rows = []
    for run, headline in headlines.items():
        for method in headline.methods:
            row: dict[str, Any] = {
                "run": run,
                "method": method.method,
                "kind": method.kind,
                "supervised": method.supervised,
                "seeds": list(method.seeds),
                "flows": headline.flows,
                "attacks": headline.attacks,
                "prevalence": headline.prevalence,
                "excluded": dict(headline.excluded),
            }
            for key, (_, find, _) in COLUMNS.items():
                value = find(method)
                if isinstance(value, Spread):
                    row |= {key: value.mean, f"{key}_sd": value.sd}
                    row |= {f"{key}_low": value.low, f"{key}_high": value.high}
                elif value is not None or key.endswith("_s"):
                    row[key] = value
                else:
                    row |= dict.fromkeys((key, f"{key}_sd", f"{key}_low", f"{key}_high"))
            rows.append(row)
    return rows


def receipt_lines(receipt: Receipt) -> list[tuple[str, str]]:
    """Say what stands in a receipt, as (subject, sentence) pairs of printable text."""
    split, features, evaluation = receipt.split, receipt.features, receipt.evaluation
    machine = receipt.hardware
    memory = f", {machine.memory_bytes / 2**30:.0f} GiB" if machine.memory_bytes else ""
    lines = [
        (
            f"data ({source.part})" if source.part else "data",
            f"{source.source}: {source.flows:,} flows, {source.format}, {source.time_basis},"
            f" bytes {source.bytes_layer}, sha256 {source.sha256[:16]}",
        )
        for source in receipt.data
    ]
    if receipt.parity:
        lines.insert(0, ("PARITY", f"NOT THE STRICT FORM: {', '.join(receipt.parity)}"))
    lines += [
        ("split", _split(split)),
        *((f"  {name}", _part(part.model_dump())) for name, part in split.parts.items()),
        *_repeats(split),
        ("features", f"{_features(receipt)}, list {features.sha256[:16]}"),
        ("labels used by", receipt.labels.words()),
        *_tuned(receipt),
        ("attacks in training", _share(receipt.train_attack_share)),
        ("threshold", f"{receipt.threshold.mode}: {receipt.threshold.provenance}"),
        *((("promise", promise_words(receipt.realised)),) if receipt.realised else ()),
        *((f"no {name}", why) for name, why in receipt.absent_baselines.items()),
    ]
    if evaluation:
        head = evaluation.headline
        lines += [
            ("prevalence", f"{_share(head.prevalence)} ({head.attacks:,} of {head.flows:,} flows)"),
            ("unknown flows", f"{evaluation.unknown:,} left out of the metrics"),
            ("intervals", f"{head.bootstrap.resamples} resamples by {head.bootstrap.by}"),
        ]
    lines += [
        ("phases", "; ".join(_phase(p.name, p.seconds, p.flows) for p in receipt.phases)),
        ("hardware", f"{machine.cpu}, {machine.cores} cores{memory}, {machine.platform}"),
        ("versions", ", ".join(f"{k} {v}" for k, v in receipt.versions.items())),
        *((f"{p.id} {p.name}", p.why) for p in receipt.pitfalls if p.state == "touched"),
    ]
    return [(subject, printable(sentence)) for subject, sentence in lines]


def fill_lines(widths: Sequence[int], room: int) -> list[list[int]]:
    """Fill lines with column numbers from left to right; each line takes at least one.

    Example:
        >>> fill_lines([4, 4, 4], 9)
        [[0, 1], [2]]
    """
    groups: list[list[int]] = [[]]
    left = room
    for place, width in enumerate(widths):
        if groups[-1] and width > left:
            groups.append([])
            left = room
        groups[-1].append(place)
        left -= width
    return groups


RANDOM = {
    "paper-shuffled": "RANDOM SPLIT OF WINDOWS",
    "paper-stratified": "RANDOM STRATIFIED SPLIT",
}
"""Protocols by which a model sees the future, in the capitals that receipts use."""


def _split(split: SplitUse) -> str:
    words = [split.protocol, *([RANDOM[split.protocol]] if split.protocol in RANDOM else [])]
    words += [f"purge {split.purge_s:g} s"] if split.purge_s else []
    words += ["the test part is a source of its own"] if split.test_source else []
    return ", ".join(words)


def _title(headline: Headline) -> str:
    base = "" if headline.prevalence is None else f", base rate {headline.prevalence:.3f}"
    flows = f"{headline.flows:,} test flows, {headline.attacks:,} attacks{base}"
    return f"{headline.title}: {flows}; mean ± sd over seeds"


def _headers(headline: Headline) -> list[str]:
    headers = {key: COLUMNS[key][0] for key in _shown(headline)}
    if headline.prevalence is not None:
        headers["auprc"] += f" (base {headline.prevalence:.3f})"
    if REALISED in headers:
        promise = next(m.realised.promise for m in headline.methods if m.realised)
        headers[REALISED] = f"{PROMISED[promise.kind]} (promised {promise.value:,g})"
    return list(headers.values())


def _shown(headline: Headline) -> list[str]:
    """Return the columns to print: realised rates only where something was promised."""
    promised = any(method.realised for method in headline.methods)
    return [key for key in COLUMNS if promised or key != REALISED]


def _cells(headline: Headline, method: MethodResult) -> list[str]:
    shown = [COLUMNS[key] for key in _shown(headline)]
    return [_cell(find(method), form) for _, find, form in shown]


def _cell(value: Spread | float | None, form: str) -> str:
    if isinstance(value, Spread):
        if value.mean is None:
            return ABSENT
        around = f" ± {value.sd:{form}}" if value.sd else ""
        return f"{value.mean:{form}}{around}"
    return ABSENT if value is None else f"{value:{form}}"


def _features(receipt: Receipt) -> str:
    features = receipt.features
    count = len(features.names) + len(features.categories)
    text = f"{features.feature_set}: {count} columns, {len(features.denied)} shortcuts denied"
    if features.allowed_shortcuts:
        text += f", ALLOWED: {', '.join(features.allowed_shortcuts)}"
    return text


def _tuned(receipt: Receipt) -> list[tuple[str, str]]:
    """Say by which objective settings were chosen, where `netvigil tune` wrote the file."""
    tuned = receipt.config.get("tuned")
    if not isinstance(tuned, Mapping):
        return []
    labels = "LABELS of the calibration part" if receipt.labels.tuning else "no labels"
    objective, value, trials, space = (
        tuned.get(key) for key in ("objective", "value", "trials", "space")
    )
    text = f"{objective} {value}, the best of {trials} trials of space '{space}', {labels} read"
    return [("settings chosen by", text)]


def _repeats(split: SplitUse) -> list[tuple[str, str]]:
    """Say how many flows there are with and without exact repeats, where somebody looked."""
    if split.repeats is None:
        return []
    flows = sum(part.flows for part in split.parts.values())
    done = "left out" if "repeated" in split.parts else "kept"
    return [
        (
            "exact repeats",
            f"{split.repeats:,} of {flows:,} flows, {done}: {flows - split.repeats:,} differ;"
            f" {split.repeats_across:,} stand in another part than their first copy",
        )
    ]


def _part(part: Mapping[str, Any]) -> str:
    text = f"{part['flows']:,} flows"
    if part["attacks"] is not None:
        text += f", {part['attacks']:,} attacks"
    return text + (f", {part['first']} to {part['last']}" if part["first"] else "")


def _phase(name: str, seconds: float, flows: int | None) -> str:
    rate = f" ({flows / seconds:,.0f} flows/s)" if flows and seconds > 0 else ""
    return f"{name} {seconds:.2f} s{rate}"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"


def _shows(character: str) -> bool:
    # Cc, Cf, Cs, Co, Cn: controls, direction overrides, surrogates; Z*: breaks and odd spaces.
    return unicodedata.category(character)[0] not in "CZ"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def markdown_cell(text: str) -> str:
    """Escape what Markdown or a terminal would obey."""
    return "".join(f"&#{ord(c)};" if c in MARKUP else c for c in printable(text))


def markdown_row(cells: Sequence[str]) -> str:
    """Join cells that are escaped already."""
    return f"| {' | '.join(cells)} |"


def csv_cell(value: object) -> object:
    """Put a quote before text that begins like a formula, which a spreadsheet would run."""
    if isinstance(value, str):
        value = printable(value)
        return f"'{value}" if value[:1] in {"=", "+", "-", "@"} else value
    return value
