"""One test per hook: a plugin of one hook is found, typed and looked up by name."""

from __future__ import annotations

import inspect
import sys

import pluggy
import pytest

from netvigil import hookimpl, hookspecs, parts, protocols
from netvigil.plugins import HOOKS, Plugins, load_plugins


def load(hook: str, part: parts.Part) -> Plugins:
    """Load a plugin whose only hook yields one part."""

    def implementation():
        yield part

    implementation.__name__ = hook
    plugin = type("Plugin", (), {hook: staticmethod(hookimpl(implementation))})()
    found = load_plugins(entry_points=False, extra=[plugin])
    assert not found.failures
    return found


def made(kind: type, **extra) -> parts.Part:
    return kind(name="acme", summary="From Acme.", make=lambda config: config, **extra)


def test_hook_netvigil_flow_readers():
    found = load("netvigil_flow_readers", made(parts.FlowReader, rank=3))
    assert found.reader("acme").rank == 3


def test_hook_netvigil_flow_labellers():
    found = load("netvigil_flow_labellers", made(parts.FlowLabeller))
    assert found.labeller("acme").name == "acme"


def test_hook_netvigil_flow_joiners():
    found = load("netvigil_flow_joiners", made(parts.FlowJoiner))
    assert found.joiner("acme").name == "acme"


def test_hook_netvigil_flow_transforms():
    found = load("netvigil_flow_transforms", made(parts.FlowTransform))
    assert found.transform("acme").trusted_types == ()


def test_hook_netvigil_graph_builders():
    found = load("netvigil_graph_builders", made(parts.GraphBuilder, emits="flow-host"))
    assert found.builder("acme").emits == "flow-host"


def test_hook_netvigil_encoders():
    found = load("netvigil_encoders", made(parts.Encoder, emits=frozenset({"terms"})))
    assert found.encoder("acme").emits == {"terms"}


def test_hook_netvigil_scorers():
    found = load("netvigil_scorers", made(parts.Scorer, needs="terms"))
    assert found.scorer("acme").needs == "terms"


def test_hook_netvigil_thresholds():
    found = load("netvigil_thresholds", made(parts.Threshold, supervised=True))
    assert found.threshold("acme").supervised


def test_hook_netvigil_classifiers():
    found = load("netvigil_classifiers", made(parts.Classifier))
    assert found.get(parts.Classifier, "acme").part.accepts == ("flow-host", "flows-only")


def test_hook_netvigil_generators():
    found = load("netvigil_generators", made(parts.Generator))
    assert found.names(parts.Generator) == ["acme"]


def test_hook_netvigil_explainers():
    found = load("netvigil_explainers", made(parts.Explainer))
    assert found.names(parts.Explainer) == ["acme"]


def test_hook_netvigil_alert_exporters():
    found = load("netvigil_alert_exporters", made(parts.AlertExporter))
    assert found.exporter("acme").name == "acme"


def test_hook_netvigil_executors():
    found = load("netvigil_executors", made(parts.Executor))
    assert found.names(parts.Executor) == ["acme"]


def test_hook_netvigil_samples():
    found = load("netvigil_samples", made(parts.Sample))
    assert found.sample("acme").name == "acme"


def test_hook_netvigil_benchmarks():
    found = load("netvigil_benchmarks", made(parts.Benchmark, room="score"))
    assert found.get(parts.Benchmark, "acme").part.room == "score"


def specified() -> list[str]:
    manager = pluggy.PluginManager("netvigil")
    manager.add_hookspecs(hookspecs)
    return sorted(n for n in dir(hookspecs) if manager.parse_hookspec_opts(hookspecs, n))


def test_every_hook_has_a_test():
    tested = {n[len("test_hook_") :] for n in dir(sys.modules[__name__]) if "test_hook_" in n}
    assert tested == set(specified())


def test_specs_parts_and_protocols_agree():
    """Adding a hook touches the spec, the part and the protocol; none may be forgotten."""
    assert sorted(HOOKS) == specified()
    assert set(hookspecs.__all__) == {*specified(), "hookimpl", "hookspec"}
    kinds = [
        k for k in vars(parts).values() if inspect.isclass(k) and k.__module__ == "netvigil.parts"
    ]
    kinds = [k for k in kinds if issubclass(k, parts.Part) and k is not parts.Part]
    assert set(HOOKS.values()) == set(kinds)
    for kind in kinds:
        assert inspect.isclass(getattr(protocols, kind.__name__))
    assert len({kind.kind for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("hook", specified())
def test_every_hook_is_described_with_an_example(hook):
    spec = getattr(hookspecs, hook)
    assert not inspect.signature(spec).parameters
    assert "`yield " in (spec.__doc__ or "")
