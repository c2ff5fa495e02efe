"""Everything a page shows about a source, measured in two walks through its flows.

The first learns each column's range and draws a sample, the second counts by class. Per flow the
labels and one byte, the class, are kept; everything else is sketches, counts and the sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.audit.stream import Sample
from netvigil.contracts import FlowTable
from netvigil.errors import ContractError
from netvigil.features import NUMERIC, shortcut
from netvigil.inspection.categories import Category, CategoryCounter, rare_below
from netvigil.inspection.classes import Classes
from netvigil.inspection.columns import Column, ColumnSketch, kind_of
from netvigil.inspection.correlation import Correlation, correlate
from netvigil.inspection.histograms import Histogram, HistogramCounter, choose_scale
from netvigil.inspection.memory import Footprint, footprint
from netvigil.inspection.timeline import Timeline, TimelineCounter
from netvigil.phases import Phases
from netvigil.store import FlowStore
from netvigil.truth import Truth

SAMPLE = 20_000
"""Flows for medians, scales and correlations: a rank correlation of so many is within 0.02 of the
whole source's in 99 of 100 draws."""
LISTED = ("dst_port", "protocol")
"""Numbers whose values are names."""
NO_CATEGORY = ("src_ip", "dst_ip", "source_uid", "source_file")
"""Texts that name a host or a place in the source."""


@dataclass(frozen=True)
class Inspection:
    """What was measured; `columns` and `memory` are in the source's order."""

    flows: int
    seed: int
    sampled: int
    classes: Classes
    columns: tuple[Column, ...]
    histograms: tuple[Histogram, ...]
    correlation: Correlation
    timeline: Timeline
    categories: tuple[Category, ...]
    memory: tuple[Footprint, ...]


def measure(
    store: FlowStore, truth: Truth | None, phases: Phases, *, seed: int = 0, sample: int = SAMPLE
) -> Inspection:
    """Measure a source; `truth` is in the store's order, None where there are no labels."""
    if not len(store):
        msg = "There are no flows to measure."
        raise ContractError(msg, do="Check the source with `netvigil data inspect`.")
    with phases.phase("columns", len(store)) as advance:
        columns, drawn = _columns(store, seed, sample, advance)
    named = {column.name: column for column in columns}
    features = numeric_features(store.schema.names)
    x = _matrix(drawn, features)
    columns = [_with_median(column, x, features) for column in columns]
    classes = Classes.of(truth, len(store))
    with phases.phase("classes", len(store)) as advance:
        counted = _Counters(store, named, x, features, classes)
        first = 0
        for flows in store.batches(columns=counted.needed):
            counted.update(flows, classes.number[first : first + len(flows)], first)
            first += len(flows)
            advance(len(flows))
    threshold = rare_below(len(store))
    attack = np.array([each.side == "attack" for each in classes.listed])
    return Inspection(
        flows=len(store),
        seed=seed,
        sampled=len(x),
        classes=classes,
        columns=tuple(columns),
        histograms=tuple(_by_distance(counted.histograms, classes)),
        correlation=correlate(x, features),
        timeline=counted.timeline.result(),
        categories=tuple(c.result(threshold, attack) for c in counted.categories.values()),
        memory=tuple(map(footprint, columns)),
    )


def numeric_features(names: list[str]) -> list[str]:
    """Return the columns of a source that are quantities: counters, durations and `x_*`."""
    return [n for n in names if (n in NUMERIC and n != "protocol") or n.startswith("x_")]


def category_columns(schema: pa.Schema) -> list[str]:
    """Return the columns of a source whose values are names."""
    return [
        f.name
        for f in schema
        if f.name in LISTED or (kind_of(f.type) == "text" and f.name not in NO_CATEGORY)
    ]


def use_of(name: str, flows: FlowTable) -> dict[str, Any]:
    """Return `use` and `why` of a column, as the feature set "auto" has it."""
    offered = name in NUMERIC or name.startswith("x_") or name in flows.category_names
    why = shortcut(name)
    if not offered:
        return {"use": "", "why": why}
    return {"use": "denied" if why else "feature", "why": why}


def _columns(
    store: FlowStore, seed: int, size: int, advance: Any
) -> tuple[list[Column], pa.Table | None]:
    sketches = [ColumnSketch(field.name, field.type) for field in store.schema]
    drawn = Sample(size, seed)
    kept = ["flow_id", *numeric_features(store.schema.names)]
    uses: dict[str, dict[str, Any]] = {}
    for flows in store.batches():
        for sketch in sketches:
            sketch.update(flows.table[sketch.name])
        part = FlowTable.trusted(flows.table.select(kept), flows.info)
        drawn.update(part, np.zeros(len(flows), np.int64))
        uses = uses or {name: use_of(name, flows) for name in store.schema.names}
        advance(len(flows))
    return [sketch.result(**uses[sketch.name]) for sketch in sketches], drawn.result()[0]


def _matrix(drawn: pa.Table | None, features: list[str]) -> NDArray[np.float64]:
    if drawn is None:
        return np.empty((0, len(features)))
    x = np.empty((drawn.num_rows, len(features)), order="F")
    for place, name in enumerate(features):
        x[:, place] = _floats(drawn[name])
    return x


def _floats(values: pa.ChunkedArray) -> NDArray[np.floating]:
    """Return numbers with NaN for what is missing."""
    if values.null_count or values.type != pa.float32():
        values = values.cast(pa.float64(), safe=False)
    found: NDArray[np.floating] = values.to_numpy()
    return found


def _with_median(column: Column, x: NDArray[np.float64], features: list[str]) -> Column:
    if column.name not in features:
        return column
    values = x[:, features.index(column.name)]
    values = values[~np.isnan(values)]
    return replace(column, median=float(np.median(values))) if len(values) else column


class _Counters:
    """What the second walk counts."""

    def __init__(
        self,
        store: FlowStore,
        columns: Mapping[str, Column],
        x: NDArray[np.float64],
        features: list[str],
        classes: Classes,
    ) -> None:
        self.side = classes.side_of()
        self.histograms: dict[str, HistogramCounter] = {}
        for place, name in enumerate(features):
            known = x[:, place][~np.isnan(x[:, place])]
            scale = choose_scale(columns[name], known)
            if scale is not None:
                counter = HistogramCounter(name, scale, len(classes.sides))
                self.histograms[name] = counter
        number = len(classes.listed)
        self.categories = {
            name: CategoryCounter(name, number)
            for name in category_columns(store.schema)
            if not columns[name].empty
        }
        clock = store.info.time_basis == "clock"
        start = columns["start"]
        ends = (int(start.low or 0), int(start.high or 0)) if clock else (0, len(store) - 1)
        self.timeline = TimelineCounter(*ends, clock=clock, classes=number)
        self.needed = [*self.histograms, *self.categories, "start"]

    def update(self, flows: FlowTable, number: NDArray[np.int8], first: int) -> None:
        clock = flows.info.time_basis == "clock"
        at = flows.start_us if clock else np.arange(first, first + len(flows))
        self.timeline.update(at, number)
        side = self.side[number]
        for name, counter in self.histograms.items():
            counter.update(_floats(flows.table[name]), side)
        for name, values in self.categories.items():
            values.update(flows.table[name], number)


def _by_distance(counters: Mapping[str, HistogramCounter], classes: Classes) -> list[Histogram]:
    """Return histograms, those first in which benign flows and attacks lie furthest apart."""
    found = [counter.result() for counter in counters.values()]
    sides = classes.sides
    if "benign" in sides and "attack" in sides:
        ends = sides.index("benign"), sides.index("attack")
        found.sort(key=lambda h: -(h.distance(*ends) or 0.0))
    return found
