"""A small source in each dialect that a reader claims, written from synthetic flows.

Each dialect is a list of columns with a format string over one flow's values. A line that
is no flow stands among the others, so that rejected rows are counted too.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from netvigil.store import FlowStore
from netvigil.testing.synthetic import stream

FLOWS = 60
Row = dict[str, Any]


def rows() -> Iterator[Row]:
    """Yield the values that the columns below name, flow by flow."""
    batch = next(stream(FLOWS, seed=9, duration_s=1_800, hosts=24, attack_share=0.2))
    assert batch.inline is not None
    truth = batch.inline["attack"].to_pylist()
    for number, (flow, attack) in enumerate(zip(batch.flows.table.to_pylist(), truth, strict=True)):
        start, end = flow["start"].timestamp(), flow["end"].timestamp()
        when = datetime.fromtimestamp(start, UTC)
        yield {
            "n": number,
            "src": flow["src_ip"],
            "dst": flow["dst_ip"],
            "sport": flow["src_port"] or 0,
            "dport": flow["dst_port"] or 0,
            "proto": flow["protocol"],
            "name": {6: "tcp", 17: "udp", 1: "icmp"}[flow["protocol"]],
            "NAME": {6: "TCP", 17: "UDP", 1: "ICMP"}[flow["protocol"]],
            "start": start,
            "end": end,
            "start_ms": int(start * 1e3),
            "end_ms": int(end * 1e3),
            "dur": flow["duration_s"],
            "dur_ms": int(end * 1e3) - int(start * 1e3),
            "dur_us": int(flow["duration_s"] * 1e6),
            "fp": flow["fwd_packets"],
            "bp": flow["bwd_packets"],
            "p": flow["fwd_packets"] + flow["bwd_packets"],
            "fb": flow["fwd_bytes"],
            "bb": flow["bwd_bytes"],
            "b": flow["fwd_bytes"] + flow["bwd_bytes"],
            "iso": f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d}",
            "slashed": f"{when:%Y/%m/%d %H:%M:%S.%f}",
            "european": f"{when:%d/%m/%Y %H:%M:%S}",
            "bad": int(bool(attack)),
            "word": attack or "Benign",
            "attack": attack,
            "state": {6: "FIN", 17: "CON", 1: "ECO"}[flow["protocol"]],
        }


NF = {
    "IPV4_SRC_ADDR": "{src}",
    "L4_SRC_PORT": "{sport}",
    "IPV4_DST_ADDR": "{dst}",
    "L4_DST_PORT": "{dport}",
    "PROTOCOL": "{proto}",
    "L7_PROTO": "5.10",
    "IN_BYTES": "{fb}",
    "OUT_BYTES": "{bb}",
    "IN_PKTS": "{fp}",
    "OUT_PKTS": "{bp}",
    "TCP_FLAGS": "27",
    "FLOW_DURATION_MILLISECONDS": "{dur_ms}",
}
NF_LABEL = {"Label": "{bad}", "Attack": "{word}"}
CIC = {
    "Src IP": "{src}",
    "Src Port": "{sport}",
    "Dst IP": "{dst}",
    "Dst Port": "{dport}",
    "Protocol": "{proto}",
    "Timestamp": "{iso}",
    "Flow Duration": "{dur_us}",
    "Total Fwd Packet": "{fp}",
    "Total Bwd packets": "{bp}",
    "Total Length of Fwd Packet": "{fb}",
    "Total Length of Bwd Packet": "{bb}",
    "Flow Bytes/s": "12.5",
    "FWD Init Win Bytes": "8192",
    "Label": "{word}",
}
CIC_2017 = {
    " Source IP": "{src}",
    " Source Port": "{sport}",
    " Destination IP": "{dst}",
    " Destination Port": "{dport}",
    " Protocol": "{proto}",
    " Timestamp": "{european}",
    " Flow Duration": "{dur_us}",
    " Total Fwd Packets": "{fp}",
    " Total Backward Packets": "{bp}",
    "Total Length of Fwd Packets": "{fb}",
    " Total Length of Bwd Packets": "{bb}",
    "Flow Bytes/s": "Infinity",
    "Init_Win_bytes_forward": "8192",
    " Label": "{word}",
}
CIC_2018 = {
    "Dst Port": "{dport}",
    "Protocol": "{proto}",
    "Timestamp": "{european}",
    "Flow Duration": "{dur_us}",
    "Tot Fwd Pkts": "{fp}",
    "Tot Bwd Pkts": "{bp}",
    "TotLen Fwd Pkts": "{fb}",
    "TotLen Bwd Pkts": "{bb}",
    "Flow Byts/s": "NaN",
    "Init Fwd Win Byts": "8192",
    "Label": "{word}",
}
CIC_PYTHON = {
    "src_ip": "{src}",
    "dst_ip": "{dst}",
    "src_port": "{sport}",
    "dst_port": "{dport}",
    "protocol": "{proto}",
    "timestamp": "{iso:.19}",
    "flow_duration": "{dur}",
    "tot_fwd_pkts": "{fp}",
    "tot_bwd_pkts": "{bp}",
    "totlen_fwd_pkts": "{fb}",
    "totlen_bwd_pkts": "{bb}",
    "flow_byts_s": "12.5",
    "init_fwd_win_byts": "8192",
}
ARGUS = {
    "StartTime": "{slashed}",
    "Dur": "{dur}",
    "Proto": "{name}",
    "SrcAddr": "{src}",
    "Sport": "{sport}",
    "Dir": "   ->",
    "DstAddr": "{dst}",
    "Dport": "{dport}",
    "State": "{state}",
    "sTos": "0",
    "dTos": "0",
    "TotPkts": "{p}",
    "TotBytes": "{b}",
    "SrcBytes": "{fb}",
    "Label": "flow=From-Botnet-V42-{word}",
}
CIDDS = {
    "Date first seen": "{iso}",
    "Duration": "{dur:9.3f}",
    "Proto": "{NAME:5}",
    "Src IP Addr": "{src}",
    "Src Pt": "{sport}",
    "Dst IP Addr": "{dst}",
    "Dst Pt": "{dport}.0",
    "Packets": "{fp}",
    "Bytes": "{fb}",
    "Flows": "1",
    "Flags": ".AP.SF",
    "Tos": "0",
    "class": "normal",
    "attackType": "---",
    "attackID": "---",
    "attackDescription": "---",
}
NFDUMP = {
    "ts": "{iso}",
    "te": "{iso}",
    "td": "{dur:.3f}",
    "sa": "{src}",
    "da": "{dst}",
    "sp": "{sport}",
    "dp": "{dport}",
    "pr": "{NAME}",
    "flg": "...AP.SF",
    "fwd": "0",
    "stos": "0",
    "ipkt": "{fp}",
    "ibyt": "{fb}",
    "opkt": "{bp}",
    "obyt": "{bb}",
    "in": "0",
    **dict.fromkeys(("out", "sas", "das", "smk", "dmk", "dtos", "dir"), "0"),
}
NFDUMP_NEW = {
    "firstSeen": "{iso}",
    "duration": "{dur:.3f}",
    "proto": "{NAME}",
    "srcAddr": "{src}",
    "srcPort": "{sport}",
    "dstAddr": "{dst}",
    "dstPort": "{dport}",
    "packets": "{fp}",
    "bytes": "{fb}",
    "flows": "1",
}
TSTAT = {"c_ip": "{src}", "c_port": "{sport}", "c_pkts_all": "{fp}", "c_bytes_all": "{fb}"}
TSTAT |= {"s_ip": "{dst}", "s_port": "{dport}", "s_pkts_all": "{bp}", "s_bytes_all": "{bb}"}
TSTAT_TCP = TSTAT | {"first": "{start_ms}.5", "last": "{end_ms}.5", "durat": "{dur_ms}.0"}
TSTAT_UDP = TSTAT | {"c_first_abs": "{start_ms}.0", "c_durat": "{dur:.3f}"}
TSTAT_UDP |= {"s_first_abs": "{start_ms}.0", "s_durat": "{dur:.3f}"}
WESTERMO = {
    "sMACs": "00:11",
    "rMACs": "00:22",
    "sIPs": "{src}",
    "rIPs": "{dst}",
    "protocol": "IPV4-{NAME}",
    "startDate": "x",
    "endDate": "y",
    "start": "{start:.6f}",
    "end": "{end:.6f}",
    "startOffset": "0",
    "endOffset": "0",
    "duration": "{dur:.6f}",
    "sPackets": "{fp}",
    "rPackets": "{bp}",
    "sBytesSum": "{fb}",
    "rBytesSum": "{bb}",
    "sAddress": "{src}",
    "rAddress": "{dst}",
    "sLoad": "1.5",
    "NST_B_Label": "{bad}",
    "NST_M_Label": "{word}",
    "IT_B_Label": "{bad}",
    "IT_M_Label": "{word}",
}
UNSW_NAMES = """
srcip sport dstip dsport proto state dur sbytes dbytes sttl dttl sloss dloss service Sload Dload
Spkts Dpkts swin dwin stcpb dtcpb smeansz dmeansz trans_depth res_bdy_len Sjit Djit Stime Ltime
Sintpkt Dintpkt tcprtt synack ackdat is_sm_ips_ports ct_state_ttl ct_flw_http_mthd is_ftp_login
ct_ftp_cmd ct_srv_src ct_srv_dst ct_dst_ltm ct_src_ltm ct_src_dport_ltm ct_dst_sport_ltm
ct_dst_src_ltm attack_cat Label
"""
UNSW = dict.fromkeys(UNSW_NAMES.split(), "0") | {
    "srcip": "{src}",
    "sport": "{sport}",
    "dstip": "{dst}",
    "dsport": "{dport}",
    "proto": "{name}",
    "state": "{state}",
    "dur": "{dur}",
    "sbytes": "{fb}",
    "dbytes": "{bb}",
    "service": "-",
    "Spkts": "{fp}",
    "Dpkts": "{bp}",
    "Label": "{bad}",
    "Stime": "{start:.0f}",
    "Ltime": "{end:.0f}",
    "attack_cat": "{attack}",
}
PARTITION_NAMES = """
id dur proto service state spkts dpkts sbytes dbytes rate sttl dttl sload dload sloss dloss sinpkt
dinpkt sjit djit swin stcpb dtcpb dwin tcprtt synack ackdat smean dmean trans_depth
response_body_len ct_srv_src ct_state_ttl ct_dst_ltm ct_src_dport_ltm ct_dst_sport_ltm
ct_dst_src_ltm is_ftp_login ct_ftp_cmd ct_flw_http_mthd ct_src_ltm ct_srv_dst is_sm_ips_ports
attack_cat label
"""
PARTITION = dict.fromkeys(PARTITION_NAMES.split(), "0") | {
    "id": "{n}",
    "dur": "{dur}",
    "proto": "{name}",
    "service": "-",
    "state": "{state}",
    "spkts": "{fp}",
    "dpkts": "{bp}",
    "sbytes": "{fb}",
    "dbytes": "{bb}",
    "attack_cat": "{word}",
    "label": "{bad}",
}
KDD_COUNTS = 37
NFSTREAM = {
    "id": "{n}",
    "src_ip": "{src}",
    "src_port": "{sport}",
    "dst_ip": "{dst}",
    "dst_port": "{dport}",
    "protocol": "{proto}",
    "ip_version": "4",
    "bidirectional_first_seen_ms": "{start_ms}",
    "bidirectional_last_seen_ms": "{end_ms}",
    "bidirectional_duration_ms": "{dur_ms}",
    "bidirectional_packets": "{p}",
    "bidirectional_bytes": "{b}",
    "src2dst_packets": "{fp}",
    "src2dst_bytes": "{fb}",
    "dst2src_packets": "{bp}",
    "dst2src_bytes": "{bb}",
    "bidirectional_mean_ps": "98.5",
    "application_name": "TLS",
}
ZEEK = {
    "ts": "{start:.6f}",
    "uid": "C{n}",
    "id.orig_h": "{src}",
    "id.orig_p": "{sport}",
    "id.resp_h": "{dst}",
    "id.resp_p": "{dport}",
    "proto": "{name}",
    "service": "-",
    "duration": "{dur:.6f}",
    "orig_bytes": "{fb}",
    "resp_bytes": "{bb}",
    "conn_state": "SF",
    "local_orig": "-",
    "local_resp": "-",
    "missed_bytes": "0",
    "history": "ShADadFf",
    "orig_pkts": "{fp}",
    "orig_ip_bytes": "{fb}",
    "resp_pkts": "{bp}",
    "resp_ip_bytes": "{bb}",
    "tunnel_parents": "-",
}
ZEEK_TYPES = "time string addr port addr port enum string interval count count string bool bool"
ZEEK_TYPES += " count string count count count count set[string]"

# dialect -> columns, separator, whether there is a header, a prefix of the header
DELIMITED: dict[str, tuple[dict[str, str], str, bool, str]] = {
    "nf-v1": (NF | NF_LABEL, ",", True, ""),
    "nf-v2": (NF | {"CLIENT_TCP_FLAGS": "26", "SERVER_TCP_FLAGS": "19"} | NF_LABEL, ",", True, ""),
    "nf-v3": (
        {"FLOW_START_MILLISECONDS": "{start_ms}", "FLOW_END_MILLISECONDS": "{end_ms}"}
        | NF
        | {"CLIENT_TCP_FLAGS": "26", "SERVER_TCP_FLAGS": "19"}
        | NF_LABEL,
        ",",
        True,
        "",
    ),
    "cicflowmeter": (CIC, ",", True, ""),
    "cic-ids2017": (CIC_2017, ",", True, ""),
    "cse-cic-ids2018": (CIC_2018, ",", True, ""),
    "cicflowmeter-py": (CIC_PYTHON, ",", True, ""),
    "ctu-13": (ARGUS, ",", True, ""),
    "cidds": (CIDDS, ",", True, ""),
    "nfdump": (NFDUMP, ",", True, ""),
    "nfdump-new": (NFDUMP_NEW, ",", True, ""),
    "tstat-tcp": (TSTAT_TCP, " ", True, "#"),
    "tstat-udp": (TSTAT_UDP, " ", True, "#"),
    "westermo": (WESTERMO, ",", True, ""),
    "unsw-nb15": (UNSW, ",", False, ""),
    "unsw-nb15-partition": (PARTITION, ",", True, ""),
    "nfstream": (NFSTREAM, ",", True, ""),
}


def write_delimited(name: str, folder: Path) -> Path:
    """Write a delimited text of some dialect."""
    columns, separator, header, prefix = DELIMITED[name]
    lines = [separator.join(form.format(**row) for form in columns.values()) for row in rows()]
    lines.insert(30, separator.join(["?"] * len(columns)))
    if header:
        lines.insert(0, prefix + separator.join(columns))
    return _text(folder / f"{name}.csv", lines)


def write_kdd(folder: Path) -> Path:
    """Write NSL-KDD rows: no header, 41 features, class and difficulty."""
    counts = ",".join(["0"] * (KDD_COUNTS - 1))
    form = "{dur:.0f},{name},http,SF,{fb},{bb}," + counts[: 2 * 35 - 1] + ",normal,20"
    return _text(folder / "KDDTest.txt", [form.format(**row) for row in rows()])


def write_zeek(folder: Path) -> Path:
    """Write a Zeek TSV log."""
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-"]
    head += [
        "#path\tconn",
        "\t".join(["#fields", *ZEEK]),
        "\t".join(["#types", *ZEEK_TYPES.split()]),
    ]
    lines = ["\t".join(form.format(**row) for form in ZEEK.values()) for row in rows()]
    lines.insert(20, "broken\tline")
    return _text(folder / "conn.log", [*head, *lines, "#close\t2026-03-02-08-00-00"])


def write_suricata(folder: Path) -> Path:
    """Write an EVE log: flow events, one of another type, and a broken line."""
    lines = ['{"timestamp": "2026-03-02T07:00:00.000000+0000", "event_type": "stats"}']
    for row in rows():
        begin, end = (
            datetime.fromtimestamp(row[name], UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
            for name in ("start", "end")
        )
        flow = {"pkts_toserver": row["fp"], "pkts_toclient": row["bp"], "state": "closed"}
        flow |= {"bytes_toserver": row["fb"], "bytes_toclient": row["bb"]}
        flow |= {"start": begin, "end": end, "age": int(row["dur"])}
        event = {"timestamp": end, "flow_id": 10**15 + row["n"], "event_type": "flow"}
        event |= {"src_ip": row["src"], "dest_ip": row["dst"], "proto": row["NAME"], "flow": flow}
        if row["proto"] != 1:
            event |= {"src_port": row["sport"], "dest_port": row["dport"]}
        lines.append(json.dumps(event))
    lines.insert(9, '{"event_type": "flow", broken')
    return _text(folder / "eve.json", lines)


def write_own(folder: Path) -> Path:
    """Write netvigil's own Parquet."""
    path = folder / "own.parquet"
    FlowStore.write(stream(FLOWS, seed=9, duration_s=1_800, hosts=24), path)
    return path


def write_capture(folder: Path) -> Path:
    """Write a capture: one UDP packet per flow, without checksums."""
    path = folder / "some.pcap"
    blocks = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)]
    for row in rows():
        data = struct.pack("!HHHH", row["sport"] or 9, row["dport"] or 9, 18, 0) + b"0123456789"
        ends = (int(IPv4Address(row["src"])), int(IPv4Address(row["dst"])))
        ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(data), row["n"], 0, 64, 17, 0, *ends)
        frame = bytes(12) + b"\x08\x00" + ip + data
        seconds, rest = divmod(row["start"], 1)
        size = (len(frame), len(frame))
        blocks.append(struct.pack("<IIII", int(seconds), int(rest * 1e6), *size) + frame)
    path.write_bytes(b"".join(blocks))
    return path


OTHERS: dict[str, Callable[[Path], Path]] = {
    "nsl-kdd": write_kdd,
    "zeek": write_zeek,
    "suricata": write_suricata,
    "netvigil": write_own,
    "pcap": write_capture,
}


def write_source(name: str, folder: Path) -> Path | None:
    """Write a small source in a reader's dialect, or return None where no writer knows it."""
    if name in DELIMITED:
        return write_delimited(name, folder)
    return OTHERS[name](folder) if name in OTHERS else None


def _text(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
