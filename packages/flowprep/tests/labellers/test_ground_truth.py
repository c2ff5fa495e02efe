from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil import parts
from netvigil.errors import ConfigError, SourceError
from netvigil.testing.conformance import checks_for
from netvigil.testing.strategies import flow_tables
from netvigil_flowprep.labellers.config import GroundTruthConfig
from netvigil_flowprep.labellers.ground_truth import GroundTruth

A, B, C = "10.0.0.1", "10.0.0.2", "2001:db8::1"


def _flow(start, end, src=A, sport=1000, dst=B, dport=80, protocol=6):
    ends = {"src_ip": src, "src_port": sport, "dst_ip": dst, "dst_port": dport}
    return {"start": start, "end": end, "protocol": protocol, **ends}


def _label(path, flows, **settings):
    labeller = GroundTruth(GroundTruthConfig(truth=path, **settings))
    rows = labeller.label(flows, None).table.to_pylist()
    said = {row["flow_id"]: row["attack"] if row["is_attack"] else "benign" for row in rows}
    return said, labeller.summary()


@pytest.fixture
def write(tmp_path):
    def write(text, name="truth.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


HEADER = "src_ip,src_port,dst_ip,dst_port,protocol,start,end,category\n"
FLOWS = [
    _flow(100, 110),  # 0
    _flow(105, 106, B, 80, A, 1000),  # 1: the other direction
    _flow(105, 106, sport=1001),  # 2: another port
    _flow(105, 106, protocol=17),  # 3: another protocol
    _flow(112, 113),  # 4: too late
]


def test_rows_match_in_both_directions_and_in_their_time(write, make_flows):
    path = write(HEADER + f"{A},1000,{B},80,tcp,100,110,DoS Hulk\n")
    said, summary = _label(path, make_flows(FLOWS))
    assert said == {0: "dos_hulk", 1: "dos_hulk", 2: "benign", 3: "benign", 4: "benign"}
    assert (summary.attacks, summary.truth_rows, summary.truth_rows_matched) == (2, 1, 1)


def test_tolerance_offset_and_others(write, make_flows):
    path = write(HEADER + f"{A},1000,{B},80,6,3700,3710,scan\n")
    said, _ = _label(path, make_flows(FLOWS), offset_s=-3600, tolerance_s=2, others="unknown")
    assert said == {0: "scan", 1: "scan", 4: "scan"}


def test_empty_cells_match_anything_and_the_most_specific_row_wins(write, make_flows):
    path = write(HEADER + f"{A},,{B},,,,,wide\n{A},1001,{B},80,,,,narrow\n")
    said, _ = _label(path, make_flows(FLOWS))
    assert said == {0: "wide", 1: "wide", 2: "narrow", 3: "wide", 4: "wide"}


def test_a_single_address_matches_at_either_end(write, make_flows):
    path = write(f"src_ip\n{A}\n")
    flows = [_flow(0, 1), _flow(0, 1, B, 1, A, 1), _flow(0, 1, B, 1, C, 1)]
    said, _ = _label(path, make_flows(flows))
    assert said == {0: "attack", 1: "attack", 2: "benign"}


def test_a_service_without_a_client_port(write, make_flows):
    path = write(f"src_ip,dst_ip,dst_port\n{A},{B},80\n")
    flows = [_flow(0, 1), _flow(0, 1, B, 80, A, 5), _flow(0, 1, A, 80, B, 5)]
    said, _ = _label(path, make_flows(flows))
    assert said == {0: "attack", 1: "attack", 2: "benign"}


def test_icmp_flows_without_ports_are_port_zero(write, make_flows):
    path = write(HEADER + f"{A},0,{B},0,icmp,0,9,ping\n")
    said, _ = _label(path, make_flows([_flow(1, 2, A, None, B, None, 1)]))
    assert said == {0: "ping"}


def test_addresses_are_compared_in_one_spelling(write, make_flows):
    path = write("src_ip,dst_ip\n2001:0DB8:0:0::1, 10.0.0.1 \n")
    said, _ = _label(path, make_flows([_flow(0, 1, A, 1, C, 2)]))
    assert said == {0: "attack"}


def test_benign_and_background_rows_and_an_attack_over_both(write, make_flows):
    rows = f"{A},1000,{B},80,6,100,110,Benign\n{A},1001,{B},80,6,100,110,Background\n"
    path = write(HEADER + rows + f"{A},1000,{B},80,6,104,106,flood\n")
    flows = [_flow(100, 101), _flow(104, 105), _flow(104, 105, sport=1001)]
    said, _ = _label(path, make_flows(flows), tolerance_s=0)
    assert said == {0: "benign", 1: "flood"}


def test_a_mapping_names_the_columns_and_the_time_format(write, make_flows):
    table = " Source IP ,Destination IP,Start time,Last time,Label,Attack\n"
    table += f"{A},{B},10/03/2023 10:00,10/03/2023 10:01,1,Exploits\n"
    table += f"{A},{B},10/03/2023 11:00,10/03/2023 11:01,0,\n"
    mapping = write(
        '[columns]\nsrc_ip = "Source IP"\ndst_ip = "Destination IP"\nstart = "Start time"\n'
        'end = "Last time"\ncategory = "Attack"\nis_attack = "Label"\n'
        '[time]\nformat = "%d/%m/%Y %H:%M"\n',
        "mapping.toml",
    )
    ten, hour = 1_678_442_400, 3600
    flows = make_flows([_flow(ten + 5, ten + 6), _flow(ten + hour, ten + hour + 1)])
    said, _ = _label(write(table), flows, mapping=mapping)
    assert said == {0: "exploits", 1: "benign"}


def test_own_parquet_serves_as_truth(tmp_path, make_flows):
    flows = make_flows(FLOWS)
    path = tmp_path / "truth.parquet"
    pl.DataFrame(flows.table.slice(2, 1)).write_parquet(path)
    assert _label(path, flows)[0] == {
        0: "benign",
        1: "benign",
        2: "attack",
        3: "benign",
        4: "benign",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "no rows"),
        (HEADER + f"{A},x,{B},80,6,1,2,a\n", "src_port.*row 1 'x' is no number"),
        (HEADER + f"{A},70000,{B},80,6,1,2,a\n", "70000"),
        (HEADER + f"{A},1,{B},80,foo,1,2,a\n", "no IP protocol"),
        (HEADER + f"{A},1,{B},80,6,yesterday,2,a\n", "no time"),
        ("", "cannot be read"),
    ],
)
def test_unreadable_truth_is_refused(write, text, message):
    with pytest.raises(SourceError, match=message):
        GroundTruth(GroundTruthConfig(truth=write(text)))


def test_hexadecimal_ports_and_gaps_written_as_floats(write, make_flows):
    path = write(HEADER + f"{A},0x3e8,{B},80.0,6,100,110,a\n")
    assert _label(path, make_flows(FLOWS))[1].attacks == 2


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("[columns]\nsource = 'x'\n", "no column 'source'"),
        ("[columns]\nsrc_ip = 'SRC'\n", "no column 'SRC'"),
        ("[columns]\ncategory = 'category'\n", "identifies a flow"),
        ("[time]\nunit = 'h'\n", "mapping file of the truth table is wrong"),
        ("[columns\n", "cannot be read"),
    ],
)
def test_a_wrong_mapping_is_refused(write, mapping, message):
    path = write(HEADER + f"{A},1,{B},80,6,1,2,a\n")
    with pytest.raises(ConfigError, match=message):
        GroundTruth(GroundTruthConfig(truth=path, mapping=write(mapping, "m.toml")))


def test_truth_with_times_needs_flows_with_a_clock(write, make_flows):
    timed = write(HEADER + f"{A},1000,{B},80,6,1,2,a\n")
    flows = make_flows([_flow(0, 0)], clock=False)
    with pytest.raises(SourceError, match="no clock"):
        GroundTruth(GroundTruthConfig(truth=timed)).label(flows, None)
    assert _label(write(f"src_ip\n{A}\n", "timeless.csv"), flows)[0] == {0: "attack"}


def test_truth_that_matches_nothing_is_refused_in_the_end(write, make_flows):
    path = write(HEADER + f"{A},1000,{B},80,6,900,910,a\n")
    _, summary = _label(path, make_flows(FLOWS))
    with pytest.raises(SourceError, match="offset_s"):
        summary.require_matches(where=str(path))


@given(st.data(), flow_tables(max_flows=20))
def test_agrees_with_a_double_loop(tmp_path_factory, data, flows):
    if not len(flows):
        return
    rows = flows.table.select(
        ["src_ip", "src_port", "dst_ip", "dst_port", "protocol", "start", "end"]
    ).to_pylist()
    picked = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=5))
    keep = [name for name in rows[0] if name == "src_ip" or data.draw(st.booleans())]
    truth = [{name: row[name] for name in keep} for row in picked]
    path = tmp_path_factory.mktemp("truth") / "t.parquet"
    frame = pl.DataFrame(flows.table.slice(0, 0).select(keep)).clear()
    pl.DataFrame(truth, schema=frame.schema).write_parquet(path)
    said = GroundTruth(GroundTruthConfig(truth=path, tolerance_s=0)).label(flows, None)
    expected = [any(_matches(row, flow) for row in truth) for flow in rows]
    assert said.align(flows.flow_id).is_attack.tolist() == expected
    assert np.all(said.align(flows.flow_id).known)


def _matches(row, flow):
    swapped = {
        "src_ip": "dst_ip",
        "dst_ip": "src_ip",
        "src_port": "dst_port",
        "dst_port": "src_port",
    }
    begin = row.get("start")
    end = row.get("end") or begin
    if (begin is not None and flow["end"] < begin) or (end is not None and flow["start"] > end):
        return False
    names = [n for n in row if n not in ("start", "end") and row[n] is not None]
    return any(
        all(row[n] == (flow[turn.get(n, n)] or (0 if "port" in n else None)) for n in names)
        for turn in ({}, swapped)
    )


def test_conformance(write, make_flows):
    path = write(HEADER + f"{A},1000,{B},80,tcp,100,110,DoS\n")
    part = parts.FlowLabeller(
        name="ground-truth", summary="A table.", make=GroundTruth, config=GroundTruthConfig
    )
    for check in checks_for(part, config={"truth": path}, flows=make_flows(FLOWS)):
        check(part)
