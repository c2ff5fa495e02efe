"""The study of `netvigil_cggm`, which needs a reader and an encoder beside its own package."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from netvigil_cggm.__main__ import main


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    found = CliRunner().invoke(main, [str(tmp_path / "absent.csv"), "--to", str(tmp_path / "to")])
    assert found.exit_code == 1
    assert "no such source" in found.output
    assert not (tmp_path / "to").exists()
