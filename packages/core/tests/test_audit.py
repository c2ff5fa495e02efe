from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rich.console import Console

from netvigil.audit import Traits, audit, known_defects
from netvigil.contracts import FlowInfo, FlowTable, LabelTable
from netvigil.contracts.flows import CANONICAL, TEXT, TIMESTAMP
from netvigil.errors import ConfigError, ContractError

DATA = Path(os.environ.get("NETVIGIL_DATA", Path(__file__).parents[4] / "shared" / "data"))
DAY_US = 1_772_000_000_000_000


def flow_table(n, *, clock=True, fmt="test", **given):
    columns = {name: pa.nulls(n, kind) for name, kind in CANONICAL.items()}
    columns["flow_id"] = pa.array(np.arange(n))
    if clock:
        start = given.pop("start", DAY_US + np.arange(n) * 1_000_003)
        columns["start"] = columns["end"] = pa.array(start, pa.int64()).cast(TIMESTAMP)
    for name, values in given.items():
        if name.startswith("c_") or name.endswith("_ip"):
            columns[name] = pa.array(list(values), pa.string()).cast(TEXT)
        elif name.startswith("x_"):
            columns[name] = pa.array(values, pa.float32())
        else:
            columns[name] = pa.array(values, columns[name].type)
    return FlowTable(pa.table(columns), FlowInfo(fmt, "clock" if clock else "row-order"))


def labels(is_attack, names=None, ids=None):
    is_attack = np.asarray(is_attack, bool)
    ids = np.arange(len(is_attack)) if ids is None else ids
    names = ["scan"] * len(is_attack) if names is None else list(names)
    return LabelTable.of(ids, is_attack, pa.array(names, pa.string()))


def texts(report):
    return [finding.what for finding in report.findings]


def finding(report, words):
    (found,) = [f for f in report.findings if words in f.what]
    return found


RNG = np.random.default_rng(0)
N = 2000
NOISE = RNG.normal(size=N)
TRUTH = RNG.random(N) < 0.1


class TestRows:
    def test_repeats_are_counted_in_all_columns_but_identity(self):
        flows = flow_table(
            4, start=[DAY_US] * 4, src_ip="aaaa", dst_ip="bbbb", fwd_bytes=[1, 1, 1, 2],
            x_a=[0.0, -0.0, 5.0, 0.0],
        )  # fmt: skip
        report = audit([flows])
        assert (report.duplicates, report.duplicates_of) == (1, 4)
        assert report.near_duplicates == 2
        assert "1 of 4 flows (25.0%) repeat another" in finding(report, "repeat").what

    def test_a_null_is_no_zero(self):
        flows = flow_table(2, start=[DAY_US] * 2, src_ip="aa", dst_ip="bb", x_a=[None, 0.0])
        assert audit([flows]).duplicates == 0
        same = flow_table(2, start=[DAY_US] * 2, src_ip="aa", dst_ip="bb", x_a=[None, None])
        assert audit([same]).duplicates == 1

    def test_repeats_are_found_across_batches(self):
        one = flow_table(3, clock=False, fwd_bytes=[1, 2, 3])
        two = FlowTable(one.table.set_column(0, "flow_id", pa.array([10, 11, 12])), one.info)
        report = audit(iter([one, two]))
        assert (report.flows, report.duplicates) == (6, 3)
        assert report.near_duplicates_of == 0  # without addresses there is nothing to compare

    def test_counting_stops_at_the_limit_and_says_so(self, monkeypatch):
        monkeypatch.setattr("netvigil.audit.stream.MAX_KEYS", 5)
        batches = [flow_table(4, clock=False, fwd_bytes=[1, 2, 3, 4])] * 1
        more = [flow_table(4, clock=False, fwd_bytes=[k, k + 1, k + 2, k + 3]) for k in (5, 9, 13)]
        report = audit(batches + more)
        assert (report.flows, report.duplicates_of, report.duplicates) == (16, 8, 0)

    def test_batch_size_changes_nothing(self):
        flows = flow_table(N, src_ip=["a", "b"] * (N // 2), dst_ip=["c"] * N, x_a=NOISE)
        whole = audit([flows], labels(TRUTH), sample=500)
        pieces = audit((flows.slice(k, 77) for k in range(0, N, 77)), labels(TRUTH), sample=500)
        assert whole == pieces
        assert whole.sampled == 500

    def test_batches_may_come_from_a_function(self):
        flows = flow_table(5)
        assert audit(lambda: iter([flows])) == audit([flows])


class TestClock:
    def test_a_gap_is_told_with_its_place(self):
        start = DAY_US + np.arange(1000) * 1_000_000
        start[500:] += 7_200_000_000
        report = audit([flow_table(1000, start=start)])
        ((at, seconds),) = report.clock_jumps
        assert seconds == 7201.0
        assert at == pd.Timestamp(int(start[499]), unit="us").isoformat() + "Z"
        assert "No flow starts for 7,201 s" in finding(report, "No flow starts").what

    def test_sparse_flows_are_no_jumps(self):
        start = DAY_US + np.cumsum(RNG.integers(1, 7_200_000_000, 300))
        assert audit([flow_table(300, start=start)]).clock_jumps == ()

    def test_a_gap_between_batches(self):
        start = DAY_US + np.arange(1000) * 1_000_000
        start[500:] += 7_200_000_000
        flows = flow_table(1000, start=start)
        assert len(audit([flows.slice(0, 500), flows.slice(500)]).clock_jumps) == 1

    def test_whole_seconds_and_order(self):
        start = DAY_US + np.arange(100) // 4 * 1_000_000
        report = audit([flow_table(100, start=start)])
        assert report.whole_seconds is True
        assert report.out_of_order == 0.0
        shuffled = flow_table(100, start=start, flow_id=np.arange(100)[::-1])
        assert audit([shuffled]).out_of_order == pytest.approx(0.99)

    def test_an_unset_clock(self):
        report = audit([flow_table(3, start=[0, 5, 9])])
        assert finding(report, "the clock was not set").severity == "high"

    def test_a_source_without_a_clock(self):
        report = audit([flow_table(5, clock=False)])
        assert report.first is None
        assert report.whole_seconds is None
        assert report.clock_jumps == ()


class TestLabels:
    def test_classes_with_sources_and_times(self):
        names = np.where(np.arange(N) < N // 2, "early", "late")
        src = np.where(TRUTH, "evil", np.array(["a", "b", "c"])[np.arange(N) % 3])
        flows = flow_table(N, src_ip=src, dst_ip=["d"] * N)
        rows = {row.name: row for row in audit([flows], labels(TRUTH, names)).classes}
        assert rows["benign"].flows == int((~TRUTH).sum())
        assert rows["benign"].sources == 3
        assert rows["early"].sources == 1
        assert sum(rows["early"].over_time) == rows["early"].flows
        assert sum(rows["early"].over_time[12:]) == 0
        assert sum(rows["late"].over_time[:12]) == 0
        assert rows["early"].last < rows["late"].first

    def test_a_single_source_is_told(self):
        flows = flow_table(N, src_ip=np.where(TRUTH, "evil", "good"), dst_ip=["d"] * N)
        assert "scan" in finding(audit([flows], labels(TRUTH)), "single source host").what

    def test_unknown_flows_are_counted_and_not_sampled(self):
        flows = flow_table(N, x_a=NOISE)
        report = audit([flows], labels(TRUTH[:500]))
        assert (report.known, report.sampled) == (500, 500)
        assert "75.0% of the flows have no label" in finding(report, "no label").what
        assert {row.name for row in report.classes} == {"unknown", "benign", "scan"}

    @pytest.mark.parametrize(("truth", "which"), [(True, "attack"), (False, "benign")])
    def test_one_class(self, truth, which):
        report = audit([flow_table(50, x_a=NOISE[:50])], labels(np.full(50, truth)))
        assert finding(report, f"All labelled flows are {which}").severity == "high"
        assert report.features == report.rules == report.stumps == ()

    def test_without_labels(self):
        report = audit([flow_table(50, x_a=NOISE[:50])])
        assert report.features == ()
        assert "nothing can be said" in finding(report, "No flow has a label").what

    def test_an_attack_without_a_name(self):
        report = audit([flow_table(3)], labels([True, False, True], [None, None, "x"]))
        assert {row.name for row in report.classes} == {"attack", "benign", "x"}


class TestShortcuts:
    def test_single_columns_are_ranked_by_what_they_give_away(self):
        flows = flow_table(N, x_noise=NOISE, x_sttl=TRUTH * 31.0, x_inverse=NOISE - 3.5 * TRUTH)
        report = audit([flows], labels(TRUTH))
        by_name = {f.name: f for f in report.features}
        assert [f.name for f in report.features][:2] == ["x_sttl", "x_inverse"]
        assert by_name["x_sttl"].auc == 1.0
        assert by_name["x_sttl"].denied_as == "TTL"
        assert by_name["x_inverse"].attacks_are == "low"
        assert by_name["x_noise"].auc < 0.6
        denied = finding(report, "Columns that are denied")
        assert (denied.severity, "x_sttl (TTL) 1.000" in denied.what) == ("medium", True)
        alone = finding(report, "Single columns rank attacks")
        assert (alone.severity, "x_inverse 0.9" in alone.what) == ("high", True)

    def test_a_missing_value_can_give_the_label_away(self):
        values = pa.array(NOISE, mask=TRUTH)
        report = audit([flow_table(N, x_a=values)], labels(TRUTH))
        (found,) = [f for f in report.features if f.name == "x_a"]
        assert (found.auc, found.attacks_are) == (1.0, "low")
        assert found.missing == pytest.approx(TRUTH.mean())

    def rule(self, report, name):
        (found,) = [r for r in report.rules if r.rule == name]
        return found

    def test_labels_that_follow_a_host(self):
        flows = flow_table(
            N, src_ip=np.where(TRUTH, "evil", "good"), dst_ip=["d"] * N, dst_port=[80] * N
        )
        report = audit([flows], labels(TRUTH))
        found = self.rule(report, "source host only")
        assert (found.forward, found.backward, found.auc) == (1.0, 1.0, 1.0)
        assert self.rule(report, "destination host only").auc == 0.5
        assert self.rule(report, "destination port and protocol only").auc == 0.5
        assert finding(report, "source host only 1.000").severity == "high"

    def test_memory_is_not_rewarded(self):
        # every flow has a host of its own: perfect in hindsight, worthless on the other half
        flows = flow_table(N, src_ip=[f"h{k}" for k in range(N)], dst_ip=["d"] * N)
        assert self.rule(audit([flows], labels(TRUTH)), "source host only").auc == 0.5

    def test_labels_that_follow_the_port_or_a_category(self):
        flows = flow_table(
            N, dst_port=np.where(TRUTH, 23, 443), c_state=np.where(TRUTH, "INT", "FIN")
        )
        report = audit([flows], labels(TRUTH))
        assert self.rule(report, "destination port and protocol only").auc == 1.0
        assert self.rule(report, "c_state only").auc == 1.0
        assert not any("host" in rule.rule for rule in report.rules)

    def test_labels_that_follow_the_clock(self):
        burst = np.arange(N) // 100 % 5 == 0
        report = audit([flow_table(N)], labels(burst))
        assert self.rule(report, "time only").auc > 0.99
        assert self.rule(audit([flow_table(N)], labels(TRUTH)), "time only").auc < 0.65

    def test_a_stump_is_chosen_on_one_half_and_tried_on_the_other(self):
        flows = flow_table(N, x_size=NOISE + 9.0 * TRUTH, x_noise=NOISE[::-1])
        report = audit([flows], labels(TRUTH))
        assert len(report.stumps) == 2
        assert finding(report, "A single cut").severity == "high"
        for stump in report.stumps:
            assert (stump.feature, stump.alert_if) == ("x_size", "above")
            assert stump.balanced_accuracy > 0.99
        drift = np.where(np.arange(N) < N // 2, 1.0, -1.0) * TRUTH  # turns around half-way
        for stump in audit([flow_table(N, x_a=drift)], labels(TRUTH)).stumps:
            assert stump.balanced_accuracy <= 0.55

    def test_attacks_in_one_half_only(self):
        first = np.arange(N) < 100
        report = audit(
            [flow_table(N, x_a=NOISE, src_ip=["a"] * N, dst_ip=["b"] * N)], labels(first)
        )
        found = self.rule(report, "host pair only")
        assert found.auc is None
        assert "one" in found.reason or "fold" in found.reason
        assert report.stumps == ()

    def test_the_sample_is_seeded(self):
        flows = flow_table(N, x_a=NOISE)
        one = audit([flows], labels(TRUTH), sample=300, seed=1)
        assert one == audit([flows], labels(TRUTH), sample=300, seed=1)
        assert one.features != audit([flows], labels(TRUTH), sample=300, seed=2).features
        assert (one.sampled, one.seed) == (300, 1)


def traits(fmt, columns=(), classes=(), first="2026-01-01"):
    us = int(pd.Timestamp(first, tz="UTC").timestamp() * 1e6) if first else None
    return Traits.of(format_name=fmt, columns=columns, classes=classes, first_us=us)


def defect_names(*args, **options):
    return {defect.name for defect in known_defects(traits(*args, **options))}


class TestKnownDefects:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ({"fmt": "cicflowmeter", "first": "2017-07-05"}, "CICIDS2017, original release"),
            ({"fmt": "cse-cic-ids2018", "first": None}, "CSE-CIC-IDS2018 infiltration"),
            ({"fmt": "unsw-nb15"}, "UNSW-NB15 TTL shortcut"),
            ({"fmt": "csv", "columns": ["x_sttl", "x_ct_state_ttl"]}, "UNSW-NB15 TTL shortcut"),
            ({"fmt": "westermo"}, "Westermo misconfiguration classes"),
            ({"fmt": "nfstream", "classes": ["MISCONF"]}, "Westermo misconfiguration classes"),
            ({"fmt": "csv", "columns": ["x_dst_host_srv_count"]}, "NSL-KDD"),
            ({"fmt": "nf-v2"}, "NF-* collections"),
            ({"fmt": "ctu13"}, "CTU-13 background"),
            ({"fmt": "cidds"}, "CIDDS emulation"),
        ],
    )
    def test_recognised(self, given, name):
        assert name in defect_names(given.pop("fmt"), **given)

    def test_the_corrected_release_is_not_blamed(self):
        found = defect_names(
            "cicflowmeter", classes=["Botnet", "Infiltration - Portscan"], first="2017-07-05"
        )
        assert "CICIDS2017, original release" not in found

    def test_other_traffic_has_none(self):
        assert defect_names("zeek", columns=["x_missed_bytes"], classes=["scan"]) == set()
        assert defect_names("cicflowmeter") == set()

    def test_each_has_a_citation(self):
        from netvigil.audit.defects import DEFECTS

        assert all(defect.source and defect.do for defect in DEFECTS)

    def test_it_stands_among_the_findings(self):
        report = audit([flow_table(3, fmt="unsw-nb15")])
        found = finding(report, "TTL shortcut")
        assert found.severity == "high"
        assert "doi:" in found.source


class TestReport:
    def report(self):
        names = np.where(np.arange(N) % 2, "x\x1b[31m[bold]", "b")
        src = np.where(TRUTH, "evil", "good")
        return audit([flow_table(N, src_ip=src, dst_ip=src, x_a=NOISE)], labels(TRUTH, names))

    def test_findings_come_by_severity(self):
        order = ["high", "medium", "low"]
        places = [order.index(f.severity) for f in self.report().findings]
        assert places == sorted(places)
        assert all(f.do for f in self.report().findings)

    def test_it_is_plain_json(self):
        text = json.dumps(self.report().to_json(), allow_nan=False)
        assert json.loads(text)["flows"] == N

    @pytest.mark.parametrize("width", [80, 160])
    def test_it_prints_and_defuses_names(self, width):
        out = io.StringIO()
        Console(file=out, width=width).print(self.report())
        shown = out.getvalue()
        assert "\x1b" not in shown
        assert r"x\x1b[31m[bold]" in shown
        assert "source host only" in shown

    def test_wrong_calls_are_refused(self):
        with pytest.raises(ContractError, match="no flows"):
            audit([])
        for sample in (0, 2_000_000):
            with pytest.raises(ConfigError, match="samples 1 to 1,000,000"):
                audit([flow_table(3)], sample=sample)


def test_unsw_ttl_columns_are_found_out():
    path = DATA / "unsw-nb15" / "UNSW-NB15_1.first20000.csv"
    if not path.exists():
        pytest.skip(f"real data is absent: {path}")
    raw = pd.read_csv(path, header=None, dtype=str, encoding="utf-8-sig")  # noqa: TID251
    raw = raw.sort_values(28, key=lambda stime: stime.astype(int), kind="stable")
    flows = flow_table(
        len(raw),
        fmt="unsw-nb15",
        start=raw[28].astype(int).to_numpy() * 1_000_000,
        src_ip=raw[0],
        dst_ip=raw[2],
        x_sttl=raw[9].astype(float),
        x_ct_state_ttl=raw[36].astype(float),
        fwd_bytes=raw[7].astype(int),
    )
    report = audit([flows], labels(raw[48] == "1", raw[47].fillna("").str.strip()))
    assert report.attacks == 1572
    best = report.features[0]
    assert best.denied_as == "TTL"
    assert best.auc > 0.9
    assert report.whole_seconds is True
    assert finding(report, "TTL shortcut").severity == "high"
    assert "host pair only 0.99" in finding(report, "Rules that know only").what
