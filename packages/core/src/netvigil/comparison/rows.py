"""From receipts to rows: what was judged on the same flows stands together, once.

A `Ground` is one set of test flows. Rows of one ground compare; rows of two grounds do not, even
where the data is the same, and then a note says so.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netvigil.comparison.figures import Figure
from netvigil.comparison.marks import LEGEND, marks_of
from netvigil.comparison.runs import Run
from netvigil.evaluation import Headline, MethodResult, Receipt
from netvigil.evaluation.results import Kind


@dataclass(frozen=True)
class Ground:
    """One set of known test flows, and what it is called; `excluded` names classes left out."""

    name: str
    data: str
    sha256: tuple[str, ...]
    flows: int
    attacks: int
    prevalence: float | None
    excluded: tuple[str, ...]
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Row:
    """A method on a ground. `runs` are several where they share a baseline."""

    ground: Ground
    method: MethodResult
    runs: tuple[Run, ...]
    marks: tuple[str, ...]

    @property
    def baseline(self) -> bool:
        """Whether it stands beside the methods, to be beaten."""
        return self.method.kind == "baseline"


@dataclass(frozen=True)
class Line:
    """A method over all grounds; `cells` has no entry where it was not run."""

    name: str
    kind: Kind
    marks: tuple[str, ...]
    cells: Mapping[Ground, Row]


@dataclass(frozen=True)
class Comparison:
    """Rows in the order they are shown, and what a reader must know of them."""

    runs: tuple[Run, ...]
    grounds: tuple[Ground, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    sort: Figure | None = None

    def lines(self) -> list[Line]:
        """Return methods as rows and grounds as columns.

        A method that several runs judged on one ground, with different figures, gets a line for
        each of them, named by what differs.
        """
        told = self.data_axes()
        axes = [axis for axis in _axes(self.runs) if axis not in told]
        by_method: dict[str, list[Row]] = {}
        for row in self.rows:
            by_method.setdefault(row.method.method, []).append(row)
        lines = [_line(*each) for m, rows in by_method.items() for each in _split(m, rows, axes)]
        return sorted(lines, key=lambda line: _line_order(line, self.sort))

    def data_axes(self) -> set[str]:
        """Return the axes that tell data apart and nothing else: those that name the grounds."""
        return {axis for axis in _axes(self.runs) if _tells_data(self.runs, axis)}


def compare(
    runs: Sequence[Run], *, sort: Figure | None = None, notes: Sequence[str] = ()
) -> Comparison:
    """Put runs side by side: baselines first, then methods by name, or all by the figure `sort`.

    A baseline that several runs of the same data and split share, with equal figures, appears once,
    with the times of the first.
    """
    judged = [run for run in runs if run.receipt.evaluation is not None]
    blank = [run.name for run in runs if run.receipt.evaluation is None]
    said = [*notes, *(f"{name}: nothing labels its flows, so it has no figures." for name in blank)]
    grounds, apart = _grounds(judged)
    rows = _merged(
        Row(grounds[run.name, bool(head.excluded)], method, (run,), marks_of(run.receipt, method))
        for run in judged
        for head in _headlines(run.receipt)
        for method in head.methods
    )
    order = {ground: place for place, ground in enumerate(dict.fromkeys(grounds.values()))}
    rows.sort(key=lambda row: (order[row.ground], *_order(row, sort)))
    said += [*apart, *_machines(judged), *_versions(judged)]
    return Comparison(tuple(runs), tuple(order), tuple(rows), tuple(said), sort)


def _headlines(receipt: Receipt) -> list[Headline]:
    found = receipt.evaluation
    assert found is not None
    return [found.headline] + ([found.without_excluded] if found.without_excluded else [])


def _merged(rows: Iterable[Row]) -> list[Row]:
    """Keep one of the rows that say the same of a baseline."""
    kept: dict[Hashable, Row] = {}
    for row in rows:
        key = (row.ground, _train_of(row.runs[0]), row.method.method, _figures_of(row))
        same = kept.get(key)
        if same is None:
            kept[key] = row
        elif same.baseline or row.baseline:
            shown = row if same.baseline and not row.baseline else same
            kept[key] = replace(shown, runs=same.runs + row.runs)
        else:
            kept[*key, row.runs[0].name] = row
    return list(kept.values())


def _train_of(run: Run) -> str:
    parts = run.receipt.split.parts
    return json.dumps({k: v.model_dump() for k, v in parts.items()}, sort_keys=True)


def _figures_of(row: Row) -> str:
    """Tell rows apart by what was measured; intervals also depend on what a run's windows are."""
    method = row.method
    figures = {name: spread.per_seed for name, spread in method.metrics.items()}
    return json.dumps([method.seeds, figures, row.marks], sort_keys=True)


def _order(row: Row, sort: Figure | None) -> tuple[Any, ...]:
    """Sort within a ground: baselines first; in their runs' order, or by name, or by a figure."""
    if sort is not None:
        return (not row.baseline, *_by_figure(sort, [sort.mean(row.method)]), row.method.method)
    return (not row.baseline, "" if row.baseline else row.method.method)


def _line_order(line: Line, sort: Figure | None) -> tuple[Any, ...]:
    if sort is None:
        return (line.kind != "baseline", "" if line.kind == "baseline" else line.name)
    means = [sort.mean(row.method) for row in line.cells.values()]
    return (line.kind != "baseline", *_by_figure(sort, means), line.name)


def _by_figure(sort: Figure, means: Sequence[float | None]) -> tuple[bool, float]:
    known = [mean for mean in means if mean is not None]
    average = sum(known) / len(known) if known else 0.0
    return not known, average if sort.better == "low" else -average


def _split(
    name: str, rows: Sequence[Row], axes: Sequence[str]
) -> Iterator[tuple[str, dict[Ground, Row]]]:
    """Yield a method's lines: one, or where a ground has two rows of it as many as it takes.

    They are told apart by as few axes of the suite as will do, or by the names of their runs. A
    row that several runs share, as the rules' rows often are, stands in the first one's line.
    """
    placed = [(row, run) for row in rows for run in row.runs]

    def lines(call: Callable[[Run], str]) -> dict[str, dict[Ground, Row]] | None:
        found: dict[str, dict[Ground, Row]] = {}
        for row, run in placed:
            if found.setdefault(call(run), {}).setdefault(row.ground, row) is not row:
                return None
        return found

    def by(axes: Sequence[str]) -> dict[str, dict[Ground, Row]] | None:
        return lines(lambda run: _ending(run, axes))

    needed = list(axes)
    for axis in axes:
        fewer = [other for other in needed if other != axis]
        needed = fewer if by(fewer) is not None else needed
    shown: set[int] = set()
    for ending, cells in (by(needed) or lines(lambda run: run.name) or {}).items():
        fresh = {id(row) for row in cells.values()} - shown
        if fresh:
            shown |= fresh
            yield (f"{name} ({ending})" if ending else name), cells


def _ending(run: Run, axes: Sequence[str]) -> str:
    """Say where a run stands: its values, or what differs from the base where axes move alone."""
    crossed = [run.at[axis] for axis in axes if axis in run.at and axis not in run.base]
    moved = [f"{axis} {run.at[axis]}" for axis in run.moved if axis in axes]
    alone = [axis for axis in axes if axis in run.base]
    return ", ".join([*crossed, *(moved or (["base"] if alone else []))])


def _line(name: str, cells: Mapping[Ground, Row]) -> Line:
    used = {sign for row in cells.values() for sign in row.marks}
    baseline = all(row.baseline for row in cells.values())
    marks = tuple(sign for sign in LEGEND if sign in used)
    return Line(name, "baseline" if baseline else "method", marks, cells)


def _axes(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(axis for run in runs for axis in run.at))


def _tells_data(runs: Sequence[Run], axis: str) -> bool:
    """Say whether an axis of a suite has one value per data: `data = "unsw"`."""
    pairs = {(run.at.get(axis), _digests(run)) for run in runs}
    values, datas = {p[0] for p in pairs}, {p[1] for p in pairs}
    alone = len(datas) == 1 and axis != "data"
    return len(pairs) == len(values) == len(datas) and None not in values and not alone


def _digests(run: Run) -> tuple[str, ...]:
    return tuple(source.sha256 for source in run.receipt.data)


def _grounds(runs: Sequence[Run]) -> tuple[dict[tuple[str, bool], Ground], list[str]]:
    """Return the ground of each run and view, and notes on data with several test parts."""
    data = _data_names(runs)
    keys: dict[tuple[str, bool], Hashable] = {}
    firsts: dict[Hashable, Ground] = {}
    members: dict[Hashable, list[Run]] = defaultdict(list)
    for run in runs:
        for head in _headlines(run.receipt):
            key: Hashable = (
                _digests(run),
                _test_of(run),
                head.flows,
                head.attacks,
                tuple(head.excluded),
            )
            keys[run.name, bool(head.excluded)] = key
            members[key].append(run)
            firsts.setdefault(key, _ground(run, head, data[_digests(run)]))
    notes: list[str] = []
    names = Counter(ground.name for ground in firsts.values())
    for name in [name for name, times in names.items() if times > 1]:
        same = [key for key, ground in firsts.items() if ground.name == name]
        tell = _telling([members[key] for key in same])
        for place, key in enumerate(same, start=1):
            ending = tell(members[key]) if tell else f"test part {place}"
            firsts[key] = replace(firsts[key], name=f"{name} ({ending})")
        notes.append(_apart(name, [(firsts[key], members[key]) for key in same]))
    return {where: firsts[key] for where, key in keys.items()}, notes


def _ground(run: Run, head: Headline, name: str) -> Ground:
    test = run.receipt.split.parts.get("test")
    without = f" without {', '.join(head.excluded)}" if head.excluded else ""
    return Ground(
        name=name + without,
        data=" + ".join(source.source for source in run.receipt.data),
        sha256=_digests(run),
        flows=head.flows,
        attacks=head.attacks,
        prevalence=head.prevalence,
        excluded=tuple(head.excluded),
        first=test.first if test else None,
        last=test.last if test else None,
    )


def _test_of(run: Run) -> str:
    """Return what tells a run's test part from another one of the same data."""
    split = run.receipt.split
    test = split.parts.get("test")
    drawn = run.receipt.config.get("split") if split.shuffled else None
    return json.dumps([test.model_dump() if test else None, split.shuffled, drawn], sort_keys=True)


def _telling(groups: Sequence[Sequence[Run]]) -> Callable[[Sequence[Run]], str] | None:
    """Return what names groups of runs: an axis of a suite with one value in each, or None."""
    for axis in _axes(groups[0]):
        values = [{run.at.get(axis) for run in runs} for runs in groups]
        single = all(len(v) == 1 and None not in v for v in values)
        if single and len({next(iter(v)) for v in values}) == len(groups):
            return partial(_value_on, axis)
    return None


def _value_on(axis: str, runs: Sequence[Run]) -> str:
    return runs[0].at[axis]


def _apart(name: str, groups: Sequence[tuple[Ground, Sequence[Run]]]) -> str:
    said = "; ".join(
        f"{ground.name}: {ground.flows:,} flows, {ground.attacks:,} attacks, in "
        + ", ".join(dict.fromkeys(run.name for run in runs))
        for ground, runs in groups
    )
    return f"{name} was tested on different parts, which do not compare: {said}."


def _data_names(runs: Sequence[Run]) -> dict[tuple[str, ...], str]:
    """Name each data: by the suite's axis for it, else by its sources; equal names get a digest."""
    axis = next((axis for axis in _axes(runs) if _tells_data(runs, axis)), None)
    names: dict[tuple[str, ...], str] = {}
    for run in runs:
        sources = " + ".join(source.source for source in run.receipt.data)
        names.setdefault(_digests(run), run.at[axis] if axis else sources)
    times = Counter(names.values())
    return {
        digests: name if times[name] == 1 else f"{name} {' '.join(d[:8] for d in digests)}"
        for digests, name in names.items()
    }


def _machines(runs: Sequence[Run]) -> list[str]:
    machines = {(h.cpu, h.cores, h.accelerator) for h in (run.receipt.hardware for run in runs)}
    if len(machines) < 2:
        return []
    return [f"The runs come from {len(machines)} kinds of machine: their times do not compare."]


def _versions(runs: Sequence[Run]) -> list[str]:
    versions = sorted({run.receipt.code_version or "unknown" for run in runs})
    if len(versions) < 2:
        return []
    return [f"The runs were made by different versions of netvigil: {', '.join(versions)}."]
