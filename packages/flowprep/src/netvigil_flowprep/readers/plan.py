"""How one file will be read: its layout, and the expressions that make canonical columns of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil.contracts.flows import LABEL_LIKE
from netvigil.errors import SourceError
from netvigil_flowprep.blocks import Block
from netvigil_flowprep.canonical import feature_name, numeric_type, slug
from netvigil_flowprep.readers.dialect import Dialect, Names
from netvigil_flowprep.readers.layout import (
    Header,
    disagreement,
    distinct_slugs,
    first_rows,
    header_of,
    types_of,
)
from netvigil_flowprep.readers.parsing import Layout, parse
from netvigil_flowprep.tally import Tally, escape

# Text that may be unreadable as what it stands for; ports and protocols have nulls with a meaning.
_CHECKED = ("duration_s", "fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes")


@dataclass(frozen=True)
class Plan:
    """One file's way to canonical columns.

    `prepare`, then `outputs`: canonical, x_ and c_ names -> expressions over the layout's columns;
    `skip_lines`: lines up to the end of the header; `source_names`: a Parquet file's own names by
    slug.
    """

    path: Path
    dialect: Dialect
    why: str
    layout: Layout
    prepare: Mapping[str, pl.Expr]
    outputs: Mapping[str, pl.Expr]
    rejects: Mapping[str, pl.Expr]
    repairs: Mapping[str, pl.Expr]
    info: FlowInfo
    skip_lines: int = 0
    line_bytes: float = 200.0
    source_names: Mapping[str, str] | None = None

    @property
    def is_parquet(self) -> bool:
        """Whether the file is Parquet rather than text."""
        return self.source_names is not None


def text_plan(head: bytes, path: Path, dialect: Dialect, config: Any) -> Plan | None:
    """Return the plan for a text file with these first lines, None where it is another dialect.

    Raises:
        SourceError: The header fits the dialect, the rows do not.
    """
    found = _header(head, dialect)
    if found is None:
        return None
    header, why = found
    sample = first_rows(head, header.lines)
    if dialect.stop_at:
        sample = sample.split(dialect.stop_at)[0]
    layout, categories = types_of(header, sample, dialect.types)
    text = Layout(dict.fromkeys(layout.types, pl.String), layout.separator, layout.header)
    tally = Tally(path.name)
    rows, counted = parse(Block(sample, has_quotes=True), text, 0, tally)
    if counted and not rows.height:
        msg = f"The header of '{dialect.name}' has {len(layout)} columns, the rows have not."
        raise SourceError(msg, where=f"{path}: {tally.report().examples[0]}", do=_MISMATCH)
    numbers = [n for n in dialect.types if n in layout.types and _is_number(n, dialect)]
    if wrong := disagreement(rows, numbers):
        msg = f"The header is '{dialect.name}', the rows are not: {wrong}."
        raise SourceError(msg, where=str(path), do=_MISMATCH)
    if dialect.config_for:
        config = dialect.config_for(rows, config)
    plan = _plan(path, dialect, why, layout, categories, config)
    _check_times(plan, sample)
    lines = max(sample.count(b"\n"), 1)
    return replace(plan, skip_lines=header.lines, line_bytes=max(len(sample) / lines, 8.0))


_MISMATCH = "The file may carry the header of another file, or a shuffled one."


def frame_plan(
    path: Path, dialect: Dialect, config: Any, layout: Layout, source_names: Mapping[str, str]
) -> Plan | None:
    """Return the plan for a table that has types already (Parquet), or None."""
    names = frozenset(layout.types)
    if not _has_needed(names, dialect):
        return None
    if dialect.config_for:
        config = dialect.config_for(pl.DataFrame(schema=dict(layout.types)), config)
    texts = frozenset(n for n, t in layout.types.items() if t == pl.String)
    plan = _plan(path, dialect, f"Parquet with {dialect.why}", layout, texts, config)
    return replace(plan, source_names=source_names)


class Outputs(NamedTuple):
    """The columns that every batch of a source has, in one order, and the type of a missing one."""

    types: dict[str, type[pl.DataType]]

    @staticmethod
    def union(plans: Sequence[Plan]) -> Outputs:
        """Gather the columns of all files of a source."""
        names = dict.fromkeys(name for plan in plans for name in plan.outputs)
        return Outputs({name: _null_type(name) for name in names})

    def take(self, frame: pl.DataFrame, plan: Plan, tally: Tally) -> pl.DataFrame:
        """Make the canonical columns of a raw frame; rows that are no flows are counted."""
        for reason, is_none in plan.rejects.items():
            mask = frame.select(is_none.fill_null(value=False)).to_series()
            if mask.any():
                tally.lose(reason, frame["row"].filter(mask).to_numpy())
                frame = frame.filter(~mask)
        frame = frame.with_columns(**plan.prepare)
        for reason, is_mended in plan.repairs.items():
            mask = frame.select(is_mended.fill_null(value=False)).to_series()
            tally.repair(reason, frame["row"].filter(mask).to_numpy())
        made = frame.select(
            "row",
            *(
                plan.outputs.get(name, pl.lit(None, dtype=dtype)).alias(name)
                for name, dtype in self.types.items()
            ),
        )
        _count_unreadable(frame, made, plan, tally)
        return made


def _header(head: bytes, dialect: Dialect) -> tuple[Header, str] | None:
    header = header_of(head, dialect.separators, comment=dialect.comment)
    if header is None:
        return None
    named = dialect.rename_header(header) if dialect.rename_header else header
    if _has_needed(frozenset(named.names), dialect):
        return named, dialect.why
    return _headerless(header, dialect)


def _headerless(header: Header, dialect: Dialect) -> tuple[Header, str] | None:
    for columns in dialect.columns:
        fields = [text.strip() for text in header.texts]
        if len(fields) == len(columns) and dialect.fits and dialect.fits(fields):
            names = distinct_slugs(columns)
            before = header.lines - 1  # the line that was taken for a header is a row
            why = f"no header, but {len(columns)} fields that fit {dialect.name}"
            return Header((), names, header.separator, before), why
    return None


def _has_needed(names: Names, dialect: Dialect) -> bool:
    return any(need <= names for need in dialect.needs) and not dialect.refuses & names


def _is_number(name: str, dialect: Dialect) -> bool:
    return dialect.types[name] != pl.String or name in dialect.numbers_as_text


def _plan(
    path: Path, dialect: Dialect, why: str, layout: Layout, categories: Names, config: Any
) -> Plan:
    have = frozenset(layout.types)
    derived = dict(dialect.derive(have, config))
    used = {root for expr in derived.values() for root in expr.meta.root_names()}
    prepare = dialect.prepare(config) if callable(dialect.prepare) else dialect.prepare
    prepare = {n: expr for n, expr in prepare.items() if have >= set(expr.meta.root_names())}
    used |= {root for expr in prepare.values() for root in expr.meta.root_names()}
    outputs = derived
    for name, dtype in layout.types.items():
        if name in used or name in dialect.drop or LABEL_LIKE.search(name):
            continue
        target = slug(dialect.renamed.get(name, name))
        if dtype != pl.String:
            outputs.setdefault(feature_name(target), pl.col(name))
        elif name in categories:
            outputs.setdefault(f"c_{target}", pl.col(name))
    return Plan(
        path=path,
        dialect=dialect,
        why=why,
        layout=layout,
        prepare=prepare,
        outputs=outputs,
        rejects=dialect.rejects,
        repairs=dialect.repairs(have, config) if dialect.repairs else {},
        info=dialect.info(have, config) if callable(dialect.info) else dialect.info,
    )


def _check_times(plan: Plan, sample: bytes) -> None:
    if plan.info.time_basis != "clock" or not sample:
        return
    block = Block(sample, has_quotes=True)
    frame, _ = parse(block, plan.layout, 0, Tally(""))
    texts = frame.with_columns(**plan.prepare).select(start=plan.outputs["start_us"])["start"]
    if frame.height and texts.null_count() * 2 > frame.height:
        roots = [root for expr in plan.prepare.values() for root in expr.meta.root_names()]
        roots += plan.outputs["start_us"].meta.root_names()
        source = next(root for root in roots if root in plan.layout.types)
        msg = f"The header is '{plan.dialect.name}', but '{source}' holds no times it knows."
        first = escape(str(frame[source][0]))
        raise SourceError(msg, where=f"{plan.path}: '{first}'", do=_MISMATCH)


def _count_unreadable(frame: pl.DataFrame, made: pl.DataFrame, plan: Plan, tally: Tally) -> None:
    for name in _CHECKED:
        roots = plan.outputs[name].meta.root_names() if name in plan.outputs else []
        if len(roots) != 1 or frame.schema[roots[0]] != pl.String or not made[name].null_count():
            continue
        text = frame[roots[0]].str.strip_chars()
        mask = made[name].is_null() & text.is_not_null() & ~text.is_in(["", "-"])
        if mask.any():
            rows = frame["row"].filter(mask).to_numpy()
            tally.repair(f"{name} not readable", rows, value=text.filter(mask)[0])


def _null_type(name: str) -> type[pl.DataType]:
    if name in {"start_us", "end_us"}:
        return pl.Int64
    return numeric_type(name) or pl.String
