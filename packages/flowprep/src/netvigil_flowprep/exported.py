"""Synthetic traffic as files of Zeek, Suricata and UNSW-NB15, for micro-benchmarks of readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from netvigil.testing.synthetic import Traffic
from netvigil_flowprep.readers.unsw import RAW_COLUMNS

_NAMES = {1: "icmp", 6: "tcp", 17: "udp"}
_ZEEK = {
    "ts": "time",
    "uid": "string",
    "id.orig_h": "addr",
    "id.orig_p": "port",
    "id.resp_h": "addr",
    "id.resp_p": "port",
    "proto": "enum",
    "service": "string",
    "duration": "interval",
    "orig_bytes": "count",
    "resp_bytes": "count",
    "conn_state": "string",
    "local_orig": "bool",
    "local_resp": "bool",
    "missed_bytes": "count",
    "history": "string",
    "orig_pkts": "count",
    "orig_ip_bytes": "count",
    "resp_pkts": "count",
    "resp_ip_bytes": "count",
    "tunnel_parents": "set[string]",
    "ip_proto": "count",
}
_ZEEK_HEAD = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    "#open\t2026-03-02-07-00-00\n"
)
_ISO = "%Y-%m-%dT%H:%M:%S%.6f%z"


def write_zeek(traffic: Traffic, path: Path) -> None:
    """Write Zeek's conn log as TSV; the type and code of ICMP stand where ports do."""
    frame = _frame(traffic)
    header = 20 * pl.col("fwd_packets"), 20 * pl.col("bwd_packets")  # of IP, without options
    columns = {
        "ts": pl.col("start").dt.timestamp("us") / 1e6,
        "uid": pl.format("C{}", pl.col("flow_id") + 10**12),
        "id.orig_h": pl.col("src_ip"),
        "id.orig_p": pl.col("src_port").fill_null(8),
        "id.resp_h": pl.col("dst_ip"),
        "id.resp_p": pl.col("dst_port").fill_null(0),
        "proto": pl.col("name"),
        "service": pl.col("l7_proto"),
        "duration": pl.col("duration_s"),
        "orig_bytes": pl.col("fwd_bytes") - pl.min_horizontal("fwd_bytes", header[0]),
        "resp_bytes": pl.col("bwd_bytes") - pl.min_horizontal("bwd_bytes", header[1]),
        "conn_state": pl.col("conn_state"),
        "missed_bytes": pl.lit(0),
        "history": pl.when(pl.col("name") == "tcp")
        .then(pl.lit("ShADadFf"))
        .otherwise(pl.lit("Dd")),
        "orig_pkts": pl.col("fwd_packets"),
        "orig_ip_bytes": pl.col("fwd_bytes"),
        "resp_pkts": pl.col("bwd_packets"),
        "resp_ip_bytes": pl.col("bwd_bytes"),
        "ip_proto": pl.col("protocol"),
    }
    unset = pl.lit(None, pl.String)
    table = frame.select(columns.get(name, unset).alias(name) for name in _ZEEK)
    with path.open("wb") as file:
        fields, types = "\t".join(_ZEEK), "\t".join(_ZEEK.values())
        file.write(f"{_ZEEK_HEAD}#fields\t{fields}\n#types\t{types}\n".encode())
        table.write_csv(
            file, include_header=False, separator="\t", null_value="-", float_precision=6
        )
        file.write(b"#close\t2026-03-02-19-00-00\n")


def write_unsw(traffic: Traffic, path: Path) -> None:
    """Write a raw file of UNSW-NB15: no header, 49 columns, times in whole seconds."""
    frame = _frame(traffic)
    columns = {
        "srcip": pl.col("src_ip"),
        "sport": pl.col("src_port").fill_null(0),
        "dstip": pl.col("dst_ip"),
        "dsport": pl.col("dst_port").fill_null(0),
        "proto": pl.col("name"),
        "state": pl.col("name").replace({"tcp": "FIN", "udp": "CON", "icmp": "ECO"}),
        "dur": pl.col("duration_s"),
        "sbytes": pl.col("fwd_bytes"),
        "dbytes": pl.col("bwd_bytes"),
        "sttl": pl.lit(31),
        "dttl": pl.lit(29),
        "service": pl.col("l7_proto").cast(pl.String).fill_null("-"),
        "sload": 8 * pl.col("fwd_bytes") / pl.col("duration_s").clip(1e-6),
        "dload": 8 * pl.col("bwd_bytes") / pl.col("duration_s").clip(1e-6),
        "spkts": pl.col("fwd_packets"),
        "dpkts": pl.col("bwd_packets"),
        "smeansz": pl.col("x_src2dst_mean_ps").round().cast(pl.Int64),
        "dmeansz": pl.col("x_dst2src_mean_ps").round().cast(pl.Int64),
        "sjit": pl.col("x_src2dst_stddev_piat_ms"),
        "djit": pl.col("x_dst2src_stddev_piat_ms"),
        "stime": pl.col("start").dt.timestamp("us") // 1_000_000,
        "ltime": pl.col("end").dt.timestamp("us") // 1_000_000,
        "sintpkt": pl.col("x_src2dst_mean_piat_ms"),
        "dintpkt": pl.col("x_dst2src_mean_piat_ms"),
        "attack_cat": pl.col("attack"),
        "label": pl.col("is_attack").cast(pl.Int8),
    }
    table = frame.select(columns.get(name, pl.lit(0)).alias(name) for name in RAW_COLUMNS)
    table.write_csv(path, include_header=False, float_precision=6)


def write_suricata(traffic: Traffic, path: Path) -> None:
    """Write Suricata's EVE log: one event of type flow a line, keys without a value left out."""
    frame = _frame(traffic).with_columns(
        pl.col("start", "end").dt.to_string(_ISO), pl.col("name").str.to_uppercase()
    )
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(_event(row))}\n" for row in frame.iter_rows(named=True))


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flow as an event of EVE."""
    event = {"timestamp": row["end"], "flow_id": 10**15 + row["flow_id"], "in_iface": "eth0"}
    event |= {"event_type": "flow", "src_ip": row["src_ip"], "dest_ip": row["dst_ip"]}
    if row["src_port"] is None:
        event |= {"icmp_type": 8, "icmp_code": 0}
    else:
        event |= {"src_port": row["src_port"], "dest_port": row["dst_port"]}
    event |= {"proto": row["name"], "app_proto": row["l7_proto"] or "failed"}
    event["flow"] = {
        "pkts_toserver": row["fwd_packets"],
        "pkts_toclient": row["bwd_packets"],
        "bytes_toserver": row["fwd_bytes"],
        "bytes_toclient": row["bwd_bytes"],
        "start": row["start"],
        "end": row["end"],
        "age": int(row["duration_s"]),
        "state": "closed",
        "reason": "timeout",
        "alerted": False,
    }
    if row["tcp_flags"] is not None:
        flags = {"tcp_flags": "tcp_flags", "tcp_flags_ts": "fwd_tcp_flags"}
        flags["tcp_flags_tc"] = "bwd_tcp_flags"
        event["tcp"] = {key: f"{row[column]:02x}" for key, column in flags.items()}
    return event


def _frame(traffic: Traffic) -> pl.DataFrame:
    """Return flows beside their labels, with the protocol's name, in lower case."""
    labels = pl.DataFrame(traffic.labels.table).select("is_attack", "attack")
    frame = pl.DataFrame(traffic.flows.table).hstack(labels)
    return frame.with_columns(
        name=pl.col("protocol").replace_strict(_NAMES, return_dtype=pl.String)
    )
