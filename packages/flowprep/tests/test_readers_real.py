from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest

from netvigil.detect import detect
from netvigil.errors import SourceError

from .reading import PARTS, read

# Format, file, rows, attacks, flows of unknown label: rows and attacks as DATA.md counts them.
FILES = [
    ("westermo", "westermo/flows_bottom.csv.gz", 35_404, 6_237, 0),
    ("westermo", "westermo/flows_right.csv.gz", 4_720, 1_247, 0),
    ("unsw-nb15", "unsw-nb15/UNSW-NB15_1.first20000.csv", 20_000, 1_572, 0),
    ("unsw-nb15", "unsw-nb15/UNSW-NB15_1.first10000-attack-rows.csv", 10_000, 10_000, 0),
    ("unsw-nb15-partition", "unsw-nb15-partition/UNSW_NB15_training-set.csv.gz", 82_332, 45_332, 0),
    ("ctu-13", "slips/test2-malicious.binetflow", 6_751, 0, 6_751),
    ("ctu-13", "slips/test3-mixed.binetflow", 89, 0, 89),
    ("ctu-13", "slips/test4-malicious.binetflow", 394, 0, 394),
    ("ctu-13", "slips/test5-mixed.binetflow", 299, 277, 22),
    ("ctu-13", "slips/test11-portscan.binetflow", 66, 0, 66),
    ("cicflowmeter", "cicids2017-improved", 43_419, 38_419, 0),
    ("nsl-kdd", "nsl-kdd/KDDTrain+_20Percent.txt", 25_192, 11_743, 0),
    ("nsl-kdd", "nsl-kdd/KDDTest+.txt", 22_544, 12_833, 0),
    ("nsl-kdd", "nsl-kdd/KDDTrain+.reconstructed.csv.gz", 125_973, 58_630, 0),
    ("nsl-kdd", "nsl-kdd/kaggle_Train_data.csv", 25_192, 11_743, 0),
]


@pytest.mark.parametrize(("name", "path", "rows", "attacks", "unknown"), FILES)
def test_real_files_are_recognised_and_read_whole(
    data: Path, name: str, path: str, rows: int, attacks: int, unknown: int
):
    source = data / path
    assert detect(source, list(PARTS.values())).name == name
    got = read(name, source)
    assert got.table.num_rows == rows
    assert not got.report.repaired
    labels = got.labels()
    assert int(labels.is_attack.sum()) == attacks
    assert int((~labels.known).sum()) == unknown


def test_unsw_categories_are_one_per_class(data: Path):
    labels = read("unsw-nb15", data / "unsw-nb15/UNSW-NB15_1.first20000.csv").labels()
    counts = dict(labels.category.drop_nulls().value_counts().iter_rows())
    assert counts["fuzzers"] == 724
    assert counts["backdoor"] == 2
    assert len(counts) == 8


def test_unsw_hosts_ports_and_times(data: Path):
    got = read("unsw-nb15", data / "unsw-nb15/UNSW-NB15_1.first20000.csv")
    hosts = set(got.column("src_ip")) | set(got.column("dst_ip"))
    assert len(hosts) == 42
    assert got.column("src_port")[0] == 1390
    assert got.column("start")[0].isoformat() == "2015-01-22T11:50:14+00:00"
    icmp = got.table.filter(pc.equal(got.table["protocol"], 1))
    assert icmp["src_port"].null_count == icmp.num_rows == 26
    # Address resolution is no IP protocol: its name stays, its number is unknown.
    arp = got.table.filter(pc.equal(got.table["c_protocol"].cast("string"), "arp"))
    assert arp["protocol"].null_count == arp.num_rows == 118


def test_argus_management_records_are_no_flows(data: Path):
    report = read("ctu-13", data / "slips/test5-mixed.binetflow").report
    assert report.read == 300
    assert report.rejects == {"an Argus management record (man)": 1}


def test_argus_icmp_types_flags_and_counters(data: Path):
    got = read("ctu-13", data / "slips/test2-malicious.binetflow")
    types = got.table.filter(pc.equal(got.table["protocol"], 1))
    pairs = set(zip(types["icmp_type"].to_pylist(), types["icmp_code"].to_pylist(), strict=True))
    assert {(8, 0), (3, 3), (3, 4)} <= pairs
    state, forward = got.column("conn_state")[3], got.column("fwd_tcp_flags")[3]
    assert (state, forward) == ("SPA_SRPA", 0x02 | 0x08 | 0x10)
    assert (got.column("fwd_packets")[3], got.column("bwd_packets")[3]) == (13, 13)
    assert (got.column("fwd_bytes")[3], got.column("bwd_bytes")[3]) == (1621, 5723 - 1621)


def test_westermo_layer_2_flows_have_mac_addresses_for_nodes(data: Path):
    got = read("westermo", data / "westermo/flows_right.csv.gz")
    assert got.column("src_ip")[0] == "b8:27:eb:15:88:9c"
    assert got.table["src_ip"].null_count == 0
    assert got.column("protocol")[0] is None
    assert {1, 6, 17} & set(got.column("protocol")) == {6, 17}


def test_westermo_has_two_label_schemes(data: Path):
    source = data / "westermo/flows_right.csv.gz"
    narrow, wide = read("westermo", source), read("westermo", source, labels="IT")
    assert int(narrow.labels().is_attack.sum()) == 1_247
    # Everything but 1,526 normal flows and those around harmless logins.
    assert int(wide.labels().is_attack.sum()) == 4_720 - 1_526 - 48


def test_sources_without_a_clock_say_so(data: Path):
    got = read("unsw-nb15-partition", data / "unsw-nb15-partition/UNSW_NB15_training-set.csv.gz")
    assert got.info.time_basis == "row-order"
    assert got.table["start"].null_count == got.table["src_ip"].null_count == got.table.num_rows


def test_a_binary_nfdump_file_is_refused_with_the_command_that_helps(data: Path):
    with pytest.raises(SourceError, match="nfdump -r FILE -o csv"):
        detect(data / "slips/test1-malicious.nfdump", list(PARTS.values()))


def test_a_table_that_is_no_flow_record_is_refused_with_what_was_seen(data: Path):
    with pytest.raises(SourceError, match=r"Attack category,Attack subcategory"):
        detect(data / "unsw-nb15/NUSW-NB15_LIST_EVENTS.csv", list(PARTS.values()))
