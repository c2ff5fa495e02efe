"""What a run or a detection leaves behind: scores, alerts, and the accounting of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from netvigil.ahead import ahead
from netvigil.classes import Verdicts, verdicts
from netvigil.contracts import AlertTable, FlowTable, ScoreTable, WindowGraphs
from netvigil.cuts import Cuts, cut_range, follow
from netvigil.errors import ContractError, SourceError
from netvigil.phases import Advance
from netvigil.pipeline import Pipeline, encode_checked
from netvigil.protocols import FeatureErrors
from netvigil.reasons import make_alerts
from netvigil.store import FlowStore, let_go

BATCH_ROWS = 65_536
"""Flows read at a time where windows stream by. The features of so many, 95 of a capture, take 25
MB; arrays beyond 32 MB are new memory for each batch (glibc), which costs more than filling it."""
CLASS = pa.field("class", pa.dictionary(pa.int32(), pa.string()))
"""The column that a classifier's score file has besides: the most probable class."""
SCORES = pa.schema(
    [
        ("flow_id", pa.int64()),
        ("window_start", pa.int64()),
        ("score", pa.float64()),
        ("alert", pa.bool_()),
    ]
)


MOVING = SCORES.append(pa.field("cut", pa.float64()))
"""The same where the cut moves: each flow has its own."""


class ScoreFile:
    """Writes scores batch by batch to one Parquet file, whose metadata has cut and bundle.

    Where the cut is `moving`, a column has each flow's, and `cut` is the first; `range` is the
    lowest and the highest that was written. With `classes`, each batch of scores comes with its
    verdicts.
    """

    def __init__(
        self, path: Path, *, cut: float, bundle: str, moving: bool = False, classes: bool = False
    ) -> None:
        metadata = {b"netvigil.cut": repr(cut).encode(), b"netvigil.bundle": bundle.encode()}
        schema = MOVING if moving else SCORES
        schema = (schema.append(CLASS) if classes else schema).with_metadata(metadata)
        # Scores and ids seldom come twice; to look for those that do takes five times as long.
        few = [name for name in ("window_start", CLASS.name) if name in schema.names]
        self._file = pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=few)
        self.cut, self.flows, self.moving = cut, 0, moving
        self.range: tuple[float, float] | None = None

    def add(
        self, scores: ScoreTable, cuts: Cuts | None = None, *, verdict: Verdicts | None = None
    ) -> None:
        """Append the scores of some flows, with their cuts where these move."""
        cuts = self.cut if cuts is None else cuts
        columns = [scores.flow_id, scores.window_start, scores.score, scores.score > cuts]
        if self.moving:
            each = np.broadcast_to(cuts, scores.score.shape)
            columns.append(each)
            self._widen(cut_range(each))
        arrays = [pa.array(np.ascontiguousarray(c)) for c in columns]
        arrays += [] if verdict is None else [verdict.column()]
        self._file.write_table(pa.table(arrays, schema=self._file.schema))
        self.flows += len(scores)

    def _widen(self, new: tuple[float, float] | None) -> None:
        if new is not None:
            low, high = self.range or new
            self.range = min(low, new[0]), max(high, new[1])

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            let_go(self._file)


def read_scores(path: Path) -> tuple[ScoreTable, Cuts]:
    """Read a score file back with its cut, or with each flow's where it moves.

    Raises:
        SourceError: This is not a score file.
    """
    msg = "This is not a netvigil score file."
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(msg, where=f"{path}: {error}") from error
    raw = (table.schema.metadata or {}).get(b"netvigil.cut")
    plain = table.drop_columns([CLASS.name]) if CLASS.name in table.schema.names else table
    if not (plain.schema.equals(SCORES) or plain.schema.equals(MOVING)) or raw is None:
        where = f"{path}: columns {', '.join(table.schema.names)}"
        raise SourceError(msg, where=where, do="Write one with `netvigil run` or `detect`.")
    cut: Cuts = float(raw) if len(plain.schema) == len(SCORES) else table["cut"].to_numpy()
    columns = [table[name].to_numpy() for name in ("flow_id", "score", "window_start")]
    return ScoreTable(*columns), cut


def walk(
    pipeline: Pipeline,
    store: FlowStore,
    keep: NDArray[np.bool_] | None = None,
    *,
    also: Sequence[str] = (),
) -> Iterator[tuple[FlowTable, WindowGraphs]]:
    """Yield the windows of a store's flows, of all or the kept ones, with their flows beside them.

    Shapes:
        keep: bool [flows of the store], or None for all
        also: columns that the flows need beside those that the pipeline does
    """
    waiting: list[FlowTable] = []
    columns = list(dict.fromkeys([*pipeline.columns(), *also]))

    def watched() -> Iterator[tuple[int, FlowTable]]:
        for first, flows in store.select(keep, columns=columns, rows=BATCH_ROWS):
            waiting.append(flows)
            yield first, flows

    for windows in pipeline.windows(watched()):
        yield _take_first(waiting, windows), windows


def score_store(
    pipeline: Pipeline, store: FlowStore, scores: ScoreFile, bundle: str, advance: Advance
) -> Iterator[AlertTable]:
    """Score every flow of a store, writing scores and yielding alerts as the windows stream by.

    Windows are made in one thread and scored in another, while this one writes those before. At
    most five batches of windows are alive at once.
    """
    clocked = store.info.time_basis == "clock"
    for scored in ahead(_scored(pipeline, ahead(walk(pipeline, store)), clocked=clocked)):
        scores.add(scored.scores, scored.cuts, verdict=scored.verdict)
        yield alerts_of(
            pipeline,
            scored.flows,
            scored.scores.score,
            scored.windows.flow_x,
            bundle,
            cut=scored.cuts,
            verdict=scored.verdict,
            errors=scored.errors,
        )
        advance(len(scored.scores))


class _Scored(NamedTuple):
    """What is written of a batch of windows."""

    flows: FlowTable
    windows: WindowGraphs
    scores: ScoreTable
    cuts: Cuts
    verdict: Verdicts | None
    errors: NDArray[np.float32] | None


def _scored(
    pipeline: Pipeline, walked: Iterator[tuple[FlowTable, WindowGraphs]], *, clocked: bool
) -> Iterator[_Scored]:
    cut_of = follow(pipeline.threshold)
    for flows, windows in walked:
        encoded = encode_checked(pipeline.encoder, pipeline.assembly.encoder.name, windows)
        scores = pipeline.scorer.score(encoded)
        cuts = cut_of(flows.start_us if clocked else None, scores.score)
        verdict = None if pipeline.assembly.classifier is None else verdicts(encoded)
        errors = errors_at(pipeline, windows, np.flatnonzero(scores.score > cuts))
        yield _Scored(flows, windows, scores, cuts, verdict, errors)


def errors_at(
    pipeline: Pipeline, windows: WindowGraphs, rows: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """Return the reconstruction error of each feature of some flows, float32 [rows, features].

    None where the encoder tells none. Windows without such a flow are not looked at.

    Shapes:
        rows: int64, rising, of the windows' flows
    """
    encoder = pipeline.encoder
    if not isinstance(encoder, FeatureErrors):
        return None
    found = np.empty((len(rows), windows.flow_x.shape[1]), np.float32)
    window = np.searchsorted(windows.flow_ptr, rows, side="right") - 1
    for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(window) > 1) + 1):
        if len(run):
            first, last = int(window[run[0]]), int(window[run[-1]]) + 1
            errors = encoder.feature_errors(windows[first:last])
            found[run] = errors[rows[run] - windows.flow_ptr[first]]
    return found


def alerts_of(
    pipeline: Pipeline,
    flows: FlowTable,
    score: NDArray[np.float64],
    x: NDArray[np.float32],
    bundle: str,
    *,
    cut: Cuts,
    verdict: Verdicts | None = None,
    errors: NDArray[np.float32] | None = None,
) -> AlertTable:
    """Turn the flows above the cut into alerts with reasons; a classifier's verdict comes first.

    `errors` are what `errors_at` gives.
    """
    return make_alerts(
        flows,
        score,
        cut,
        np.asarray(x),
        profile=pipeline.profile,
        counts=pipeline.counts,
        bundle=bundle,
        verdict=verdict,
        errors=errors,
    )


def _take_first(waiting: list[FlowTable], windows: WindowGraphs) -> FlowTable:
    """Take the flows of these windows, the first that wait, and check that they are the same."""
    needed = len(windows.flow_id)
    pieces: list[pa.Table] = []
    info = waiting[0].info
    while needed:
        flows = waiting.pop(0)
        if len(flows) > needed:
            waiting.insert(0, flows.slice(needed))
            flows = flows.slice(0, needed)
        pieces.append(flows.table)
        needed -= len(flows)
    taken = FlowTable.trusted(pa.concat_tables(pieces), info)
    require_order(taken.flow_id, windows.flow_id)
    return taken


def require_order(flows: NDArray[np.int64], windows: NDArray[np.int64]) -> None:
    """Refuse a builder that reorders flows.

    Raises:
        ContractError: The ids differ.
    """
    if not np.array_equal(flows, windows):
        msg = "A graph builder changed the order of the flows."
        raise ContractError(
            msg, do="WindowGraphs.flow_id must follow the order of the flows given."
        )
