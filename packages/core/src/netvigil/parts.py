"""The frozen dataclasses that hooks yield. A part says what exists; `make` builds it on demand.

Heavy imports happen inside `make`, so listing parts stays cheap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from netvigil import protocols
from netvigil.errors import PluginLoadError

T_co = TypeVar("T_co", covariant=True)
Overlay = Mapping[str, Mapping[str, Any]]
KEBAB = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")


class PartConfig(BaseModel):
    """The base of every part's settings: frozen, unknown keys refused, each field described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoConfig(PartConfig):
    """For a part without settings."""


@dataclass(frozen=True)
class Part(Generic[T_co]):
    """What every part has: a name, one line about it, its settings, and how to make it.

    Raises:
        PluginLoadError: A name that is not kebab-case, an empty summary, a config that is no
            `PartConfig`.
    """

    kind: ClassVar[str]

    name: str
    summary: str
    make: Callable[[Any], T_co]
    config: type[PartConfig] = NoConfig

    def __post_init__(self) -> None:
        if not KEBAB.match(self.name):
            msg = f"'{self.name}' is not a part name."
            raise PluginLoadError(
                msg, do="Names are kebab-case: lower-case words joined by hyphens."
            )
        if not self.summary.strip() or "\n" in self.summary:
            msg = f"Part '{self.name}' has no one-line summary."
            raise PluginLoadError(msg)
        if not (isinstance(self.config, type) and issubclass(self.config, PartConfig)):
            msg = f"The config of part '{self.name}' is not a netvigil.parts.PartConfig."
            raise PluginLoadError(msg)


@dataclass(frozen=True)
class FlowReader(Part[protocols.FlowReader]):
    """Yielded by `netvigil_flow_readers`. `rank` orders auto-detection: lower is asked first."""

    kind: ClassVar[str] = "flow reader"
    rank: int = 50


@dataclass(frozen=True)
class FlowLabeller(Part[protocols.FlowLabeller]):
    """Yielded by `netvigil_flow_labellers`."""

    kind: ClassVar[str] = "flow labeller"


@dataclass(frozen=True)
class FlowJoiner(Part[protocols.FlowJoiner]):
    """Yielded by `netvigil_flow_joiners`."""

    kind: ClassVar[str] = "flow joiner"


@dataclass(frozen=True)
class FlowTransform(Part[protocols.FlowTransform]):
    """Yielded by `netvigil_flow_transforms`. `supervised` ones learn from the train range's labels.

    Those are for classifiers, and for parity with published pipelines: without a classifier they
    are refused unless `run.parity` is on.
    """

    kind: ClassVar[str] = "flow transform"
    supervised: bool = False
    trusted_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphBuilder(Part[protocols.GraphBuilder]):
    """Yielded by `netvigil_graph_builders`. `emits` is the schema of its windows."""

    kind: ClassVar[str] = "graph builder"
    emits: str = "flow-host"
    needs_addresses: bool = True


@dataclass(frozen=True)
class Encoder(Part[protocols.Encoder]):
    """Yielded by `netvigil_encoders`.

    `accepts` lists the window schemas it understands; `emits` what `EncodedFlows` will carry;
    `passes` whether `fit` walks through its windows once or many times (then they are spooled).

    The rest is written like an experiment file, as section -> key -> value: `presets` are published
    settings by name, `parity` the choices of the official pipeline for `run.parity`. `spaces` are
    search spaces for `netvigil tune`: name -> "section.key" -> values. `seeded` says that fitting
    draws random numbers.
    """

    kind: ClassVar[str] = "encoder"
    accepts: tuple[str, ...] = ("flow-host",)
    emits: frozenset[Literal["embedding", "terms"]] = frozenset({"embedding"})
    passes: Literal["none", "one", "many"] = "many"
    seeded: bool = True
    trusted_types: tuple[str, ...] = ()
    presets: Mapping[str, Overlay] = field(default_factory=dict)
    parity: Overlay = field(default_factory=dict)
    spaces: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scorer(Part[protocols.Scorer]):
    """Yielded by `netvigil_scorers`.

    `needs` says what it reads of an encoding ("either" takes what there is); `transductive` that a
    flow's score depends on its batch companions (such scorers are refused in a bundle); `seeded`
    that fitting draws random numbers; `calibrated` that it is a `protocols.CalibratedScorer`, for
    which the runner holds out the latest train flows; `trusted_types` what its skops files may
    hold.
    """

    kind: ClassVar[str] = "scorer"
    seeded: bool = True
    needs: Literal["embedding", "terms", "either"] = "embedding"
    transductive: bool = False
    calibrated: bool = False
    trusted_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Threshold(Part[protocols.Threshold]):
    """Yielded by `netvigil_thresholds`. `supervised` ones get the calibration range's labels.

    One that looks at no score, because somebody gives the cut, says `needs_scores=False`: it needs
    no calibration part, and its cut means nothing for the scores of a baseline.
    """

    kind: ClassVar[str] = "threshold"
    supervised: bool = False
    needs_scores: bool = True


@dataclass(frozen=True)
class Classifier(Part[protocols.Classifier]):
    """Yielded by `netvigil_classifiers`; supervised, which every receipt and table says.

    `accepts` lists the window schemas it understands; `seeded` says that fitting draws random
    numbers; `trusted_types`, `presets` and `parity` are as for encoders.
    """

    kind: ClassVar[str] = "classifier"
    accepts: tuple[str, ...] = ("flow-host", "flows-only")
    seeded: bool = True
    trusted_types: tuple[str, ...] = ()
    presets: Mapping[str, Overlay] = field(default_factory=dict)
    parity: Overlay = field(default_factory=dict)


@dataclass(frozen=True)
class Generator(Part[protocols.Generator]):
    """Yielded by `netvigil_generators`.

    `accepts` lists the window schemas it learns from, `emits` is that of the windows it makes;
    `supervised` ones learn classes and need labels.
    """

    kind: ClassVar[str] = "generator"
    accepts: tuple[str, ...] = ("flow-host",)
    emits: str = "flow-host"
    supervised: bool = True


@dataclass(frozen=True)
class Explainer(Part[protocols.Explainer]):
    """Yielded by `netvigil_explainers`.

    `about` says what it names: a flow's own features, or the flows around it. Of those that can
    explain a pipeline, the one of the lowest `rank` is used for each, unless others are asked for.
    `unit` is what its amounts are parts of.
    """

    kind: ClassVar[str] = "explainer"
    about: Literal["features", "neighbours"] = "features"
    rank: int = 50
    unit: Literal["score", "reconstruction error"] = "score"


@dataclass(frozen=True)
class AlertExporter(Part[protocols.AlertExporter]):
    """Yielded by `netvigil_alert_exporters`."""

    kind: ClassVar[str] = "alert exporter"


@dataclass(frozen=True)
class Executor(Part[protocols.Executor]):
    """Yielded by `netvigil_executors`."""

    kind: ClassVar[str] = "executor"


@dataclass(frozen=True)
class Sample(Part[protocols.Sample]):
    """Yielded by `netvigil_samples`. `netvigil.samples.write_sample` writes one out."""

    kind: ClassVar[str] = "sample"


class OnDevice(PartConfig):
    """Settings of a benchmark that can run on an accelerator; the others have none."""

    device: str = Field("cpu", description="cpu, cuda or cuda:N.")


@dataclass(frozen=True)
class Benchmark(Part[protocols.Benchmark]):
    """Yielded by `netvigil_benchmarks`, a case each.

    Shapes:
        room: what it measures: read, convert, label, join, transform, build, train, encode, score,
            threshold, explain, report or start
        unit: what `run` counts, in the plural
        flows: the size that `netvigil bench` asks for where nobody says another
        hot: whether flows are handled by the million, so that no Python object per flow is allowed
    """

    kind: ClassVar[str] = "benchmark"
    room: str = "build"
    unit: str = "flows"
    flows: int = 100_000
    hot: bool = False
