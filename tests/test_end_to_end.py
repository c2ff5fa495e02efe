"""Whole pipelines on real captures and logs, through the command line."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from netvigil.store import FlowStore

from .commands import (
    UNSW,
    experiment,
    fitted_files,
    netvigil,
    randomly_labelled,
    scores,
    without_times,
)

NETVIGIL = [sys.executable, "-c", "from netvigil.cli import main; main()"]


@pytest.fixture(scope="module")
def westermo(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Westermo capture as flows, labelled by its event file."""
    target = tmp_path_factory.mktemp("westermo") / "w.parquet"
    netvigil(
        *("data", "convert", data / "westermo" / "right.pcap", "--to", target),
        *("--labeller", "events", "--truth", data / "westermo" / "events.txt"),
    )
    return target


@pytest.mark.pcap
def test_a_capture_becomes_labelled_flows(data: Path, westermo: Path) -> None:
    found = json.loads(netvigil("data", "inspect", westermo, "--json"))
    assert found["format"] == "pcap"
    assert found["byte layer"] == "l2"
    # 15,633 TCP and UDP five-tuples (DATA.md), a few of them with a pause above the idle timeout.
    assert 15_633 <= found["flows"] < 15_800
    labels = pq.read_table(westermo.with_name("w.labels.parquet"))
    attacks = labels.filter(labels["is_attack"])
    flows = pq.read_table(westermo, columns=["flow_id", "start", "end", "src_ip", "dst_ip"])
    rows = flows.join(attacks, "flow_id", join_type="inner").to_pydict()
    events = _attack_events(data / "westermo" / "events.txt")
    assert len(rows["flow_id"]) > 15_000
    for start, end, source, target, name in zip(
        *(rows[c] for c in ("start", "end", "src_ip", "dst_ip", "attack")), strict=True
    ):
        attacker = "198.18.134.14" if name == "mitm" else "198.18.134.99"
        assert attacker in (source, target)
        begin, last = start.timestamp(), end.timestamp()
        assert any(n == name and a <= last and begin <= b for n, a, b in events), (start, name)


@pytest.mark.pcap
def test_the_same_flows_labelled_from_a_table(westermo: Path, tmp_path: Path) -> None:
    """A ground-truth table made of the attack flows gives the same attacks back."""
    labels = pl.read_parquet(westermo.with_name("w.labels.parquet"))
    flows = pl.read_parquet(westermo).join(labels.filter(pl.col("is_attack")), on="flow_id")
    # Half of the rows are written the other way round: both directions must match.
    turned = pl.col("flow_id") % 2 == 0
    table = flows.select(
        pl.when(turned).then("dst_ip").otherwise("src_ip").alias("saddr"),
        pl.when(turned).then("src_ip").otherwise("dst_ip").alias("daddr"),
        pl.when(turned).then("dst_port").otherwise("src_port").alias("sport"),
        pl.when(turned).then("src_port").otherwise("dst_port").alias("dport"),
        pl.col("protocol").alias("proto"),
        (pl.col("start").dt.epoch("us") / 1e6).alias("t0"),
        (pl.col("end").dt.epoch("us") / 1e6).alias("t1"),
        pl.col("attack").cast(pl.String).alias("kind"),
    )
    table.write_csv(tmp_path / "truth.csv")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        '[columns]\nsrc_ip = "saddr"\ndst_ip = "daddr"\nsrc_port = "sport"\ndst_port = "dport"\n'
        'protocol = "proto"\nstart = "t0"\nend = "t1"\ncategory = "kind"\n'
    )
    netvigil(
        *("data", "label", westermo, "--labeller", "ground-truth"),
        *("--truth", tmp_path / "truth.csv", "--to", tmp_path / "l.parquet"),
        *("--labeller-set", f"mapping={mapping}"),
    )
    found = pl.read_parquet(tmp_path / "l.parquet").filter(pl.col("is_attack"))
    assert set(found["flow_id"]) == set(labels.filter(pl.col("is_attack"))["flow_id"])


def test_detect_repeats_run_bit_for_bit(data: Path, tmp_path: Path) -> None:
    source = data / UNSW
    file = experiment(
        tmp_path / "unsw.toml",
        source,
        train={"drop_attacks": True},
        scorer={"name": "iforest"},
        graph={"builder": "flow-host"},
    )
    netvigil("run", "--no-report", file, "--out", tmp_path / "run")
    netvigil("fit", file, "--out", tmp_path / "bundle")
    ran = scores(tmp_path / "run" / "scores.parquet")
    for bundle in (tmp_path / "run" / "bundle", tmp_path / "bundle"):
        out = tmp_path / f"detected-{bundle.parent.name}"
        netvigil("detect", bundle, source, "--out", out)
        again = scores(out / "scores.parquet")
        assert len(again) == 20_000
        assert all(again[flow] == score for flow, score in ran.items())
    receipt = json.loads((tmp_path / "run" / "receipt.json").read_text())
    assert receipt["labels"] == {
        "train_filter": True,
        "split": False,
        "transforms": False,
        "model": False,
        "tuning": False,
        "threshold": False,
        "calibration": False,
        "augmentation": False,
        "evaluation": True,
    }


def test_random_labels_change_no_score(data: Path, tmp_path: Path) -> None:
    rows = (data / UNSW).read_text("utf-8-sig").splitlines()
    randomly_labelled(data / UNSW, tmp_path / "random.csv", seed=7)
    (tmp_path / "true.csv").write_text("\n".join(rows) + "\n")
    found = []
    for name in ("true", "random"):
        file = experiment(tmp_path / f"{name}.toml", f"{name}.csv", scorer={"name": "cblof"})
        netvigil("run", "--no-report", file, "--out", tmp_path / name)
        found.append(scores(tmp_path / name / "scores.parquet"))
    assert found[0] == found[1]


def test_another_test_period_changes_nothing_that_was_fitted(data: Path, tmp_path: Path) -> None:
    rows = (data / UNSW).read_text("utf-8-sig").splitlines()
    starts = np.array([int(row.split(",")[28]) for row in rows])
    order = np.argsort(starts, kind="stable")
    early = [rows[i] for i in order[:15_000]]
    late = [row.split(",") for row in early[-2_000:]]
    for fields in late:
        fields[7], fields[8] = str(int(fields[7]) * 1000 + 7), "1"  # bytes nobody has seen
    changed = [*early[:-2_000], *(",".join(f) for f in late)]
    fitted = []
    for name, lines in (("same", early), ("other", changed)):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
        file = experiment(tmp_path / f"{name}.toml", f"{name}.csv")
        netvigil("fit", file, "--out", tmp_path / name)
        fitted.append(fitted_files(tmp_path / name))
    assert fitted[0] == fitted[1]


def test_a_source_without_addresses_is_tabular_only(data: Path, tmp_path: Path) -> None:
    packed = data / "unsw-nb15-partition" / "UNSW_NB15_training-set.csv.gz"
    with gzip.open(packed, "rt", encoding="utf-8-sig") as file:
        lines = [line for _, line in zip(range(4_001), file, strict=False)]
    (tmp_path / "partition.csv").write_text("".join(lines))
    split = {"protocol": "rows", "train": 0.5, "calibrate": 0.2}
    graph = experiment(
        tmp_path / "graph.toml",
        "partition.csv",
        split=split,
        graph={"builder": "flow-host", "window_flows": 100},
    )
    refused = netvigil("run", "--no-report", graph, "--out", tmp_path / "graph", code=2)
    assert "address" in refused
    assert not (tmp_path / "graph").exists()
    timed = experiment(tmp_path / "timed.toml", "partition.csv")
    assert "no clock" in netvigil("run", "--no-report", timed, "--out", tmp_path / "timed", code=2)
    table = experiment(tmp_path / "table.toml", "partition.csv", split=split)
    netvigil("run", "--no-report", table, "--out", tmp_path / "table")
    receipt = json.loads((tmp_path / "table" / "receipt.json").read_text())
    assert receipt["data"][0]["time_basis"] == "row-order"


@pytest.mark.parametrize(
    "source",
    [
        "iot-23/CTU-Malware-Capture-20-1-labeled.csv",
        "iot-23/CTU-IoT-Malware-Capture-34-1.conn.log.labeled",
        "stratosphere/008.conn.log.labeled",
        "westermo/flows_bottom.csv.gz",
    ],
)
def test_every_kind_of_log_runs(data: Path, tmp_path: Path, source: str) -> None:
    split = {"axis": "flows", "train": 0.45, "calibrate": 0.1}
    file = experiment(tmp_path / "e.toml", data / source, split=split, train={"drop_attacks": True})
    netvigil("run", "--no-report", file, "--out", tmp_path / "run")
    receipt = json.loads((tmp_path / "run" / "receipt.json").read_text())
    assert receipt["train_attack_share"] == 0
    methods = {m["method"] for m in receipt["evaluation"]["headline"]["methods"]}
    assert {"raw + pca", "pair-rarity", "source-novelty", "all-benign"} <= methods


def test_ctrl_c_leaves_nothing_half_written_and_resume_ends_equal(
    data: Path, tmp_path: Path
) -> None:
    seeds = {"seeds": [0, 1, 2, 3]}
    file = experiment(tmp_path / "e.toml", data / UNSW, scorer={"name": "iforest"}, run=seeds)
    netvigil("run", "--no-report", file, "--out", tmp_path / "whole")
    started = subprocess.Popen(
        [*NETVIGIL, "run", "--no-report", str(file), "--out", str(tmp_path / "cut")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = tmp_path / "cut.partial" / "work" / "seeds" / "0.npz"
    while started.poll() is None and not first.exists():
        with suppress(subprocess.TimeoutExpired):
            started.wait(0.02)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 1
    assert "Traceback" not in said
    assert not (tmp_path / "cut").exists()
    netvigil("run", "--no-report", file, "--out", tmp_path / "cut", "--resume")
    whole, cut = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("whole", "cut")
    )
    assert without_times(whole) == without_times(cut)
    assert scores(tmp_path / "whole/scores.parquet") == scores(tmp_path / "cut/scores.parquet")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"),
    reason="a small tmpfs needs root and mount",
)
def test_a_full_disk_is_an_error_that_leaves_nothing(data: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        file = experiment(tmp_path / "e.toml", data / UNSW)
        said = _failing("run", file, "--out", small / "run")
        assert "disk is full" in said
        assert not (small / "run").exists()
        to = small / "flows.parquet"
        assert "disk is full" in _failing("data", "convert", data / UNSW, "--to", to)
        assert not to.exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def _failing(*args: object) -> str:
    """Run a command that fails, in a process of its own, which lets go of the disk."""
    done = subprocess.run([*NETVIGIL, *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_join_keeps_every_byte(data: Path, tmp_path: Path) -> None:
    source = tmp_path / "flows.parquet"
    convert = ("data", "convert", data / UNSW, "--to", source, "--labeller", "inline")
    netvigil(*convert)
    netvigil("data", "join", source, "--timeout", 10, "--to", tmp_path / "joined.parquet")
    before, after = FlowStore.open(source), FlowStore.open(tmp_path / "joined.parquet")
    assert len(after) < len(before)
    for pair in (("fwd_bytes", "bwd_bytes"), ("fwd_packets", "bwd_packets")):
        totals = [sum(np.sum(s.column(c).to_numpy()) for c in pair) for s in (before, after)]
        assert totals[0] == totals[1]
    assert (tmp_path / "joined.labels.parquet").exists()


def test_audit_names_the_shortcut_of_unsw(data: Path) -> None:
    found = netvigil("data", "audit", data / UNSW, "--labeller", "inline")
    assert "ttl" in found.lower()


def _attack_events(path: Path) -> list[tuple[str, float, float]]:
    """Read the event file a second way: category, start, end in UTC seconds (the log is CET)."""
    events, since = [], {}
    for line in path.read_text("utf-8", errors="replace").splitlines():
        if "[BAD-" not in line:
            continue
        moment = float(line[1:].split(" ", 1)[0]) - 3600
        name, edge = line.split("[BAD-", 1)[1].split("]", 1)[0].rsplit("-", 1)
        if edge == "START":
            since[name] = moment
        else:
            events.append((name.lower().replace("-", "_"), since.pop(name), moment))
    return events


def test_truth_that_matches_nothing_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "start,end,category,addresses\n1000000000,1000000010,ssh,10.9.8.7\n"
    )
    said = netvigil(
        *("data", "label", data / UNSW, "--labeller", "events"),
        *("--truth", tmp_path / "events.csv", "--to", tmp_path / "l.parquet"),
        code=1,
    )
    assert "matches any of 20,000 flows" in said
    assert not (tmp_path / "l.parquet").exists()
