"""The runner's last step but one: gather what the report draws while everything is at hand.

Scores meet labels here as they do in `evaluation`: to sum both up, never to choose anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.baselines import pair_keys
from netvigil.classes import Verdicts
from netvigil.contracts import FlowTable
from netvigil.cuts import Cuts, at, cut_range
from netvigil.evidence import details
from netvigil.evidence.bins import Bins, cut
from netvigil.evidence.curves import TestTruth, curves, histogram
from netvigil.evidence.sample import draw, sample
from netvigil.evidence.tables import SCHEMAS, Evidence, Facts, table
from netvigil.evidence.timeline import events, timeline
from netvigil.evidence.traffic import COLUMNS, FlowFacts, Traffic, nothing, traffic
from netvigil.outputs import alerts_of, errors_at
from netvigil.pipeline import Pipeline, pass_columns
from netvigil.prepare import Prepared
from netvigil.seeds import MethodRun, SeedResults
from netvigil.splits import ROLES
from netvigil.truth import ATTACK

_EVENT_GAP_S = 10  # attack flows closer than this belong to one event in a picture
_EVENT_GAP_ROWS = 20


def collect(prepared: Prepared, results: Sequence[SeedResults], pipeline: Pipeline) -> Evidence:
    """Gather the evidence of a run; `pipeline` is the bundled one, of the first seed.

    Returns tables whose size does not depend on the number of flows.
    """
    runs = [(result, run) for result in results for run in result.runs]
    own = next(run for _, run in runs if run.kind == "method")
    part = _Part(prepared, "test", own.test, own.test_cuts)
    early = _Part(prepared, "calibrate", own.calibrate, pipeline.threshold.cut_)
    seed = prepared.experiment.run.seeds[0]
    rows = draw(part.truth, seed=seed)
    top = np.sort(np.argsort(-own.test, kind="stable")[: details.ALERTS])
    top = top[part.alert[top]]
    both = np.union1d(rows, top)
    encoded = details.encode(pipeline, prepared.windows["test"], both)
    usual_terms = details.encode(
        pipeline, prepared.windows["calibrate"] if encoded.terms else (), np.empty(0, np.int64)
    )
    drawn = _traffic(part)
    alerts, compared = _alerts(part, pipeline, top, encoded, usual_terms.means, both)
    test = prepared.windows["test"].whole
    gap = int(_EVENT_GAP_S * 1e6) if part.clock else _EVENT_GAP_ROWS
    raw = pipeline.assembly.encoder.name == "raw"
    embedding = None if raw or encoded.embedding is None else encoded.embedding
    return Evidence(
        facts=_facts(part, early, own, drawn, seed=seed, cut=pipeline.threshold.cut_),
        curves=curves(
            ((r.method, s.seed if r.seeded else None, r.test) for s, r in runs), part.truth
        ),
        histogram=histogram(own.test, part.truth),
        timeline=timeline({p.name: (p.bins, p.score, p.truth, p.cut) for p in (early, part)}),
        events=events(part.when, part.last, part.truth, gap=gap),
        edges=drawn.edges,
        alerts=alerts,
        details=compared,
        sample=sample(
            rows,
            np.asarray(test.flow_id),
            own.test,
            part.truth,
            cut=part.cut,
            features=np.asarray(test.flow_x[rows]),
            embedding=None if embedding is None else embedding[np.searchsorted(both, rows)],
        ),
    )


class _Part:
    """One part of the split with its scores and cuts, in the order of its flows."""

    def __init__(
        self, prepared: Prepared, name: str, score: NDArray[np.float64], cuts: Cuts
    ) -> None:
        inside = prepared.split.role == ROLES[name]
        start = prepared.split.start_us
        windows = prepared.windows[name].whole
        self.name, self.score, self.cut, self.prepared = name, score, cuts, prepared
        self.alert = score > cuts
        self.inside, self.clock = inside, start is not None
        self.when = np.flatnonzero(inside) if start is None else start[inside]
        truth = prepared.truth
        self.truth = TestTruth(truth.state[inside], truth.attack[inside], truth.names)
        several = len(windows) > 1
        of_flow = windows.window_of_flow() if several else None
        self.bins: Bins = cut(self.when, of_flow, clock=self.clock)

    @property
    def last(self) -> NDArray[np.int64]:
        """The last moment of each flow."""
        if not self.clock:
            return self.when
        pieces = [flows.end_us for flows in self.walk(["start", "end"])]
        return np.concatenate(pieces)

    def walk(self, columns: list[str]) -> Iterator[FlowTable]:
        """Yield the part's flows in order."""
        for _, flows in self.prepared.store.select(self.inside, columns=columns):
            yield flows


def _traffic(part: _Part) -> Traffic:
    if part.prepared.counts.absent:
        return nothing()
    facts = FlowFacts(
        bin=part.bins.of_flow,
        score=part.score,
        alert=part.alert,
        attack=part.truth.words(),
        is_attack=part.truth.state == ATTACK,
    )
    return traffic(lambda: part.walk(COLUMNS), facts)


def _alerts(
    part: _Part,
    pipeline: Pipeline,
    rows: NDArray[np.int64],
    encoded: details.Encoded,
    means: Mapping[str, float],
    both: NDArray[np.int64],
) -> tuple[pa.Table, pa.Table]:
    """Return the highest alerts and their details."""
    if not len(rows):
        return SCHEMAS["alerts"].empty_table(), SCHEMAS["details"].empty_table()
    flows, first = [], 0
    for batch in part.walk(pipeline.columns()):
        low, high = np.searchsorted(rows, [first, first + len(batch)])
        flows.append(batch.take(rows[low:high] - first).table)
        first += len(batch)
    chosen = FlowTable.trusted(pa.concat_tables(flows), part.prepared.store.info)
    x = np.asarray(part.prepared.windows["test"].whole.flow_x[rows])
    score = part.score[rows]
    place = np.searchsorted(both, rows)
    verdict = None
    if pipeline.assembly.classifier is not None:
        share = np.stack([term[place] for term in encoded.terms.values()], axis=1)
        verdict = Verdicts.of(tuple(encoded.terms), share)
    made = alerts_of(
        pipeline,
        chosen,
        score,
        x,
        "",
        cut=at(part.cut, rows),
        verdict=verdict,
        errors=errors_at(pipeline, part.prepared.windows["test"].whole, rows),
    ).table
    train = (
        batch
        for _, batch in part.prepared.store.select(
            part.prepared.trained.keep, columns=pass_columns(pipeline.contract)
        )
    )
    usual = details.usual(train, pipeline.contract, pair_keys(chosen))
    # Without a calibration part nothing says what is usual.
    terms = {name: term[place] for name, term in encoded.terms.items() if name in means}
    columns = {name: made[name] for name in made.column_names}
    alerts = table(
        "alerts",
        **columns,
        bin=part.bins.of_flow[rows],
        attack=part.truth.words(rows),
        packets=_both_ways(chosen, "packets"),
        bytes=_both_ways(chosen, "bytes"),
        pair_flows=usual.flows,
    )
    return alerts, details.compared(pipeline, chosen, x, usual, terms, means)


def _both_ways(flows: FlowTable, unit: str) -> NDArray[np.int64]:
    forth, back = (
        flows.table[f"{way}_{unit}"].cast(pa.int64(), safe=False).fill_null(0).to_numpy()
        for way in ("fwd", "bwd")
    )
    return np.asarray(forth + back)


def _facts(
    part: _Part,
    early: _Part,
    own: MethodRun,
    drawn: Traffic,
    *,
    seed: int,
    cut: float,
) -> Facts:
    return Facts(
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        method=own.method,
        seed=seed,
        cut=cut,
        moved=cut_range(part.cut),
        clock=part.clock,
        labelled=part.truth.labelled,
        addresses=not part.prepared.counts.absent,
        bins=part.bins.words,
        test_flows=len(part.score),
        alerts=int(part.alert.sum()),
        calibrate_flows=len(early.score),
        above_on_calibration=float(early.alert.mean()) if len(early.score) else 0.0,
        bins_total=len(np.unique(part.bins.of_flow)),
        bins_drawn=drawn.bins_drawn,
        pairs_left_out=drawn.pairs_left_out,
        feature_names=tuple(part.prepared.windows["test"].whole.feature_names),
        sample_of=part.truth.counts(),
    )
