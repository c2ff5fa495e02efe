"""Every hook of netvigil. A hook takes nothing and yields parts; write only the ones you need.

A plugin is a module named by an entry point of the group `netvigil`:

    # pyproject.toml
    [project.entry-points.netvigil]
    acme = "acme_netvigil.plugin"

    # acme_netvigil/plugin.py
    from collections.abc import Iterator
    from netvigil import hookimpl, parts

    @hookimpl
    def netvigil_scorers() -> Iterator[parts.Scorer]:
        yield parts.Scorer(name="acme-depth", summary="Depth in a random cut forest.", make=_depth)

    def _depth(config):                       # heavy imports belong in here
        from acme_netvigil.depth import Depth
        return Depth(config)

Refused, with the plugin's name and the reason: a hook that is not listed here, a value that is not
of the hook's part type, a name that is not kebab-case. A name that two packages provide is an error
for whoever asks for that name.
"""
# A hook specification is its signature and docstring; it has no body on purpose.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Iterator

import pluggy

from netvigil import parts

hookspec = pluggy.HookspecMarker("netvigil")
hookimpl = pluggy.HookimplMarker("netvigil")


@hookspec
def netvigil_flow_readers() -> Iterator[parts.FlowReader]:
    """Readers of flow dialects: `yield FlowReader(name="zeek-tsv", make=Zeek, rank=10, ...)`."""


@hookspec
def netvigil_flow_labellers() -> Iterator[parts.FlowLabeller]:
    """Sources of truth: `yield FlowLabeller(name="events", config=EventsConfig, ...)`."""


@hookspec
def netvigil_flow_joiners() -> Iterator[parts.FlowJoiner]:
    """Rules that join records: `yield FlowJoiner(name="timeout", config=TimeoutConfig, ...)`."""


@hookspec
def netvigil_flow_transforms() -> Iterator[parts.FlowTransform]:
    """Label-free feature maps: `yield FlowTransform(name="log1p", summary=..., make=Log1p)`."""


@hookspec
def netvigil_graph_builders() -> Iterator[parts.GraphBuilder]:
    """Windows and graphs: `yield GraphBuilder(name="flow-host", emits="flow-host", ...)`."""


@hookspec
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """Unsupervised models: `yield Encoder(name="autographad", emits=frozenset({"terms"}), ...)`."""


@hookspec
def netvigil_scorers() -> Iterator[parts.Scorer]:
    """Outlier detectors: `yield Scorer(name="hbos", needs="embedding", config=HbosConfig, ...)`."""


@hookspec
def netvigil_thresholds() -> Iterator[parts.Threshold]:
    """Cuts: `yield Threshold(name="quantile", config=QuantileConfig, make=Quantile, ...)`."""


@hookspec
def netvigil_classifiers() -> Iterator[parts.Classifier]:
    """Supervised models, which see labels: `yield Classifier(name="random-forest", make=...)`."""


@hookspec
def netvigil_generators() -> Iterator[parts.Generator]:
    """Traffic generators: `yield Generator(name="cggm", summary=..., make=...)`."""


@hookspec
def netvigil_explainers() -> Iterator[parts.Explainer]:
    """Reasons for scores: `yield Explainer(name="occlusion", summary=..., make=...)`."""


@hookspec
def netvigil_alert_exporters() -> Iterator[parts.AlertExporter]:
    """Alert formats: `yield AlertExporter(name="jsonl", summary=..., make=Jsonl)`."""


@hookspec
def netvigil_executors() -> Iterator[parts.Executor]:
    """Places to run seeds and trials: `yield Executor(name="serial", summary=..., make=Serial)`."""


@hookspec
def netvigil_samples() -> Iterator[parts.Sample]:
    """Small recorded data sets: `yield Sample(name="office", summary=..., make=Office)`."""


@hookspec
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """A plugin's micro-benchmarks: `yield Benchmark(name="build-flow-host", room="build", ...)`."""


__all__ = [
    "hookimpl",
    "hookspec",
    "netvigil_alert_exporters",
    "netvigil_benchmarks",
    "netvigil_classifiers",
    "netvigil_encoders",
    "netvigil_executors",
    "netvigil_explainers",
    "netvigil_flow_joiners",
    "netvigil_flow_labellers",
    "netvigil_flow_readers",
    "netvigil_flow_transforms",
    "netvigil_generators",
    "netvigil_graph_builders",
    "netvigil_samples",
    "netvigil_scorers",
    "netvigil_thresholds",
]
