"""A run folder has its name only when it is whole; what is unfinished is resumed or refused."""

from __future__ import annotations

import pytest

from netvigil.errors import RunError
from netvigil.runfolder import RunFolder, fresh

ME = {"experiment": {"seeds": (0, 1)}, "source": "abc"}


def begun(tmp_path, identity=ME) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "x")
    folder.begin(identity, resume=False)
    return folder


def test_finish_gives_the_name_and_drops_what_was_intermediate(tmp_path):
    folder = begun(tmp_path)
    fresh(folder.work / "seeds")
    folder.write("metrics.json", "{}")
    assert not folder.out.exists()
    assert folder.finish() == folder.out
    assert [p.name for p in folder.out.iterdir()] == ["metrics.json"]
    assert not folder.partial.exists()


def test_a_finished_run_is_not_overwritten(tmp_path):
    begun(tmp_path).finish()
    for resume in (False, True):
        with pytest.raises(RunError, match="finished run of that name"):
            RunFolder(tmp_path / "runs" / "x").begin(ME, resume=resume)


def test_an_unfinished_run_is_neither_overwritten_nor_forgotten(tmp_path):
    begun(tmp_path).write("kept", "1")
    with pytest.raises(RunError, match="--resume"):
        begun(tmp_path)
    again = RunFolder(tmp_path / "runs" / "x")
    again.begin(ME, resume=True)
    assert (again.partial / "kept").read_text() == "1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "abd"}, "differs in: source"),
        ({"experiment": {"seeds": (0, 2)}}, "differs in: experiment"),
        ({"source": "x", "experiment": {}}, "differs in: experiment, source"),
        ({"more": 1}, "differs in: more"),
    ],
)
def test_another_experiment_or_source_is_not_resumed(tmp_path, change, words):
    begun(tmp_path)
    with pytest.raises(RunError, match=words):
        RunFolder(tmp_path / "runs" / "x").begin(ME | change, resume=True)


def test_there_must_be_something_to_resume(tmp_path):
    with pytest.raises(RunError, match="no unfinished run"):
        RunFolder(tmp_path / "x").begin(ME, resume=True)


def test_a_run_killed_before_its_first_file_can_start_again(tmp_path):
    # An empty folder is what a kill leaves between making it and writing into it.
    (tmp_path / "runs" / "x.partial").mkdir(parents=True)
    assert begun(tmp_path).finish().is_dir()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    folder = begun(tmp_path)
    folder.write("a.json", "old")
    with pytest.raises(UnicodeEncodeError):
        folder.write("a.json", "\ud800")  # what the file system or the codec refuses midway
    assert (folder.partial / "a.json").read_text() == "old"
    assert sorted(p.name for p in folder.partial.iterdir()) == ["a.json", "identity.json"]


def test_fresh_empties(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert list(fresh(tmp_path / "a").iterdir()) == []
    assert fresh(tmp_path / "new" / "deep").is_dir()
