"""Zeek's conn log and Suricata's EVE, beside a reader of lines into dictionaries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.baselines.tiled_flows import data_folder

ROWS = 100_000


def tile(source: Path, target: Path, rows: int) -> Path:
    """Repeat a log's rows under its own header until there are `rows` of them."""
    lines = [f"{line}\n" for line in source.read_text().split("\n") if line]
    head = [line for line in lines if line.startswith("#") and not line.startswith("#close")]
    body = [line for line in lines if not line.startswith("#")]
    times = -(-rows // len(body))
    target.write_text("".join(head + (body * times)[:rows]))
    return target


def split_lines(path: Path) -> int:
    """Read TSV the straightforward way: split each line, convert each field, keep a dictionary."""
    numbers = {"ts": float, "duration": float, "id.orig_p": int, "id.resp_p": int}
    numbers |= dict.fromkeys(("orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts"), int)
    numbers |= dict.fromkeys(("orig_ip_bytes", "resp_ip_bytes", "missed_bytes"), int)
    rows = []
    names: list[str] = []
    with path.open() as file:
        for line in file:
            if line.startswith("#"):
                names = line.rstrip("\n").split("\t")[1:] if line.startswith("#fields") else names
                continue
            values = dict(zip(names, line.rstrip("\n").split("\t"), strict=True))
            rows.append(
                {
                    name: None if value == "-" else numbers.get(name, str)(value)
                    for name, value in values.items()
                }
            )
    return len(rows)


def load_lines(path: Path) -> int:
    """Read JSON lines the straightforward way."""
    with path.open() as file:
        return len([json.loads(line) for line in file])


def _count(reader: Any, path: Path, rows: int = ROWS) -> Callable[[], int]:
    def once() -> int:
        assert sum(len(batch.flows) for batch in reader.read(path, batch_rows=65_536))
        return rows  # lines, not flows: the baseline, too, reads events that are no flows

    return once


def bench_zeek_tsv(paired: Callable[..., Any], tmp_path: Path) -> None:
    from netvigil.parts import NoConfig
    from netvigil_flowprep.readers.zeek import Zeek

    source = data_folder() / "stratosphere" / "008.conn.log.labeled"
    log = tile(source, tmp_path / "conn.log", ROWS)
    name = "zeek TSV vs split and dict per line"
    paired(_count(Zeek(NoConfig()), log), lambda: split_lines(log), name=name, floor=1.0)


def bench_zeek_json(paired: Callable[..., Any], tmp_path: Path) -> None:
    from netvigil.parts import NoConfig
    from netvigil_flowprep.readers.zeek import Zeek

    source = data_folder() / "stratosphere" / "002-port-scanning.conn.json.log"
    log = tile(source, tmp_path / "conn.log", ROWS)
    name = "zeek JSON vs json.loads per line"
    paired(_count(Zeek(NoConfig()), log), lambda: load_lines(log), name=name, floor=1.0)


def bench_suricata(paired: Callable[..., Any], tmp_path: Path) -> None:
    from netvigil.parts import NoConfig
    from netvigil_flowprep.readers.suricata import Suricata

    source = data_folder() / "slips" / "test6-malicious.suricata.json"
    log = tile(source, tmp_path / "eve.json", ROWS)
    name = "suricata EVE vs json.loads per line"
    paired(_count(Suricata(NoConfig()), log), lambda: load_lines(log), name=name, floor=1.0)


@pytest.mark.parametrize("rows", [ROWS])
def bench_zeek_reading_is_linear(linear: Callable[..., float], tmp_path: Path, rows: int) -> None:
    from netvigil.parts import NoConfig
    from netvigil_flowprep.readers.zeek import Zeek

    source = data_folder() / "stratosphere" / "008.conn.log.labeled"
    reader = Zeek(NoConfig())

    def make(size: int) -> Callable[[], int]:
        log = tile(source, tmp_path / f"conn.{size}.log", size)
        return _count(reader, log, size)

    linear(make, [rows // 4, rows // 2, rows])
