"""Find plugins, check what they yield, look parts up by name, and explain what went wrong.

pluggy alone is too trusting: a misspelt hook is silent, an undecorated function registers nothing,
a bad signature leaves the plugin registered, one failed import aborts the whole load, and a second
entry point of the same name is skipped. So each plugin is loaded in its own guard, failures are
kept, and a name that two packages provide is an error for whoever asks for it. There is no
module-level manager.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

import pluggy

from netvigil import hookspecs, parts
from netvigil.errors import (
    PluginConflictError,
    PluginError,
    PluginLoadError,
    UnknownPartError,
    nearest,
)

GROUP = "netvigil"
DISABLE = "NETVIGIL_DISABLE_PLUGINS"
TRACE = "NETVIGIL_TRACE_PLUGINS"

HOOKS: Mapping[str, type[parts.Part[Any]]] = {
    "netvigil_flow_readers": parts.FlowReader,
    "netvigil_flow_labellers": parts.FlowLabeller,
    "netvigil_flow_joiners": parts.FlowJoiner,
    "netvigil_flow_transforms": parts.FlowTransform,
    "netvigil_graph_builders": parts.GraphBuilder,
    "netvigil_encoders": parts.Encoder,
    "netvigil_scorers": parts.Scorer,
    "netvigil_thresholds": parts.Threshold,
    "netvigil_classifiers": parts.Classifier,
    "netvigil_generators": parts.Generator,
    "netvigil_explainers": parts.Explainer,
    "netvigil_alert_exporters": parts.AlertExporter,
    "netvigil_executors": parts.Executor,
    "netvigil_samples": parts.Sample,
    "netvigil_benchmarks": parts.Benchmark,
}

P = TypeVar("P", bound="parts.Part[Any]")


@dataclass(frozen=True)
class Provider:
    """Where a part comes from: an entry point of a distribution, or an object given by hand."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip() or self.module


@dataclass(frozen=True)
class Registered(Generic[P]):
    """A part and who provides it."""

    part: P
    provider: Provider


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be used, and why."""

    provider: Provider
    error: PluginError
    details: str = ""


@dataclass(frozen=True)
class Plugins:
    """Everything that was found: parts by kind, failures by plugin, names that were disabled."""

    registered: Sequence[Registered[Any]]
    failures: Sequence[Failure] = ()
    disabled: Sequence[str] = ()
    providers: Sequence[Provider] = field(default_factory=tuple)

    def of(self, kind: type[P]) -> list[Registered[P]]:
        """Return all parts of a kind, sorted by name."""
        found = [r for r in self.registered if type(r.part) is kind]
        return sorted(found, key=lambda r: (r.part.name, r.provider.distribution))

    def names(self, kind: type[P]) -> list[str]:
        """Return the distinct names of a kind, sorted."""
        return sorted({r.part.name for r in self.of(kind)})

    def get(self, kind: type[P], name: str) -> Registered[P]:
        """Return the one part of that kind and name.

        Raises:
            UnknownPartError: Nobody provides it; names the nearest, and the failed plugins.
            PluginConflictError: Two packages provide it.
        """
        found = [r for r in self.of(kind) if r.part.name == name]
        if not found:
            raise self._unknown(kind, name)
        if len(found) > 1:
            lines = "\n".join(f"  {r.provider}  {r.provider.module}" for r in found)
            msg = f"{len(found)} installed packages provide the {kind.kind} '{name}':"
            raise PluginConflictError(msg, where=lines, do=f"Uninstall one, or set {DISABLE}.")
        return found[0]

    def conflicts(self) -> list[tuple[str, str]]:
        """Return the (kind, name) pairs that more than one package provides."""
        seen: dict[tuple[str, str], int] = {}
        for r in self.registered:
            key = (r.part.kind, r.part.name)
            seen[key] = seen.get(key, 0) + 1
        return sorted(key for key, count in seen.items() if count > 1)

    def reader(self, name: str) -> parts.FlowReader:
        """Return the flow reader of that name."""
        return self.get(parts.FlowReader, name).part

    def labeller(self, name: str) -> parts.FlowLabeller:
        """Return the flow labeller of that name."""
        return self.get(parts.FlowLabeller, name).part

    def joiner(self, name: str) -> parts.FlowJoiner:
        """Return the flow joiner of that name."""
        return self.get(parts.FlowJoiner, name).part

    def transform(self, name: str) -> parts.FlowTransform:
        """Return the flow transform of that name."""
        return self.get(parts.FlowTransform, name).part

    def builder(self, name: str) -> parts.GraphBuilder:
        """Return the graph builder of that name."""
        return self.get(parts.GraphBuilder, name).part

    def encoder(self, name: str) -> parts.Encoder:
        """Return the encoder of that name."""
        return self.get(parts.Encoder, name).part

    def scorer(self, name: str) -> parts.Scorer:
        """Return the scorer of that name."""
        return self.get(parts.Scorer, name).part

    def threshold(self, name: str) -> parts.Threshold:
        """Return the threshold of that name."""
        return self.get(parts.Threshold, name).part

    def exporter(self, name: str) -> parts.AlertExporter:
        """Return the alert exporter of that name."""
        return self.get(parts.AlertExporter, name).part

    def sample(self, name: str) -> parts.Sample:
        """Return the sample of that name."""
        return self.get(parts.Sample, name).part

    def _unknown(self, kind: type[P], name: str) -> UnknownPartError:
        installed = ", ".join(f"{r.part.name} ({r.provider})" for r in self.of(kind)) or "none"
        advice = [nearest(name, self.names(kind))]
        if self.failures:
            failed = ", ".join(sorted(f.provider.name for f in self.failures))
            advice.append(f"Plugins that failed to load: {failed}; see `netvigil plugins doctor`.")
        if self.disabled:
            advice.append(f"Disabled by {DISABLE}: {', '.join(self.disabled)}.")
        article = "an" if kind.kind[0] in "aeiou" else "a"
        return UnknownPartError(
            f"No {kind.kind} is named '{name}'.",
            where=f"Installed {kind.kind}s: {installed}.",
            do=" ".join(a for a in advice if a)
            or f"Install a package that provides {article} {kind.kind}.",
        )


def load_plugins(*, entry_points: bool = True, extra: Iterable[object] = ()) -> Plugins:
    """Load every plugin once and return what was found; a broken one never stops the others.

    `extra` are plugin objects (modules, or anything with decorated methods) given by hand, as tests
    do. `NETVIGIL_DISABLE_PLUGINS=a,b` is read before discovery and skips those entry points.
    """
    blocked = {name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
    loading = _Loading()
    if entry_points:
        for entry in _entry_points():
            if entry.name in blocked:
                loading.disabled.append(entry.name)
            else:
                loading.add_entry_point(entry)
    for plugin in extra:
        module = getattr(plugin, "__name__", type(plugin).__name__)
        loading.add(plugin, Provider(name=module, module=module))
    return loading.result()


class _Loading:
    """Collects parts and failures while plugins are loaded one by one."""

    def __init__(self) -> None:
        self.registered: list[Registered[Any]] = []
        self.failures: list[Failure] = []
        self.disabled: list[str] = []
        self.providers: list[Provider] = []
        self.trace = bool(os.environ.get(TRACE))

    def add_entry_point(self, entry: importlib.metadata.EntryPoint) -> None:
        dist = entry.dist
        provider = Provider(
            name=entry.name,
            module=entry.value,
            distribution=dist.name if dist else "",
            version=dist.version if dist else "",
        )
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what it raises is its failure
            self._fail(provider, f"Plugin '{entry.name}' failed at import: {_cause(error)}", error)
            return
        self.add(plugin, provider)

    def add(self, plugin: object, provider: Provider) -> None:
        """Register one plugin in a manager of its own: nothing it does can touch another's."""
        self.providers.append(provider)
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        try:
            _refuse_unknown_hooks(manager, plugin)
            manager.register(plugin, name=provider.name)
            manager.check_pending()
            callers = manager.get_hookcallers(plugin) or []
        except Exception as error:  # noqa: BLE001 - a bad signature raises; the others go on
            self._fail(provider, f"Plugin '{provider.name}' was refused: {_cause(error)}", error)
            return
        if not callers:
            self._fail(provider, f"Plugin '{provider.name}' implements no hook.")
            return
        for caller in callers:
            for implementation in caller.get_hookimpls():
                self._consume(caller.name, implementation, provider)

    def _consume(self, hook: str, implementation: pluggy.HookImpl, provider: Provider) -> None:
        """Walk one implementation's generator here: its exceptions are charged to its package."""
        kind = HOOKS[hook]
        try:
            found: list[Any] = list(cast("Iterable[Any]", implementation.function()))
        except Exception as error:  # noqa: BLE001 - see add
            self._fail(
                provider, f"'{hook}' of plugin '{provider.name}' raised: {_cause(error)}", error
            )
            return
        for part in found:
            if type(part) is not kind:
                yielded = f"{type(part).__name__}, not {kind.__name__}"
                what = f"'{hook}' of plugin '{provider.name}' yielded {yielded}."
                self._fail(provider, what)
            else:
                self.registered.append(Registered(part, provider))
        if self.trace:
            names = ", ".join(str(getattr(p, "name", p)) for p in found)
            sys.stderr.write(f"[plugins] {provider.name}.{hook}: {names}\n")

    def _fail(self, provider: Provider, what: str, error: BaseException | None = None) -> None:
        problem = PluginLoadError(
            what,
            where=f"{provider}  {provider.module}",
            do=f"Upgrade or uninstall it, or set {DISABLE}={provider.name}.",
        )
        details = "".join(traceback.format_exception(error)) if error else ""
        self.failures.append(Failure(provider, problem, details))

    def result(self) -> Plugins:
        return Plugins(self.registered, self.failures, self.disabled, self.providers)


def _entry_points() -> Iterator[importlib.metadata.EntryPoint]:
    """Yield each entry point once, in a fixed order; same-named ones of two packages both count."""
    by_key = {
        (entry.name, entry.value, entry.dist.name if entry.dist else ""): entry
        for entry in importlib.metadata.entry_points(group=GROUP)
    }
    for key in sorted(by_key):
        yield by_key[key]


def _refuse_unknown_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse what pluggy passes over in silence: misspelt hooks and undecorated functions."""
    for name in dir(plugin):
        if not name.startswith("netvigil_") or isinstance(getattr(plugin, name), ModuleType):
            continue
        if name not in HOOKS:
            msg = f"'{name}' is not a netvigil hook. {nearest(name, HOOKS)}".strip()
            raise PluginLoadError(msg)
        if manager.parse_hookimpl_opts(plugin, name) is None:
            msg = f"'{name}' lacks the @hookimpl decorator."
            raise PluginLoadError(msg)


def _cause(error: BaseException) -> str:
    # On one line: pluggy says what is wrong with a signature in its second and third.
    return " ".join(f"{type(error).__name__}: {error}".split())
