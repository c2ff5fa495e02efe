from __future__ import annotations

import numpy as np
import pytest

from netvigil import parts
from netvigil.errors import SourceError
from netvigil.parts import NoConfig
from netvigil.testing.conformance import checks_for
from netvigil_flowprep import plugin
from netvigil_flowprep.labellers.config import EventsConfig
from netvigil_flowprep.labellers.event_files import read_events
from netvigil_flowprep.labellers.events import EventLabels
from netvigil_flowprep.labellers.inline import Inline

LOG = """\
[1000.000 -- 2023-03-10 10:29:34 -- 0.00] [INFO] data collection starts
[1010.500 -- 2023-03-10 10:32:12 -- 10.5] [BAD-SSH-START] SSH 248 times target: 10.0.0.6
[1020.250 -- 2023-03-10 10:34:19 -- 20.25] [BAD-SSH-END] 74 of 248
[1030.000 -- 2023-03-10 10:34:33 -- 30.0] [GOOD-SSH-START] target: 10.0.0.5
[1040.000 -- 2023-03-10 10:34:36 -- 40.0] [GOOD-SSH-END] done
[1050.000 -- 2023-03-10 10:35:26 -- 50.0] [BAD-MISCONF-DUPLICATION-START] wrong address
[1060.000 -- 2023-03-10 10:35:47 -- 60.0] [BAD-MISCONF-DUPLICATION-END]cleaned up, reset
[1100.000 -- 2023-03-10 10:40:00 -- 100.0] [INFO] archive complete
"""
UTC = {"offset_s": 0}  # a Westermo log is taken for local time unless told otherwise
ATTACKER, VICTIM, OTHER = "10.0.0.99", "10.0.0.6", "10.0.0.7"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "events.txt"
    path.write_text(LOG)
    return path


def _flow(start, end, src=ATTACKER, dst=VICTIM, **more):
    return {"start": start, "end": end, "src_ip": src, "dst_ip": dst, **more}


def _said(labels):
    rows = labels.table.to_pylist()
    return {row["flow_id"]: row["attack"] if row["is_attack"] else "benign" for row in rows}


FLOWS = [
    _flow(990, 995),  # 0: before the file says anything
    _flow(1005, 1010.4),  # 1: ends just before the attack
    _flow(1005, 1010.5),  # 2: touches its start
    _flow(1012, 1013, VICTIM, ATTACKER),  # 3: the answer
    _flow(1012, 1013, OTHER, VICTIM),  # 4: an onlooker
    _flow(1020.25, 1025),  # 5: touches its end
    _flow(1035, 1036),  # 6: a good login
    _flow(1055, 1056, OTHER, VICTIM),  # 7: during a fault of which nobody is the attacker
    _flow(1101, 1102),  # 8: after the file
]


def test_overlap_and_endpoint_make_an_attack(log, make_flows):
    config = EventsConfig(truth=log, **UTC, attackers={"ssh": [ATTACKER]})
    labeller = EventLabels(config)
    said = _said(labeller.label(make_flows(FLOWS), None))
    assert said == {1: "benign", 2: "ssh", 3: "ssh", 4: "benign", 5: "ssh", 6: "benign"}
    summary = labeller.summary()
    assert (summary.flows, summary.known, summary.attacks) == (9, 6, 3)
    assert (summary.truth_rows, summary.truth_rows_matched) == (2, 1)
    summary.require_matches(where="events.txt")


def test_any_labels_everything_during_an_event(log, make_flows):
    config = EventsConfig(truth=log, **UTC, match="any")
    said = _said(EventLabels(config).label(make_flows(FLOWS), None))
    assert said[4] == "ssh"
    assert said[7] == "misconf_duplication"
    assert said[6] == "benign"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("benign", "benign"), ("any", "misconf_duplication"), ("unknown", None)],
)
def test_events_without_an_address_follow_their_setting(log, make_flows, setting, expected):
    config = EventsConfig(truth=log, **UTC, attackers={"ssh": [ATTACKER]}, without_address=setting)
    assert _said(EventLabels(config).label(make_flows(FLOWS), None)).get(7) == expected


def test_an_attack_is_known_even_while_something_else_is_doubtful(log, make_flows):
    config = EventsConfig(truth=log, **UTC, attackers={"ssh": [ATTACKER]})
    said = _said(EventLabels(config).label(make_flows([_flow(1015, 1055)]), None))
    assert said == {0: "ssh"}


def test_flows_without_addresses_are_unknown_during_an_event_only(log, make_flows):
    flows = make_flows([_flow(1015, 1016, None, None), _flow(1030, 1031, None, None)])
    config = EventsConfig(truth=log, **UTC, attackers={"ssh": [ATTACKER]})
    assert _said(EventLabels(config).label(flows, None)) == {1: "benign"}


def test_tolerance_and_offset_move_the_events(log, make_flows):
    flows = make_flows([_flow(1000, 1001), _flow(1008, 1009), _flow(4612, 4613)])
    attackers = {"ssh": [ATTACKER]}
    wide = EventsConfig(truth=log, **UTC, attackers=attackers, tolerance_s=2)
    assert _said(EventLabels(wide).label(flows, None)) == {0: "benign", 1: "ssh"}
    later = EventsConfig(truth=log, attackers=attackers, offset_s=3600)
    assert _said(EventLabels(later).label(flows, None)) == {2: "ssh"}


def test_a_westermo_log_is_in_local_time_by_default(log, make_flows):
    flows = make_flows([_flow(4612 - 7200, 4613 - 7200)])
    labeller = EventLabels(EventsConfig(truth=log, attackers={"ssh": [ATTACKER]}))
    assert _said(labeller.label(flows, None)) == {0: "ssh"}


def test_outside_may_count_as_benign(log, make_flows):
    config = EventsConfig(truth=log, **UTC, attackers={"ssh": [ATTACKER]}, outside="benign")
    said = _said(EventLabels(config).label(make_flows(FLOWS), None))
    assert said[0] == said[8] == "benign"


def test_patterns_name_several_categories_and_exact_names_come_first(tmp_path, make_flows):
    path = tmp_path / "e.csv"
    path.write_text("start,end,category\n10,20,port scan 1\n30,40,port scan 2\n")
    attackers = {"Port Scan*": [ATTACKER], "port_scan_2": [OTHER]}
    flows = make_flows([_flow(12, 13), _flow(32, 33), _flow(34, 35, OTHER)])
    said = _said(EventLabels(EventsConfig(truth=path, attackers=attackers)).label(flows, None))
    assert said == {0: "port_scan_1", 1: "benign", 2: "port_scan_2"}


def test_csv_with_addresses_and_pairs(tmp_path, make_flows):
    path = tmp_path / "e.csv"
    path.write_text(
        "start,end,category,addresses,source,target\n"
        f"1970-01-01T00:00:10Z,1970-01-01T00:00:20Z,Brute Force,{ATTACKER}; 2001:DB8::0:1,,\n"
        f"1970-01-01T01:00:30+01:00,1970-01-01T00:00:40Z,,,{OTHER},{VICTIM}\n"
    )
    flows = make_flows(
        [
            _flow(15, 16, "2001:db8::1", OTHER),
            _flow(17, 18, OTHER, VICTIM),
            _flow(35, 36, VICTIM, OTHER),
            _flow(37, 38, OTHER, ATTACKER),
        ]
    )
    said = _said(EventLabels(EventsConfig(truth=path)).label(flows, None))
    assert said == {0: "brute_force", 1: "benign", 2: "attack", 3: "benign"}


def test_toml_says_the_same_as_csv(tmp_path):
    table, toml = tmp_path / "e.csv", tmp_path / "e.toml"
    table.write_text("start,end,category,addresses\n10,20.5,ssh,10.0.0.1 10.0.0.2\n30,40,mitm,\n")
    toml.write_text(
        '[[event]]\nstart = 1970-01-01T00:00:10Z\nend = 1970-01-01T00:00:20.5Z\ncategory = "ssh"\n'
        'addresses = ["10.0.0.1", "10.0.0.2"]\n'
        '[[event]]\nstart = 1970-01-01T00:00:30Z\nend = 1970-01-01T00:00:40Z\ncategory = "mitm"\n'
    )
    assert read_events(table).frame.equals(read_events(toml).frame)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("e.txt", "", "empty"),
        ("e.txt", "hello\n", "no event file"),
        ("e.txt", LOG.replace("[BAD-SSH-END]", "[INFO]"), "never ends"),
        ("e.txt", LOG.replace("BAD-SSH-START", "INFO"), "without a start"),
        ("e.txt", LOG.replace("GOOD-SSH-START", "BAD-SSH-START"), "never ends"),
        ("e.csv", "start,end\n", "lists no event"),
        ("e.csv", "start,end\n20,10\n", "ends before it starts"),
        ("e.csv", "start,end\n10,\n", "has no end"),
        ("e.csv", "start,end\n10,tomorrow\n", "'tomorrow'"),
        ("e.toml", "[[event]\n", "no TOML"),
        ("e.toml", "[[event]]\nstart=1\nend=2\nwho='x'\n", "no 'who'"),
        ("e.toml", "", "lists no event"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SourceError, match=message) as refusal:
        read_events(path)
    assert str(path) in refusal.value.where


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        EventLabels(EventsConfig(truth=tmp_path / "none.txt"))


def test_a_source_without_a_clock_is_refused(log, make_flows):
    flows = make_flows([_flow(0, 0)], clock=False)
    with pytest.raises(SourceError, match="no clock"):
        EventLabels(EventsConfig(truth=log)).label(flows, None)


def test_events_that_match_nothing_are_refused_in_the_end(log, make_flows):
    labeller = EventLabels(EventsConfig(truth=log, **UTC, attackers={"ssh": ["10.9.9.9"]}))
    labeller.label(make_flows(FLOWS), None)
    with pytest.raises(SourceError, match="None of 2 rows of truth matches any of 9 flows"):
        labeller.summary().require_matches(where=str(log))


def test_conformance(log, make_flows):
    part = parts.FlowLabeller(
        name="events", summary="Events.", make=EventLabels, config=EventsConfig
    )
    config = {"truth": log, **UTC, "attackers": {"ssh": [ATTACKER]}}
    for check in checks_for(part, config=config, flows=make_flows(FLOWS)):
        check(part)


def test_the_real_event_log(data):
    events = read_events(data / "westermo" / "events.txt")
    assert events.dialect == "westermo"
    counts = dict(events.frame["category"].value_counts().iter_rows())
    text = (data / "westermo" / "events.txt").read_text()
    assert counts["ssh"] == text.count("[BAD-SSH-START]")
    assert sum(counts.values()) == text.count("[BAD-") // 2
    assert set(counts) == {
        *("ssh", "mitm", "portscan1", "portscan2", "misconf", "misconf_duplication")
    }
    longest_s = (events.frame["end_us"] - events.frame["start_us"]).max() / 1e6
    assert 0 < longest_s < 600


def test_the_real_events_agree_with_the_labels_in_the_real_flows(data):
    """The data set's own labels of the attackers' traffic, against the event log."""
    part = next(p for p in plugin.netvigil_flow_readers() if p.name == "westermo")
    source = data / "westermo" / "flows_bottom.csv.gz"
    (batch,) = part.make(part.config()).read(source, batch_rows=100_000)
    flows = batch.flows
    own = Inline(NoConfig()).label(flows, batch.inline).align(flows.flow_id)
    labeller = EventLabels(EventsConfig(truth=data / "westermo" / "events.txt"))
    said = labeller.label(flows, None).align(flows.flow_id)
    for category in ("ssh", "portscan1", "portscan2"):
        assert np.mean(said.attack[own.attack == category] == category) > 0.99
    assert not np.any(said.is_attack & ~own.is_attack)
    faults = np.isin(own.attack, ["misconf", "misconf_duplication"])
    assert not said.known[faults].any()
    # Half of the man-in-the-middle flows run between the two victims' own addresses.
    assert np.mean(said.attack[own.attack == "mitm"] == "mitm") > 0.4
    labeller.summary().require_matches(where="events.txt")


def test_a_port_and_a_protocol_leave_the_pairs_other_flows_alone(tmp_path, make_flows):
    path = tmp_path / "e.toml"
    path.write_text(
        '[[event]]\nstart = 0\nend = 100\ncategory = "guess"\nsource = "10.0.0.1"\n'
        'target = "10.0.0.2"\nport = 22\nprotocol = "tcp"\n'
    )
    ports = [
        {"dst_port": 22, "protocol": 6},
        {"dst_port": 80, "protocol": 6},
        {"dst_port": 22, "protocol": 17},
        {"src_port": 22, "dst_port": 40_000, "protocol": 6},
    ]
    rows = [{**_flow(10, 11), "src_ip": "10.0.0.1", "dst_ip": "10.0.0.2", **row} for row in ports]
    rows.append({**rows[3], "src_ip": "10.0.0.2", "dst_ip": "10.0.0.1"})  # seen the other way round
    said = _said(EventLabels(EventsConfig(truth=path)).label(make_flows(rows), None))
    assert [said[n] for n in range(5)] == ["guess", "benign", "benign", "benign", "guess"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("port = 70000", "no number of 0 to 65535"),
        ('protocol = "carrier-pigeon"', "no IP protocol"),
        ("port = 22", "a port, but no target"),
    ],
)
def test_a_wrong_port_or_protocol_is_refused(tmp_path, line, message):
    path = tmp_path / "e.toml"
    target = "" if "no target" in message else 'target = "10.0.0.2"\n'
    path.write_text(f'[[event]]\nstart = 0\nend = 1\ncategory = "x"\n{target}{line}\n')
    with pytest.raises(SourceError, match=message):
        read_events(path)
