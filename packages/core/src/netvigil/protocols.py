"""What each kind of part must be able to do. What learns has `fit`, `get_state` and `set_state`.

A state is arrays, JSON values and scikit-learn-like estimators; the bundle writes these as
safetensors, JSON and skops files, so that loading a bundle never executes what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts import (
    AlertTable,
    EncodedFlows,
    Explanation,
    FlowBatch,
    FlowFeatures,
    FlowTable,
    JoinedFlows,
    LabelTable,
    ScoreTable,
    WindowGraphs,
    WindowStream,
)


@dataclass(frozen=True)
class State:
    """Everything a fitted part must remember.

    `arrays` become one safetensors file; `values` must be plain JSON; `estimators` become skops
    files, whose types the part lists in `trusted_types`.
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    estimators: Mapping[str, Any] = field(default_factory=dict)


class Stateful(Protocol):
    """A part that a bundle can carry."""

    def get_state(self) -> State:
        """Return what `fit` learnt; raises `NotFittedError` before it."""
        ...

    def set_state(self, state: State) -> Self:
        """Take over what another instance of the same config learnt, and return self."""
        ...


@dataclass(frozen=True)
class SourceHead:
    """The first bytes of a source, decompressed, for sniffing.

    `path` is the file, or the folder itself; `head` up to 64 kB of the file's (decompressed)
    content, or empty for a folder; `names` the sorted file names of a folder, or empty.
    """

    path: Path
    head: bytes
    names: tuple[str, ...] = ()


class FlowReader(Protocol):
    """Reads one dialect of flow records."""

    def sniff(self, head: SourceHead) -> str | None:
        """Say in words why this source is in this dialect, or None where it is not."""
        ...

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        """Yield the source piece by piece, about `batch_rows` flows each, with row accounting.

        `flow_id` counts the data rows of the source (all files together), accepted or not, from 0:
        chunk size never changes it. Raises `SourceError` where the source is not what it claims to
        be.
        """
        ...


class FlowLabeller(Protocol):
    """Writes ground truth about flows; the only kind of part that may."""

    def label(self, flows: FlowTable, inline: pa.Table | None) -> LabelTable:
        """Label flows (any batch of them); flows it does not mention are unknown.

        `inline` is the source's own label text, see `FlowBatch`.
        """
        ...


@runtime_checkable
class MatchingLabeller(Protocol):
    """A labeller with truth of its own, which can say that none of it met a flow."""

    def require_matches(self) -> None:
        """Raise `SourceError` where no row of the truth met any of the flows labelled so far."""
        ...


class FlowJoiner(Protocol):
    """Joins the records of one conversation into one flow."""

    def join(self, batches: Iterable[FlowTable]) -> Iterator[JoinedFlows]:
        """Join a stream of flows in start order, holding back only conversations that may go on."""
        ...


class FlowTransform(Stateful, Protocol):
    """Maps features to features; fitted on the train range, without labels."""

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Learn from the train range's features."""
        ...

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return new features; a row never depends on its companions, inputs stay as they are."""
        ...


@runtime_checkable
class SupervisedTransform(Protocol):
    """A transform that learns from labels: for classifiers, and for parity with publications."""

    def fit_labelled(
        self, features: FlowFeatures, is_attack: NDArray[np.bool_], *, seed: int
    ) -> Self:
        """Learn from the train range's features and labels, bool [flows]."""
        ...


@runtime_checkable
class Undoing(Protocol):
    """A transform that leads features back to what they were, as far as it kept that.

    What was clipped stays clipped, what was filled in stays filled in.
    """

    def undo(self, features: FlowFeatures) -> FlowFeatures:
        """Return features as they were before `transform`; refuses other columns than it makes."""
        ...


@runtime_checkable
class Told(Protocol):
    """A fitted transform that can say what it learnt, such as which features it kept."""

    def told(self) -> str:
        """Say it in one sentence, for the receipt."""
        ...


class GraphBuilder(Protocol):
    """Cuts flows into windows and makes a graph of each; learns nothing."""

    def check(self, flows: FlowTable) -> None:
        """Raise `IncompatiblePartsError` where flows cannot be built: no addresses, no clock."""
        ...

    def window_of(self, flows: FlowTable, *, first_row: int) -> NDArray[np.int64]:
        """Return the number of each flow's window, int64 [flows], never decreasing.

        `first_row` is how many flows of the stream came before these. A window's number must depend
        on nothing but the flow's own time or row, so that batches can be cut between windows.
        """
        ...

    def build(
        self, flows: FlowTable, features: FlowFeatures, window: NDArray[np.int64]
    ) -> WindowGraphs:
        """Build all windows of these flows in one pass; windows without flows do not appear."""
        ...


class Encoder(Stateful, Protocol):
    """Turns windows into embeddings or error terms, without labels."""

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Learn from the train range; several passes are fine, a one-shot iterator is refused."""
        ...

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Encode each flow once, in the order of `windows.flow_id`; `windows` does not change."""
        ...


def _ignore(*_: Any, **__: Any) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Watch:
    """What a long `fit` reports to and keeps its checkpoints in; the default tells nobody.

    `advance` takes the number of flows just trained on; `write` takes the values of one line of
    `log.jsonl`; `checkpoints` is a folder of this fit's own, from which it goes on after a kill.
    """

    advance: Callable[[int], None] = _ignore
    write: Callable[..., None] = _ignore
    checkpoints: Path | None = None


@runtime_checkable
class Watched(Protocol):
    """An encoder or classifier that trains for many passes: it reports them, and outlives a kill.

    `passes` is how often `fit` walks through its windows at most.
    """

    passes: int

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` to `watch`."""
        ...


@runtime_checkable
class FeatureErrors(Protocol):
    """An encoder whose error is a sum over features, so that each feature's share of it is exact.

    What stands behind a flow's error term is then known and not estimated: an explanation divides a
    row by its sum.
    """

    def feature_errors(self, windows: WindowGraphs) -> NDArray[np.float32]:
        """Return what each feature adds to the error of each flow, float32 [flows, features].

        Columns are in the order of `windows.feature_names`. A value is the squared error of a
        feature over the error that is usual for it, so features compare: 1 is usual, more is worse,
        none is negative. A row does not depend on the other flows of `windows`. Raises
        `NotFittedError` before `fit`, and `ContractError` for windows with other features.
        """
        ...


class Scorer(Stateful, Protocol):
    """Ranks encoded flows; higher means more anomalous."""

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        """Learn what is usual from the train range's encoding, without labels."""
        ...

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        """Score each flow by itself: its score does not depend on which others come with it."""
        ...


@runtime_checkable
class Refits(Protocol):
    """An encoder that is cheap to fit: where train flows were held out, it learns them too."""

    def refit(self, windows: WindowStream, *, seed: int) -> Self:
        """Learn the whole train range, once the held-out part has been encoded for the scorers."""
        ...


@runtime_checkable
class CalibratedScorer(Protocol):
    """A scorer that asks how usual flows score that neither it nor its encoder was fitted on."""

    def calibrate(self, held_out: EncodedFlows, *, seed: int) -> Self:
        """Learn from the latest flows of the train range, after `fit` on the earlier ones."""
        ...


@runtime_checkable
class Clustering(Protocol):
    """A scorer whose scores come from clusters, which can be compared with classes."""

    def clusters(self, encoded: EncodedFlows) -> NDArray[np.int64]:
        """Return each flow's cluster, int64 [flows], -1 where it is in none."""
        ...


@dataclass(frozen=True)
class Calibration:
    """What a threshold may see of the calibration range.

    Shapes:
        score: float64 [flows], in time order
        start_us: int64 [flows] or None without a clock; duration_s: length of the range or None
        is_attack, known: bool [flows], only for thresholds whose part says `supervised`, else None
    """

    score: NDArray[np.float64]
    start_us: NDArray[np.int64] | None = None
    duration_s: float | None = None
    is_attack: NDArray[np.bool_] | None = None
    known: NDArray[np.bool_] | None = None


class Threshold(Stateful, Protocol):
    """Chooses the cut above which a flow becomes an alert."""

    @property
    def cut_(self) -> float:
        """The cut; scores above it (strictly) are alerts."""
        ...

    def fit(self, calibration: Calibration, *, seed: int) -> Self:
        """Choose `cut_` from the calibration range."""
        ...

    def provenance(self) -> str:
        """Say in one sentence what the cut was set on and by which rule."""
        ...


@dataclass(frozen=True)
class Promise:
    """What a threshold says about alerts on traffic like the calibration range, at most `value`.

    `share`: of all flows that are flagged; `fpr`: of benign flows that are flagged;
    `alerts-per-day`: flagged flows a day.
    """

    kind: Literal["share", "fpr", "alerts-per-day"]
    value: float


@runtime_checkable
class Promising(Protocol):
    """A threshold whose settings promise a rate of alerts, which a run then measures."""

    def promise(self) -> Promise | None:
        """Return the promise, fitted or not; None where these settings make none."""
        ...


class CutFollower(Protocol):
    """A cut on its way through flows in time order, with all that it remembers of them."""

    def cuts(
        self, start_us: NDArray[np.int64] | None, score: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the cut of each of the next flows, float64 [flows].

        `start_us` int64 [flows] does not fall and is None without a clock. A cut depends on flows
        of earlier windows only, and on nothing of how flows come in batches; memory is bounded.
        """
        ...


@runtime_checkable
class MovingCut(Protocol):
    """A threshold whose cut moves with the unlabelled scores that it has seen.

    `cut_` is where it begins: after the calibration range.
    """

    def follow(self) -> CutFollower:
        """Return a follower that begins at `cut_`; each call returns a fresh one."""
        ...


class Classifier(Stateful, Protocol):
    """Learns attack classes from labels, and says so: it stands in for encoder and scorer.

    `netvigil.classes` names and numbers the classes of a label table. One that trains for long may
    be `Watched`, as an encoder.
    """

    def fit(self, windows: WindowStream, labels: LabelTable, *, seed: int) -> Self:
        """Learn classes from the labelled flows of the train range; the others have no label."""
        ...

    def classify(self, windows: WindowGraphs) -> EncodedFlows:
        """Return one term per class, its probability, float32 [flows]; `benign` comes first.

        The terms of a flow add up to 1, and do not depend on the flows of other windows.
        """
        ...


@dataclass(frozen=True)
class Generated:
    """New windows, and of what class each flow is where the generator was taught classes.

    `node_class` says the same of nodes, for generators that label those.

    Shapes:
        windows: their flow ids count from 0, their times mean nothing
        node_class: str [nodes], rows as in `windows.node_key`
    """

    windows: WindowGraphs
    labels: LabelTable | None = None
    node_class: NDArray[np.str_] | None = None


class Generator(Stateful, Protocol):
    """Makes new traffic windows like the ones it was fitted on."""

    def fit(self, windows: WindowStream, labels: LabelTable | None, *, seed: int) -> Self:
        """Learn the distribution of windows, given their class where labels are passed."""
        ...

    def generate(self, windows: int, *, condition: str | None, seed: int) -> Generated:
        """Return that many new windows, of its own mixture of classes or all of one."""
        ...


@dataclass(frozen=True)
class Scoring:
    """A fitted pipeline as explainers see it: windows in, scores out, and usual features.

    Shapes:
        score: windows -> float64 [flows]
        groups: name -> numbers of the columns of `flow_x` that mean something only together, such
            as those of one category; every column is in one group
        background: float32 [rows, features], features of a seeded sample of train flows
        median: float32 [features], over train flows
        advance: told 1 for each flow explained
    """

    score: Callable[[WindowGraphs], NDArray[np.float64]]
    encoder: Encoder
    groups: Mapping[str, tuple[int, ...]]
    background: NDArray[np.float32]
    median: NDArray[np.float32]
    seed: int = 0
    advance: Callable[[int], None] = _ignore


class Explainer(Protocol):
    """Says what a flow's score rests on."""

    def check(self, scoring: Scoring, windows: WindowGraphs) -> None:
        """Raise `IncompatiblePartsError` where this pipeline, or such windows, are beyond it."""
        ...

    def explain(
        self, scoring: Scoring, windows: WindowGraphs, rows: NDArray[np.int64]
    ) -> list[Explanation]:
        """Explain the score of each of these flow rows; `windows` are whole and stay as they are.

        The explanation of a flow does not depend on which others are explained with it.
        """
        ...


class AlertExporter(Protocol):
    """Writes alerts in some format."""

    suffix: str

    def export(self, alerts: Iterable[AlertTable], target: Path) -> int:
        """Write all alerts to `target`; returns how many. The caller renames it into place."""
        ...


class Executor(Protocol):
    """Runs independent jobs (seeds, trials), somewhere."""

    def map(self, job: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield `job(item)` in the order of the items."""
        ...


@dataclass(frozen=True)
class SampleFiles:
    """Where the files of a sample are.

    `flows` and `labels` are what `capture` and `events` become, for those who cannot read captures;
    `readme` says how it was made.
    """

    capture: Path
    events: Path
    flows: Path
    labels: Path
    readme: Path


class Sample(Protocol):
    """A small recorded data set with its truth that comes inside a package."""

    def write(self, folder: Path) -> SampleFiles:
        """Write all files into this folder, which is empty."""
        ...


class Benchmark(Protocol):
    """A plugin's own micro-benchmark."""

    def setup(self, flows: int, *, seed: int) -> Any:
        """Make the input, outside the timer."""
        ...

    def run(self, prepared: Any) -> int:
        """Do the work once and return how many items it handled: flows, unless the part says."""
        ...
