"""`netvigil demo`: from packets to a page, what it says on the way, and where it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netvigil import demo as module
from netvigil.errors import RunError, UnknownPartError
from netvigil.evidence import Evidence
from netvigil.phases import Phases
from netvigil.plugins import load_plugins
from netvigil.samples import write_sample
from netvigil.truth import read_labels

from .browser import CHROMIUM, opened
from .commands import netvigil


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One method and one seed; the checks before a landing run the whole demo."""
    monkeypatch.setattr(module, "METHODS", {"raw": module.METHODS["raw"]})
    monkeypatch.setattr(module, "EXPERIMENT", {**module.EXPERIMENT, "run": {"seeds": [0]}})


@pytest.mark.pcap
@pytest.mark.usefixtures("quick")
def test_it_goes_from_packets_to_a_page_and_can_be_done_again(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    said = netvigil("demo", "--out", out)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "demo.toml",
        "flows.labels.parquet",
        "flows.parquet",
        "report.html",
        "runs",
        "sample",
    }
    labels = read_labels(out / "flows.labels.parquet").table
    attacks = set(labels["attack"].to_pylist()) - {None}
    assert {"ssh_guess", "lateral", "exfiltration", "beacon", "dns_tunnel"} <= attacks
    for words in (
        "flows of pcap",
        "Audit, high",
        "pair-novelty",
        "raw + pca",
        "In truth:",
        "Took ",
    ):
        assert words in said, words
    tested = Evidence.load(out / "runs" / "raw" / "evidence").facts.sample_of
    assert all(f"{name} " in said for name in tested if name != "benign")
    assert f"Open the report: {out / 'report.html'}" in said
    again = netvigil("run", out / "demo.toml", "--out", tmp_path / "again")
    assert "1 of 1 runs are whole" in again
    scores = (Path("raw") / "scores.parquet").as_posix()
    assert (tmp_path / "again" / scores).read_bytes() == (out / "runs" / scores).read_bytes()
    if CHROMIUM is not None:
        with opened(out / "report.html") as tab:
            assert tab.locator(".panel svg circle").count() > 2


@pytest.mark.usefixtures("quick")
def test_without_nfstream_it_takes_the_stored_flows_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    files = write_sample(load_plugins(), tmp_path / "sample")
    remarks: list[str] = []
    converted = module._flows(files, tmp_path / "flows.parquet", Phases, remarks)
    assert converted["flows"] > 5_000
    assert "netvigil-flowprep[pcap]" in remarks[0]
    assert read_labels(tmp_path / "flows.labels.parquet").table.num_rows == converted["flows"]


@pytest.mark.pcap
@pytest.mark.usefixtures("quick")
def test_machines_get_json(tmp_path: Path) -> None:
    done = json.loads(netvigil("demo", "--out", tmp_path / "demo", "--json"))
    assert Path(done["report"]).exists()
    assert set(done["seconds"]) == set(module.STEPS)
    assert set(done["receipts"]) == {"raw"}
    assert len(done["alerts"]) == 1


def test_what_is_not_installed_is_left_out_and_said() -> None:
    remarks: list[str] = []
    none = load_plugins(entry_points=False)
    with pytest.raises(UnknownPartError, match="No installed package has a method"):
        list(module._installed(none, remarks))
    assert len(remarks) == len(module.METHODS)
    assert dict(module._installed(load_plugins(), remarks)).keys() == module.METHODS.keys()


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="something of that name"):
        module.run_demo(tmp_path, phases=Phases, say=lambda _: None)
