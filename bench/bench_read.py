"""Reading each family of flow records, against pandas and polars on the same file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from bench.baselines.tiled_flows import data_folder
from netvigil.store import FlowStore
from netvigil_flowprep import plugin

BATCH = 200_000
UNSW = "unsw-nb15/UNSW-NB15_1.first20000.csv"
FAMILIES = {
    "unsw-nb15": UNSW,
    "unsw-nb15-partition": "unsw-nb15-partition/UNSW_NB15_training-set.csv.gz",
    "ctu-13": "slips/test2-malicious.binetflow",
    "cicflowmeter": "cicids2017-improved/BENIGN_5000.csv.gz",
    "westermo": "westermo/flows_bottom.csv.gz",
    "nsl-kdd": "nsl-kdd/KDDTrain+_20Percent.txt",
}
NF_V3 = (
    "FLOW_START_MILLISECONDS,FLOW_END_MILLISECONDS,IPV4_SRC_ADDR,L4_SRC_PORT,IPV4_DST_ADDR,"
    "L4_DST_PORT,PROTOCOL,L7_PROTO,IN_BYTES,IN_PKTS,OUT_BYTES,OUT_PKTS,TCP_FLAGS,CLIENT_TCP_FLAGS,"
    "SERVER_TCP_FLAGS,FLOW_DURATION_MILLISECONDS,MIN_TTL,MAX_TTL,SRC_TO_DST_SECOND_BYTES,Label,"
    "Attack"
)
CIDDS = (
    "Date first seen,Duration,Proto,Src IP Addr,Src Pt,Dst IP Addr,Dst Pt,Packets,Bytes,Flows,"
    "Flags,Tos,class,attackType,attackID,attackDescription"
)
NFDUMP = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows"
TSTAT = (
    "#15#c_ip:1 c_port:2 c_pkts_all:3 c_bytes_all:4 s_ip:5 s_port:6 s_pkts_all:7 s_bytes_all:8 "
    "first:9 last:10 durat:11 c_rtt_avg:12"
)


def _written(name: str, row: int) -> str:
    """Return one row of a dialect that no real file is at hand for."""
    low, high = row % 250 + 1, row // 250 % 250
    match name:
        case "nf-v3":
            return (
                f"{1424242193040 + row},{1424242193541 + row},10.0.{high}.{low},{row % 60000},"
                f"10.1.0.{low},80,6,7.178,{row},3,{row * 2},4,27,26,19,501,64,64,{row}.5,0,Benign"
            )
        case "cidds":
            return (
                f"2017-03-15 00:{row // 60 % 60:02d}:{row % 60:02d}.632,    0.003,TCP  ,"
                f"192.168.{high}.{low}, {row % 60000},10008_{low},  445,  {row % 90},  1{row},"
                "    1,.AP..., 0,normal,---,---,---"
            )
        case "nfdump-new":
            return (
                f"2024-01-01 10:{row // 60 % 60:02d}:{row % 60:02d}.000,1.5,17,10.0.{high}.{low},"
                f"{row % 60000},10.1.0.{low},53,2,{row},1"
            )
        case _:
            return (
                f"10.0.{high}.{low} {row % 60000} 21 7300 10.1.0.{low} 443 19 {row} "
                f"{1400103796934 + row}.19 {1400103878699 + row}.16 81764.97 48.3"
            )


def _write(name: str, header: str, path: Path, rows: int = 100_000) -> Path:
    path.write_text("\n".join([header, *(_written(name, row) for row in range(rows))]) + "\n")
    return path


def _tile(name: str, folder: Path, rows: int) -> Path:
    """Return a file of at least `rows` rows, made of copies of a real one."""
    source = data_folder() / FAMILIES[name]
    text = pl.read_csv(
        source, has_header=False, new_columns=["line"], separator="\x01", quote_char=None
    )["line"].to_list()
    has_header = not any(character.isdigit() for character in text[0][:4])
    header, lines = (text[:1], text[1:]) if has_header else ([], text)
    path = folder / f"{name}.csv"
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in header)
        chunk = "".join(f"{line}\n" for line in lines)
        for _ in range(-(-rows // len(lines))):
            file.write(chunk)
    return path


def _reading(name: str, source: Path) -> Callable[[], int]:
    part = next(part for part in plugin.netvigil_flow_readers() if part.name == name)

    def once() -> int:
        batches = part.make(part.config()).read(source, batch_rows=BATCH)
        return sum(len(batch.flows) for batch in batches)

    return once


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """UNSW's 49 columns, a million rows."""
    return _tile("unsw-nb15", tmp_path_factory.mktemp("million"), 1_000_000)


def bench_csv_against_pandas(paired: Any, million: Path) -> None:
    def baseline() -> int:
        return len(pd.read_csv(million, header=None, low_memory=False))

    paired(_reading("unsw-nb15", million), baseline, name="csv vs pandas", floor=1.0, rounds=2)


def bench_csv_against_polars(paired: Any, million: Path) -> None:
    def baseline() -> int:
        # Hex ports appear late: polars has to be told to look at more rows than it would.
        return pl.read_csv(million, has_header=False, infer_schema_length=20_000).height

    paired(_reading("unsw-nb15", million), baseline, name="csv vs bare polars", floor=0.7, rounds=4)


def bench_parquet_against_csv(paired: Any, million: Path, tmp_path: Path) -> None:
    part = next(part for part in plugin.netvigil_flow_readers() if part.name == "unsw-nb15")
    batches = part.make(part.config()).read(million, batch_rows=BATCH)
    store = FlowStore.write(batches, tmp_path / "flows.parquet")
    csv = _reading("unsw-nb15", million)
    parquet = _reading("netvigil", store.path)
    paired(parquet, csv, name="our parquet vs csv", floor=5.0, rounds=2)


@pytest.mark.parametrize("name", FAMILIES)
def bench_real_family(paired: Any, tmp_path: Path, name: str) -> None:
    source = _tile(name, tmp_path, 100_000)

    def baseline() -> int:
        return len(pd.read_csv(source, low_memory=False, sep=","))

    paired(_reading(name, source), baseline, name=f"{name} vs pandas", rounds=2)


@pytest.mark.parametrize(
    ("name", "header"),
    [("nf-v3", NF_V3), ("cidds", CIDDS), ("nfdump-new", NFDUMP), ("tstat-tcp", TSTAT)],
)
def bench_written_family(paired: Any, tmp_path: Path, name: str, header: str) -> None:
    source = _write(name, header, tmp_path / f"{name}.csv")
    separator = " " if name == "tstat-tcp" else ","

    def baseline() -> int:
        return len(pd.read_csv(source, low_memory=False, sep=separator))

    paired(_reading(name, source), baseline, name=f"{name} vs pandas", rounds=2)


def bench_nfstream_parquet(alone: Any, tmp_path: Path) -> None:
    rows = pl.int_range(100_000, eager=True)
    sides = ("bidirectional", "src2dst", "dst2src")
    frame = pl.DataFrame(
        {
            "src_ip": pl.select(pl.format("10.0.0.{}", rows % 250)).to_series(),
            "dst_ip": pl.select(pl.format("10.1.0.{}", rows % 99)).to_series(),
            "src_port": rows % 60_000,
            "dst_port": rows % 900,
            "protocol": pl.repeat(6, 100_000, eager=True),
            **{f"{side}_first_seen_ms": rows + 1_700_000_000_000 for side in sides},
            **{f"{side}_last_seen_ms": rows + 1_700_000_001_000 for side in sides},
            **{
                f"{side}_{what}": rows % 1_000
                for side in sides
                for what in ("duration_ms", "packets", "bytes", "min_ps", "mean_ps", "max_ps")
            },
        }
    )
    frame.write_parquet(tmp_path / "flows.parquet")
    alone(_reading("nfstream", tmp_path / "flows.parquet"), name="nfstream parquet", rounds=3)


def convert(source: str, target: str) -> int:
    """Convert a file, in a process of its own."""
    part = next(part for part in plugin.netvigil_flow_readers() if part.name == "unsw-nb15")
    batches = part.make(part.config()).read(Path(source), batch_rows=BATCH)
    return len(FlowStore.write(batches, Path(target)))


@pytest.mark.slow
def bench_memory_of_ten_million_rows(fresh: Any, benchmark: Any, tmp_path: Path) -> None:
    """Converting 10 million rows of CSV (2.5 GB) stays under 2 GB of memory."""
    source = _tile("unsw-nb15", tmp_path, 10_000_000)
    done = fresh(convert, str(source), str(tmp_path / "flows.parquet"))
    benchmark.extra_info.update(
        peak_mb=done.peak_mb, flows_per_s=done.flows / done.seconds, flows=done.flows
    )
    benchmark.pedantic(lambda: None, rounds=1)
    assert done.flows == 10_000_000
    assert done.peak_mb < 2_000
