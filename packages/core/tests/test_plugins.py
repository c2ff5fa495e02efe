"""Every way a plugin can be wrong is found, charged to the right package and stops nobody else."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from netvigil import hookimpl, parts
from netvigil.errors import PluginConflictError, PluginLoadError, UnknownPartError
from netvigil.plugins import DISABLE, TRACE, load_plugins


def scorer(name: str) -> parts.Scorer:
    return parts.Scorer(name=name, summary="A scorer.", make=lambda config: config)


class Good:
    @hookimpl
    def netvigil_scorers(self):
        yield scorer("good")


class Misspelt:
    @hookimpl
    def netvigil_scorer(self):
        yield scorer("never-asked")


class Undecorated:
    def netvigil_scorers(self):
        yield scorer("never-asked")


class BadSignature:
    @hookimpl
    def netvigil_scorers(self, batch):
        yield scorer("never-asked")


class Junk:
    @hookimpl
    def netvigil_scorers(self):
        yield scorer("before-junk")
        yield {"name": "junk"}


class WrongKind:
    @hookimpl
    def netvigil_scorers(self):
        yield parts.Threshold(name="cut", summary="A threshold.", make=lambda config: config)


class Halfway:
    @hookimpl
    def netvigil_scorers(self):
        yield scorer("before-the-fault")
        msg = "the disk of the author"
        raise ZeroDivisionError(msg)

    @hookimpl
    def netvigil_thresholds(self):
        yield parts.Threshold(name="cut", summary="A threshold.", make=lambda config: config)


class Nothing:
    pass


class ReturnsNone:
    @hookimpl
    def netvigil_scorers(self):
        return None


class BadName:
    @hookimpl
    def netvigil_scorers(self):
        yield scorer("Not Kebab")


@dataclass
class Entry:
    """What importlib.metadata gives for an entry point, as far as it is used."""

    name: str
    plugin: Any
    distribution: str = ""
    value: str = "somewhere.plugin"

    @property
    def dist(self) -> Any:
        return SimpleNamespace(name=self.distribution, version="1.2") if self.distribution else None

    def load(self) -> Any:
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


@pytest.fixture
def install(monkeypatch):
    def set_entries(*entries: Entry) -> None:
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: list(entries))

    monkeypatch.delenv(DISABLE, raising=False)
    monkeypatch.delenv(TRACE, raising=False)
    return set_entries


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (Misspelt(), ["netvigil_scorer", "Did you mean 'netvigil_scorers'?"]),
        (Undecorated(), ["netvigil_scorers", "@hookimpl"]),
        (BadSignature(), ["batch"]),
        (Junk(), ["yielded dict", "not Scorer"]),
        (WrongKind(), ["yielded Threshold", "not Scorer"]),
        (Halfway(), ["netvigil_scorers", "ZeroDivisionError: the disk of the author"]),
        (Nothing(), ["implements no hook"]),
        (ReturnsNone(), ["netvigil_scorers", "TypeError"]),
        (BadName(), ["Not Kebab"]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
)
def test_a_broken_plugin_is_named_and_stops_nobody(install, plugin, words):
    install(Entry("acme", plugin, "acme-netvigil"), Entry("good", Good(), "good-netvigil"))
    found = load_plugins()
    (failure,) = found.failures
    assert failure.provider.name == "acme"
    text = str(failure.error)
    assert isinstance(failure.error, PluginLoadError)
    for word in [*words, "acme", "acme-netvigil 1.2", f"{DISABLE}=acme"]:
        assert word in text
    assert found.scorer("good").name == "good"
    assert "never-asked" not in found.names(parts.Scorer)


def test_an_exception_halfway_costs_that_hook_only(install):
    install(Entry("acme", Halfway()))
    found = load_plugins()
    assert found.names(parts.Scorer) == []
    assert found.names(parts.Threshold) == ["cut"]
    assert "ZeroDivisionError" in found.failures[0].details  # the traceback, for the author


@pytest.mark.parametrize(
    "error",
    [ImportError("No module named 'torch'"), SyntaxError("eh"), SystemExit(3), RuntimeError("x")],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_import_is_kept_and_the_rest_loads(install, error):
    install(Entry("acme", error, "acme-netvigil"), Entry("good", Good()))
    found = load_plugins()
    assert "failed at import" in str(found.failures[0].error)
    assert type(error).__name__ in str(found.failures[0].error)
    assert found.names(parts.Scorer) == ["good"]


def test_an_unknown_name_lists_the_installed_and_the_nearest_and_the_failed(install):
    install(Entry("acme", ImportError("no")), Entry("good", Good(), "good-netvigil"))
    with pytest.raises(UnknownPartError) as caught:
        load_plugins().scorer("goood")
    text = str(caught.value)
    assert "No scorer is named 'goood'." in text
    assert "good (good-netvigil 1.2)" in text
    assert "Did you mean 'good'?" in text
    assert "acme" in text


def test_two_plugins_of_one_entry_point_name_are_both_loaded(install):
    class Other:
        @hookimpl
        def netvigil_thresholds(self):
            yield parts.Threshold(name="cut", summary="A threshold.", make=lambda config: config)

    install(Entry("acme", Good(), "first"), Entry("acme", Other(), "second"))
    found = load_plugins()
    assert not found.failures
    assert {p.distribution for p in found.providers} == {"first", "second"}
    assert found.names(parts.Scorer) == ["good"]
    assert found.names(parts.Threshold) == ["cut"]


def test_a_name_that_two_packages_provide_is_an_error_for_whoever_asks(install):
    class Both:
        @hookimpl
        def netvigil_scorers(self):
            yield scorer("good")
            yield scorer("other")

    install(Entry("a", Good(), "good-netvigil"), Entry("b", Both(), "acme-netvigil", "acme.door"))
    found = load_plugins()
    assert found.scorer("other").name == "other"  # nobody asked for the other one
    assert found.conflicts() == [("scorer", "good")]
    with pytest.raises(PluginConflictError) as caught:
        found.scorer("good")
    text = str(caught.value)
    assert "good-netvigil 1.2" in text
    assert "acme-netvigil 1.2" in text
    assert "acme.door" in text
    assert DISABLE in text


def test_one_distribution_seen_twice_is_one_plugin(install):
    # An editable install beside a wheel, or a doubled sys.path entry, lists an entry point twice.
    install(Entry("a", Good(), "good-netvigil"), Entry("a", Good(), "good-netvigil"))
    assert load_plugins().scorer("good").name == "good"


def test_disabled_plugins_are_not_even_imported(install, monkeypatch):
    install(Entry("acme", AssertionError("imported")), Entry("good", Good()))
    monkeypatch.setenv(DISABLE, " acme ,nobody")
    found = load_plugins()
    assert found.disabled == ["acme"]
    assert not found.failures
    with pytest.raises(UnknownPartError, match="Disabled by NETVIGIL_DISABLE_PLUGINS: acme"):
        found.scorer("acme-depth")


def test_trace_says_who_yields_what(install, monkeypatch, capsys):
    install(Entry("good", Good()))
    load_plugins()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(TRACE, "1")
    load_plugins()
    assert "good.netvigil_scorers: good" in capsys.readouterr().err


def test_extra_plugins_need_no_entry_point(install):
    install(Entry("acme", AssertionError("imported")))
    found = load_plugins(entry_points=False, extra=[Good()])
    assert found.scorer("good").name == "good"
    assert not found.failures


def test_core_registers_its_own_parts_through_the_hooks():
    from netvigil import builtins

    found = load_plugins(entry_points=False, extra=[builtins])
    assert not found.failures
    assert found.exporter("jsonl").make(parts.NoConfig()).suffix == ".jsonl"
    assert found.labeller("table").summary


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "Upper"}, "kebab-case"),
        ({"name": "two words"}, "kebab-case"),
        ({"summary": " "}, "summary"),
        ({"summary": "two\nlines"}, "summary"),
        ({"config": dict}, "PartConfig"),
        ({"config": "Config"}, "PartConfig"),
    ],
)
def test_a_part_checks_itself(fields, words):
    with pytest.raises(PluginLoadError, match=words):
        parts.Scorer(
            **({"name": "good", "summary": "A scorer.", "make": lambda config: config} | fields)
        )
