"""Scores of a seed survive a file bit for bit, and the file executes nothing."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from netvigil.seeds import MethodRun, SeedResults

scores = hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(allow_nan=False))


def method(name, calibrate, test, **values) -> MethodRun:
    fields = {
        "kind": "method",
        "cut": 0.1,
        "provenance": "99 % quantile, \N{GREEK SMALL LETTER ALPHA}",
        "seeded": True,
        "fit_s": None,
        "score_s": 0.25,
    }
    return MethodRun(method=name, calibrate=calibrate, test=test, **(fields | values))


@hypothesis_settings(max_examples=25, deadline=None)
@given(scores, scores, st.floats(allow_nan=False), st.none() | st.integers(0, 2**31))
def test_round_trip(calibrate, test, cut, seed):
    from pathlib import Path

    runs = (
        method("raw + pca", calibrate, test, cut=cut, fit_s=1.5),
        method("pair-rarity", test, calibrate, kind="baseline", seeded=False),
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "3.npz"
        SeedResults(seed, runs).save(path)
        assert [p.name for p in path.parent.iterdir()] == ["3.npz"]
        found = SeedResults.load(path)
    assert found.seed == seed
    for mine, theirs in zip(runs, found.runs, strict=True):
        for name, value in vars(mine).items():
            if isinstance(value, np.ndarray):
                assert getattr(theirs, name).tobytes() == value.tobytes()
            else:
                assert getattr(theirs, name) == value


def test_a_failure_while_saving_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "0.npz"
    SeedResults(0, (method("a", np.zeros(2), np.ones(2)),)).save(path)

    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        SeedResults(0, (method("b", np.zeros(2), np.ones(2)),)).save(path)
    assert SeedResults.load(path).runs[0].method == "a"


def test_a_file_with_objects_is_refused(tmp_path):
    path = tmp_path / "0.npz"
    np.savez(path, described=np.array([{"seed": 0}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        SeedResults.load(path)
