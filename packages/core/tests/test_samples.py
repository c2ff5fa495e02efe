"""Samples of packages: chosen by name, written whole or not at all."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import fields

import pytest

from netvigil import builtins, hookimpl, parts
from netvigil.cli import main
from netvigil.errors import SourceError, UnknownPartError
from netvigil.plugins import load_plugins
from netvigil.protocols import SampleFiles
from netvigil.samples import write_sample

from .test_plugins import Entry


class Tiny:
    """A sample of empty files; `broken` ones fail halfway."""

    def __init__(self, *, broken: bool) -> None:
        self.broken = broken

    def write(self, folder):
        names = {field.name: folder / field.name for field in fields(SampleFiles)}
        for path in names.values():
            path.touch()
            if self.broken:
                raise OSError("the disk is full")
        return SampleFiles(**names)


class Samples:
    @staticmethod
    @hookimpl
    def netvigil_samples():
        for name in ("tiny", "broken"):
            yield parts.Sample(
                name=name, summary="Small.", make=lambda _, n=name: Tiny(broken=n == "broken")
            )


@pytest.fixture
def plugins():
    return load_plugins(entry_points=False, extra=[Samples()])


def test_a_sample_is_written_and_says_where(plugins, tmp_path):
    written = write_sample(plugins, tmp_path / "new" / "here", name="tiny")
    assert written.capture == tmp_path / "new" / "here" / "capture"
    assert all(path.exists() for path in vars(written).values())
    (tmp_path / "empty").mkdir()
    assert write_sample(plugins, tmp_path / "empty", name="tiny").flows.exists()


def test_a_folder_with_something_in_it_is_refused(plugins, tmp_path):
    (tmp_path / "mine").write_text("x")
    for folder in (tmp_path, tmp_path / "mine"):
        with pytest.raises(SourceError, match="not empty") as refusal:
            write_sample(plugins, folder, name="tiny")
        assert str(folder) in refusal.value.where
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_half_a_sample_is_never_seen(plugins, tmp_path):
    with pytest.raises(OSError, match="disk"):
        write_sample(plugins, tmp_path / "here")  # the first by name is the broken one
    assert list(tmp_path.iterdir()) == []


def test_no_sample_and_an_unknown_one_are_said(plugins, tmp_path):
    with pytest.raises(UnknownPartError, match="No installed package brings a sample"):
        write_sample(load_plugins(entry_points=False), tmp_path / "here")
    with pytest.raises(UnknownPartError, match="Did you mean 'tiny'"):
        write_sample(plugins, tmp_path / "here", name="tinny")


def test_the_command_prints_what_it_wrote(monkeypatch, tmp_path, capsys):
    entries = [Entry("core", builtins, "netvigil"), Entry("acme", Samples(), "acme")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: entries)
    folder = tmp_path / "here"
    for words in (["--to", str(folder), "--json"], ["--to", str(tmp_path / "other")]):
        with pytest.raises(SystemExit) as stopped:
            main(["data", "sample", "--name", "tiny", *words])
        assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert json.loads(said[: said.index("}") + 1])["events"] == str(folder / "events")
    assert f"Next: netvigil data inspect {tmp_path / 'other' / 'flows'}" in said
    with pytest.raises(SystemExit) as stopped:
        main(["data", "sample", "--to", str(folder)])
    assert stopped.value.code == 1
    assert "not empty" in capsys.readouterr().err
