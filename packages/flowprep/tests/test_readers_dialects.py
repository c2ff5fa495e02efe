from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from netvigil.detect import detect
from netvigil.features import select_features
from netvigil_flowprep.readers.times import WEEK

from .reading import PARTS, read, write

NF_V1 = (
    "IPV4_SRC_ADDR,L4_SRC_PORT,IPV4_DST_ADDR,L4_DST_PORT,PROTOCOL,L7_PROTO,IN_BYTES,OUT_BYTES,"
    "IN_PKTS,OUT_PKTS,TCP_FLAGS,FLOW_DURATION_MILLISECONDS"
)
NF_V2 = NF_V1 + ",CLIENT_TCP_FLAGS,SERVER_TCP_FLAGS,ICMP_TYPE,ICMP_IPV4_TYPE,DNS_TTL_ANSWER"
NF_V3 = "FLOW_START_MILLISECONDS,FLOW_END_MILLISECONDS," + NF_V2
ROW_V1 = "10.0.0.1,5000,10.0.0.2,80,6,5.10,100,200,3,4,27,1500"
ROW_V2 = ROW_V1 + ",26,19,0,0,60"
ICMP_V2 = "10.0.0.1,0,10.0.0.2,771,1,0,100,0,1,0,0,0,0,0,771,3,0"
ROW_V3 = "1424242193040,1424242193541," + ROW_V2
CIDDS = (
    "Date first seen,Duration,Proto,Src IP Addr,Src Pt,Dst IP Addr,Dst Pt,Packets,Bytes,Flows,"
    "Flags,Tos,class,attackType,attackID,attackDescription"
)
OLD = (
    "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,"
    "nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,"
    "mpls10,cl,sl,al,ra,eng,exid,tr"
)
OLD_REST = ",0,0,0,0,0,0,0,0,0.0.0.0,0.0.0.0,0,0" + ",00:00:00:00:00:00" * 4 + ",0-0-0" * 10
OLD_REST += ",0.000,0.000,0.000,127.0.0.1,0/0,1,1970-01-01 00:00:00.000"
OLD_ROW = (
    "2020-05-01 10:00:00.500,2020-05-01 10:00:02.500,2.000,10.0.0.1,10.0.0.2,5000,80,TCP,...AP.SF,"
    "0,0,7,900,{back}" + OLD_REST
)
NEW = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows"


def test_nf_v1_and_v2_have_no_clock(tmp_path: Path):
    one = read("nf-v1", write(tmp_path / "1.csv", NF_V1 + ",Label,Attack", ROW_V1 + ",0,Benign"))
    two = read("nf-v2", write(tmp_path / "2.csv", NF_V2 + ",Label,Attack", ROW_V2 + ",1,DoS"))
    assert one.info.time_basis == two.info.time_basis == "row-order"
    assert one.labels().is_attack.to_list() == [False]
    assert two.labels().category.to_list() == ["dos"]
    assert two.column("duration_s") == [1.5]
    assert (two.column("fwd_packets"), two.column("bwd_bytes")) == ([3], [200])
    assert (two.column("fwd_tcp_flags"), two.column("bwd_tcp_flags")) == ([26], [19])


def test_nf_application_ids_stay_text(tmp_path: Path):
    rows = [ROW_V1, ROW_V1.replace("5.10", "5.1")]
    got = read("nf-v1", write(tmp_path / "a.csv", NF_V1, *rows))
    assert got.column("c_l7_proto_id") == ["5.10", "5.1"]


def test_nf_v3_has_times_and_icmp_types_instead_of_ports(tmp_path: Path):
    header = NF_V3 + ",Label,Attack"
    rows = [ROW_V3 + ",0,Benign", "1424242193040,1424242193040," + ICMP_V2 + ",1,Recon"]
    got = read("nf-v3", write(tmp_path / "a.csv", header, *rows))
    assert got.info.time_basis == "clock"
    assert got.column("start")[0].isoformat() == "2015-02-18T06:49:53.040000+00:00"
    assert got.column("dst_port") == [80, None]
    assert (got.column("icmp_type"), got.column("icmp_code")) == ([None, 3], [None, 3])


def test_nf_columns_are_matched_by_name_in_any_order(tmp_path: Path):
    names, values = NF_V3.split(","), ROW_V3.split(",")
    straight = read("nf-v3", write(tmp_path / "a.csv", NF_V3, ROW_V3))
    turned = write(tmp_path / "b.csv", ",".join(names[::-1]), ",".join(values[::-1]))
    turned_table = read("nf-v3", turned).table
    for name in straight.table.column_names:
        if name != "source_file":
            assert straight.table[name].to_pylist() == turned_table[name].to_pylist()


def test_cidds_suffixes_flags_icmp_and_labels(tmp_path: Path):
    source = write(
        tmp_path / "week1.csv",
        CIDDS,
        "2017-03-15 00:01:16.632,    0.003,TCP  ,192.168.100.5, 445,10008_74,"
        "58844,  1,     108,    1,.AP...,"
        " 0,normal,---,---,---",
        "2017-03-15 00:01:16.552,   12.500,ICMP ,ATTACKER1,  0,EXT_SERVER,"
        "   3.1,1500,   1.4 M,    1,......,"
        " 0,attacker,pingScan,1,---",
        "2017-03-15 00:01:17.000,    0.000,UDP  ,DNS,  53,192.168.100.5,   99,"
        "  2,  200,    1,......,"
        " 0,suspicious,---,---,---",
    )
    got = read("cidds", source, utc_offset_s=3600)
    assert not got.report.repaired
    assert got.info.direction == "uni"
    assert got.column("start")[0].isoformat() == "2017-03-14T23:01:16.632000+00:00"
    assert got.column("fwd_bytes") == [108, 1_400_000, 200]
    assert got.column("bwd_bytes") == [None] * 3
    assert got.column("dst_ip") == ["10008_74", "EXT_SERVER", "192.168.100.5"]
    assert (got.column("icmp_type"), got.column("icmp_code")) == ([None, 3, None], [None, 1, None])
    assert got.column("dst_port") == [58844, None, 99]
    assert got.column("tcp_flags") == [0x18, 0, 0]
    labels = got.labels()
    assert labels.known.to_list() == [True, True, False]
    assert labels.category.to_list() == [None, "pingscan", None]


def test_cidds_week_time_is_of_the_local_clock_and_has_every_day(tmp_path: Path):
    rest = ",0.003,TCP,10.0.0.1,1,10.0.0.2,2,1,108,1,.AP...,0,normal,---,---,---"
    # A Wednesday at six, the last millisecond of a Sunday, the start of a Monday.
    times = ("2017-03-15 06:00:00.000", "2017-03-19 23:59:59.999", "2017-03-20 00:00:00.000")
    source = write(tmp_path / "a.csv", CIDDS, *[time + rest for time in times])
    got = read("cidds", source, week_time=True, utc_offset_s=3600)
    np.testing.assert_allclose(got.column("x_time_of_day"), [0.25, 1, 0], atol=1e-7)
    days = np.array([got.column(f"x_weekday_{day}") for day in WEEK])
    assert days.argmax(axis=0).tolist() == [2, 6, 0]
    assert days.sum(axis=0).tolist() == [1, 1, 1]


def test_cidds_week_time_has_to_be_asked_for_twice(tmp_path: Path):
    row = "2017-03-15 00:01:16.632,0.003,TCP,10.0.0.1,1,10.0.0.2,2,1,108,1,.AP...,0,normal,-,1,-"
    source = write(tmp_path / "a.csv", CIDDS, row)
    made = ["x_time_of_day", *(f"x_weekday_{day}" for day in WEEK)]
    assert not set(made) & set(read("cidds", source).table.column_names)
    names = read("cidds", source, week_time=True).table.column_names
    assert dict(select_features(names, []).denied).items() >= dict.fromkeys(made, "time").items()
    assert set(made) <= set(select_features(names, [], allow_shortcuts=made).numeric)


def test_cidds_flags_may_be_hexadecimal(tmp_path: Path):
    row = "2017-03-15 00:01:16.632,0.003,TCP,10.0.0.1,1,10.0.0.2,2,1,108,1,{},0,normal,-,1,-"
    rows = [row.format(flags) for flags in ("0xd8", ".AP.SF", "A.....")]
    got = read("cidds", write(tmp_path / "a.csv", CIDDS, *rows))
    assert got.column("tcp_flags") == [0xD8, 0x1B, 0x10]


def test_cidds_flags_are_features_and_constants_are_none(tmp_path: Path):
    row = "2017-03-15 00:01:16.632,0.003,TCP,10.0.0.1,1,10.0.0.2,2,1,108,1,{},0,normal,-,1,-"
    rows = [row.format(flags) for flags in ("U.P.S.", ".A.R.F", "0x2a", "......", "?")]
    got = read("cidds", write(tmp_path / "a.csv", CIDDS, *rows))
    names = [f"x_flag_{name}" for name in ("urg", "ack", "psh", "rst", "syn", "fin")]
    found = zip(*(got.column(name) for name in names), strict=True)
    none = (None,) * 6
    bits = [(1, 0, 1, 0, 1, 0), (0, 1, 0, 1, 0, 1), (1, 0, 1, 0, 1, 0), (0,) * 6, none]
    assert list(found) == bits
    assert set(names) <= set(select_features(got.table.column_names, []).numeric)
    assert not {"x_flows", "x_tos"} & set(got.table.column_names)


def test_cidds_002_calls_its_class_label(tmp_path: Path):
    row = "2017-03-15 00:01:16.632,0.003,TCP,10.0.0.1,1,10.0.0.2,2,1,108,1,.AP...,0,victim,dos,1,-"
    got = read("cidds", write(tmp_path / "a.csv", CIDDS.replace("class", "label"), row))
    assert got.labels().category.to_list() == ["dos"]


def test_nfdump_stops_at_its_summary(tmp_path: Path):
    source = write(
        tmp_path / "a.csv",
        OLD,
        OLD_ROW.format(back="0,0"),
        "Summary",
        "flows,bytes,packets,avg_bps,avg_pps,avg_bpp",
        "1,900,7,3600,3,128",
    )
    got = read("nfdump", source)
    assert (got.report.read, got.info.direction) == (1, "uni")
    assert (got.column("fwd_packets"), got.column("bwd_packets")) == ([7], [None])
    assert got.column("tcp_flags") == [0x1B]
    assert not [name for name in got.table.column_names if "mpls" in name]


def test_nfdump_counts_both_directions_where_it_was_told_to(tmp_path: Path):
    got = read("nfdump", write(tmp_path / "a.csv", OLD, OLD_ROW.format(back="5,600")))
    assert got.info.direction == "bi"
    assert (got.column("bwd_packets"), got.column("bwd_bytes")) == ([5], [600])


def test_nfdump_without_header_is_read_by_position(tmp_path: Path):
    source = write(tmp_path / "quiet.csv", *[OLD_ROW.format(back="0,0")] * 3)
    assert detect(source, list(PARTS.values())).name == "nfdump"
    assert read("nfdump", source).column("dst_port") == [80, 80, 80]


def test_new_nfdump_csv(tmp_path: Path):
    row = "2024-01-01 10:00:00.000,1.5,17,10.0.0.1,53,10.0.0.2,5353,2,300,1"
    got = read("nfdump-new", write(tmp_path / "a.csv", NEW, row))
    assert got.column("end")[0].isoformat() == "2024-01-01T10:00:01.500000+00:00"
    assert got.column("protocol") == [17]


def test_tstat_tcp_and_udp(tmp_path: Path):
    tcp = write(
        tmp_path / "log_tcp_complete",
        "#15#c_ip:1 c_port:2 c_pkts_all:3 c_bytes_all:4 s_ip:5 s_port:6 s_pkts_all:7 s_bytes_all:8 "
        "first:9 last:10 durat:11 c_rtt_avg:12 fqdn:13",
        "192.168.1.2 55513 21 7300 74.125.232.142 443 19 5782 1400103796934.199951 "
        "1400103878699.169922 81764.970000 48.3 example.org",
    )
    got = read("tstat-tcp", tcp)
    assert got.column("protocol") == [6]
    assert (
        got.column("start")[0].isoformat(timespec="milliseconds") == "2014-05-14T21:43:16.934+00:00"
    )
    assert got.column("duration_s")[0] == pytest.approx(81.76497)
    assert got.column("x_c_rtt_avg")[0] == pytest.approx(48.3)
    assert not [name for name in got.table.column_names if "fqdn" in name]
    udp = write(
        tmp_path / "log_udp_complete",
        "#c_ip:1 c_port:2 c_first_abs:3 c_durat:4 c_bytes_all:5 c_pkts_all:6 s_ip:7 s_port:8 "
        "s_first_abs:9 s_durat:10 s_bytes_all:11 s_pkts_all:12",
        "10.0.0.1 5000 1400103796000.0 0.5 64 1 10.0.0.2 53 1400103796100.0 1.5 128 2",
        "10.0.0.1 5001 1400103797000.0 0.0 64 1 10.0.0.2 53 0.0 0.0 0 0",
    )
    got = read("tstat-udp", udp)
    assert got.column("duration_s") == pytest.approx([1.6, 0.0])
    assert got.column("bwd_packets") == [2, 0]


def nfstream_frame() -> pl.DataFrame:
    flags = ("syn", "cwr", "ece", "urg", "ack", "psh", "rst", "fin")
    sides = ("bidirectional", "src2dst", "dst2src")
    return pl.DataFrame(
        {
            "id": [0, 1],
            "src_ip": ["10.0.0.1", "fe80::1"],
            "src_port": [5000, 0],
            "dst_ip": ["10.0.0.2", "fe80::2"],
            "dst_port": [443, 0],
            "protocol": [6, 58],
            "ip_version": [4, 6],
            "bidirectional_first_seen_ms": [1_700_000_000_123, 1_700_000_001_000],
            "bidirectional_last_seen_ms": [1_700_000_002_123, 1_700_000_001_000],
            "bidirectional_duration_ms": [2_000, 0],
            "bidirectional_packets": [10, 1],
            "src2dst_packets": [6, 1],
            "src2dst_bytes": [600, 70],
            "dst2src_packets": [4, 0],
            "dst2src_bytes": [400, 0],
            "src2dst_first_seen_ms": [1_700_000_000_123, 1_700_000_001_000],
            **{
                f"{side}_{flag}_packets": [1 if flag in {"syn", "ack"} else 0, 0]
                for side in sides
                for flag in flags
            },
            "application_name": ["TLS.Google", "ICMPV6"],
            "requested_server_name": ['a "quoted", name', ""],
            "user_agent": ["", ""],
        }
    )


def test_nfstream_csv_and_parquet_are_the_same(tmp_path: Path):
    frame = nfstream_frame()
    frame.write_parquet(tmp_path / "a.parquet")
    text = frame.write_csv(quote_style="non_numeric").replace('""quoted""', '\\"quoted\\"')
    (tmp_path / "a.csv").write_text(text)
    csv, parquet = read("nfstream", tmp_path / "a.csv"), read("nfstream", tmp_path / "a.parquet")
    assert csv.table.drop("source_file").equals(parquet.table.drop("source_file"))
    assert csv.column("start")[0].isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert csv.column("src_port") == [5000, None]
    assert csv.column("tcp_flags") == [0x12, 0]
    assert csv.column("l7_proto") == ["tls.google", "icmpv6"]
    assert not {"server_name", "x_id", "x_src2dst_first_seen_ms"} & set(csv.table.column_names)
    assert csv.info.bytes_layer == "l2"


def test_nfstream_settings_reach_the_flows(tmp_path: Path):
    nfstream_frame().write_parquet(tmp_path / "a.parquet")
    got = read("nfstream", tmp_path / "a.parquet", accounting_mode=3, server_names=True)
    assert got.info.bytes_layer == "payload"
    assert got.column("server_name") == ['a "quoted", name', None]


CIC_2017 = (
    "Flow ID, Source IP, Source Port, Destination IP, Destination Port, Protocol, Timestamp,"
    " Flow Duration, Total Fwd Packets, Total Backward Packets,Total Length of Fwd Packets,"
    " Total Length of Bwd Packets, Fwd Header Length,Flow Bytes/s, Fwd Header Length.1,"
    "Init_Win_bytes_forward, Label"
)
CIC_2018 = (
    "Dst Port,Protocol,Timestamp,Flow Duration,Tot Fwd Pkts,Tot Bwd Pkts,TotLen Fwd Pkts,"
    "TotLen Bwd Pkts,Flow Byts/s,Init Fwd Win Byts,Label"
)


def cic_2017_row(time: str, label: str = "BENIGN", rate: str = "12.5") -> str:
    return f"id,10.0.0.1,5000,10.0.0.2,80,6,{time},1500000,3,4,100,200,60,{rate},60,8192,{label}"


def test_cic_2017_hours_are_taken_as_afternoon_and_counted(tmp_path: Path):
    rows = [
        cic_2017_row("3/7/2017 8:55"),
        cic_2017_row("3/7/2017 1:05"),
        cic_2017_row("3/7/2017 12:10"),
    ]
    source = write(tmp_path / "a.csv", CIC_2017, *rows)
    got = read("cic-ids2017", source)
    times = [time.isoformat() for time in got.column("start")]
    assert [time[:16] for time in times] == [
        "2017-07-03T08:55",
        "2017-07-03T13:05",
        "2017-07-03T12:10",
    ]
    assert got.report.repairs == {"a 12-hour time taken as afternoon": 1}
    assert got.column("duration_s") == [1.5] * 3
    assert "x_fwd_header_len_1" not in got.table.column_names
    assert got.column("x_init_fwd_win_byts")[0] == 8192
    plain = read("cic-ids2017", source, twelve_hour="no", day_first=False)
    assert plain.column("start")[1].isoformat()[:16] == "2017-03-07T01:05"


def test_cic_times_that_count_to_24_or_say_pm_are_left_alone(tmp_path: Path):
    rows = [cic_2017_row("03/07/2017 15:00:01"), cic_2017_row("03/07/2017 03:00:01")]
    got = read("cic-ids2017", write(tmp_path / "a.csv", CIC_2017, *rows))
    assert [time.hour for time in got.column("start")] == [15, 3]
    rows = [cic_2017_row("03/07/2017 03:00:01 PM"), cic_2017_row("03/07/2017 03:00:01 AM")]
    got = read("cic-ids2017", write(tmp_path / "b.csv", CIC_2017, *rows))
    assert [time.hour for time in got.column("start")] == [15, 3]


def test_cic_2017_labels_in_mixed_encodings_and_attempted_ones(tmp_path: Path):
    rows = [
        cic_2017_row("3/7/2017 8:55", "Web Attack \u2013 XSS"),
        cic_2017_row("3/7/2017 8:56", "DoS Hulk - Attempted"),
        cic_2017_row("3/7/2017 8:57"),
    ]
    source = write(tmp_path / "a.csv", CIC_2017, *rows, encoding="cp1252")
    labels = read("cic-ids2017", source).labels()
    assert labels.category.to_list() == ["web_attack_xss", None, None]
    assert labels.known.to_list() == [True, False, True]


def test_machine_learning_cve_has_neither_time_nor_addresses(tmp_path: Path):
    keep = [
        n
        for n, c in enumerate(CIC_2017.split(","))
        if c.strip()
        not in {"Flow ID", "Source IP", "Source Port", "Destination IP", "Protocol", "Timestamp"}
    ]
    row = cic_2017_row("x").split(",")
    header = ",".join(CIC_2017.split(",")[n] for n in keep)
    source = write(tmp_path / "a.csv", header, ",".join(row[n] for n in keep))
    got = read("cic-ids2017", source)
    assert got.info.time_basis == "row-order"
    assert got.column("dst_port") == [80]


def test_cse_cic_2018_with_repeated_headers_and_infinity(tmp_path: Path):
    row = "443,6,28/02/2018 08:22:13,94658,6,7,708,3718,Infinity,8192,Benign"
    got = read("cse-cic-ids2018", write(tmp_path / "a.csv", CIC_2018, row, CIC_2018, row))
    assert (got.report.read, got.report.rejected, got.report.repaired) == (3, 1, 2)
    assert got.report.rejects == {"a repeated header": 1}
    assert got.column("flow_id") == [0, 2]
    assert got.column("x_flow_byts_s") == [None, None]
    assert got.table["src_ip"].null_count == 2
    assert got.column("start")[0].isoformat() == "2018-02-28T08:22:13+00:00"


def test_the_dialects_of_cicflowmeter_share_their_names(tmp_path: Path):
    four = "Src IP,Src Port,Dst IP,Dst Port,Protocol,Timestamp,Flow Duration,Total Fwd Packet,"
    four += "Total Bwd packets,Total Length of Fwd Packet,Total Length of Bwd Packet,Flow Bytes/s,"
    four += "FWD Init Win Bytes,Attempted Category,Label"
    row = "10.0.0.1,5000,10.0.0.2,80,6,2017-07-06 12:39:06.818901,1500000,3,4,100,200,12.5,8192"
    row += ",-1,BENIGN"
    v4 = read("cicflowmeter", write(tmp_path / "4.csv", four, row))
    python = "src_ip,dst_ip,src_port,dst_port,protocol,timestamp,flow_duration,tot_fwd_pkts,"
    python += "tot_bwd_pkts,totlen_fwd_pkts,totlen_bwd_pkts,flow_byts_s,init_fwd_win_byts"
    row = "10.0.0.1,10.0.0.2,5000,80,6,2017-07-06 12:39:06,1.5,3,4,100,200,12.5,8192"
    py = read("cicflowmeter-py", write(tmp_path / "py.csv", python, row))
    old = read("cic-ids2017", write(tmp_path / "a.csv", CIC_2017, cic_2017_row("3/7/2017 8:55")))
    for name in ("duration_s", "fwd_packets", "bwd_bytes", "x_flow_byts_s", "x_init_fwd_win_byts"):
        assert v4.column(name) == py.column(name) == old.column(name)
    assert v4.column("start")[0].microsecond == 818_901
    assert not [name for name in v4.table.column_names if "attempt" in name]
