"""What explanations are called: values beside what is usual, flows by hosts, services and sizes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from netvigil.contracts import Contribution, Explanation, FlowFeatures, FlowInfo
from netvigil.errors import ContractError
from netvigil.explaining import lines, words
from netvigil.explaining.results import Check, FeaturePart, FlowsPart, Told
from netvigil.profile import FeatureProfile, UsualValues

from . import fakes

S = 1_000_000


def flows(src, dst, dport, **changes):
    n = len(src)
    start = fakes.EPOCH_US + np.arange(n) * S
    rows = {"start_us": start, "end_us": start, "src": src, "dst": dst, "dport": dport}
    ones = np.ones(n, np.int64)
    return fakes.make_flows(rows | dict.fromkeys(("sport", "packets", "bytes"), ones) | changes)


def with_columns(table, **columns):
    made = table.table
    for name, values in columns.items():
        array = pa.array(values, pa.uint8() if name == "tcp_flags" else pa.uint64())
        if name in made.column_names:
            made = made.set_column(made.column_names.index(name), name, array)
        else:
            made = made.append_column(name, array)
    return type(table).trusted(made, table.info)


PROFILE = FeatureProfile(
    ("x_a", "proto='tcp'", "proto=rare", "pca-1"),
    np.array([1.0, 0.5, 0.5, 0.0]),
    np.array([2.0, 0.5, 0.5, 0.0]),
    usual=UsualValues(("x_a",), np.array([[1.0, 5, 2000]]), {"proto": {"tcp": 0.75, None: 0.25}}),
)


def one(x_a=3.0, proto="tcp"):
    category = pa.array([proto], pa.string()).dictionary_encode()
    return FlowFeatures(np.array([[x_a]], np.float32), ("x_a",), {"proto": category})


class TestFeatures:
    X = np.array([4, 1, 0, 3], np.float32)

    def say(self, name, numbers, raw=None):
        return words.feature(name, numbers, PROFILE, raw or one(), self.X)

    def test_a_number_with_the_range_that_is_usual(self):
        said, deviations = self.say("x_a", (0,), one(x_a=12_345.0))
        assert said == "x_a is 12,345; usually 1 to 2,000, half below 5"
        assert deviations == 1.5

    def test_a_number_within_that_range_says_so(self):
        assert self.say("x_a", (0,))[0].endswith("half below 5 (within that)")

    def test_a_missing_number(self):
        assert self.say("x_a", (0,), one(x_a=np.nan))[0].startswith("x_a is missing; usually 1")

    def test_a_category_with_its_share(self):
        assert self.say("proto", (1, 2)) == ("proto is tcp, as 75.0% of train flows have it", None)
        said, _ = self.say("proto", (1, 2), one(proto="gre"))
        assert said == "proto is gre, as hardly any train flow has it"
        said, _ = self.say("proto", (1, 2), one(proto=None))
        assert said == "proto is missing, as 25.0% of train flows have it"

    def test_a_feature_that_no_column_of_the_source_is(self):
        assert self.say("pca-1", (3,)) == ("pca-1 is 3.0 deviations above its train mean", 3.0)


EXPLAINED = flows(["a"], ["b"], [22]).table.to_pylist()[0]


class TestFlows:
    def test_a_pair_one_way(self):
        chosen = flows(["a"] * 3, ["b"] * 3, [22] * 3, packets=[1, 2, 9], bytes=[60, 80, 900])
        assert words.flows("pair", chosen, EXPLAINED) == (
            "3 other flows from a to b; TCP to port 22, median 2 packets, 80 bytes, within 2 s"
        )

    def test_a_pair_both_ways_answers_and_resets(self):
        chosen = with_columns(
            flows(["a", "b"], ["b", "a"], [22, 4000]), bwd_packets=[0, 3], tcp_flags=[0x04, 0x12]
        )
        said = words.flows("pair", chosen, EXPLAINED)
        assert said.startswith("2 other flows between a and b; TCP to 22, 4000")
        assert "median 2.5 packets" in said
        assert "50% unanswered, 50% reset" in said

    def test_a_host_with_many_others_and_ports(self):
        chosen = flows(["a"] * 5, list("bcdef"), range(1, 6))
        assert words.flows("host", chosen, EXPLAINED).startswith(
            "5 other flows of a, with 5 hosts; TCP to 5 ports, "
        )
        chosen = flows(["x", "y"], ["b", "b"], [22, 22])
        assert words.flows("host", chosen, EXPLAINED).startswith(
            "2 other flows of b, with x, y; TCP to port 22"
        )

    def test_a_single_flow_and_an_unknown_host(self):
        chosen = flows([None], ["b"], [None])
        assert words.flows("flow", chosen, EXPLAINED) == "flow 0, an unknown host:1 \u2192 b"
        assert words.flows("pair", chosen, EXPLAINED).startswith(
            "1 other flow from an unknown host"
        )

    def test_without_a_clock_no_seconds_are_told(self):
        info = FlowInfo(format="tiny", time_basis="row-order", direction="uni")
        rows = {"src": ["a", "a"], "dst": ["b", "b"], "sport": [1, 1], "dport": [2, 2]}
        chosen = fakes.make_flows({**rows, "packets": [1, 1], "bytes": [1, 1]}, info=info)
        assert "within" not in words.flows("pair", chosen, EXPLAINED)


class TestLines:
    def test_a_check_in_words(self):
        check = Check(named=12_345.6, random=-0.5, things=3, draws=20, pool="features")
        told = Told(explainer="permutation", about="features", unit="score", check=check)
        assert lines.heading(told) == (
            "Features (permutation): without the leading 3 features the score falls by 12,346, "
            "without as many random ones it rises by 0.5"
        )

    def test_an_explanation_no_better_than_chance_says_so(self):
        check = Check(named=0.5, random=0.5, things=1, draws=20, pool="its neighbours")
        told = Told(explainer="occlusion", about="neighbours", unit="score", check=check)
        assert lines.heading(told).endswith(
            "1 flow the score falls by 0.5, without as many random "
            "ones it falls by 0.5; so this says little"
        )

    def test_a_unit_and_no_check(self):
        told = Told(explainer="occlusion", about="neighbours", unit="reconstruction error")
        assert lines.heading(told) == (
            "Flows around it (occlusion, parts of the reconstruction error)"
        )

    def test_only_what_raises_the_score_is_listed_and_few_single_flows(self):
        def part(kind, amount):
            return FlowsPart(kind=kind, words=kind, flows=1, flow_ids=(1,), amount=amount)

        around = (part("host", 5.0), *(part("flow", 4.0) for _ in range(4)), part("pair", -1.0))
        told = Told(explainer="o", about="neighbours", unit="score", neighbours=around)
        assert list(lines.parts(told)) == [("+5", "host"), ("+4", "flow"), ("+4", "flow")]

    def test_nothing_that_raises_is_said(self):
        low = FeaturePart(kind="feature", name="a", amount=-1, words="a")
        told = Told(explainer="p", about="features", unit="score", features=(low,))
        assert list(lines.parts(told)) == [("", "nothing raises the score")]

    def test_the_company_of_a_flow_is_told_even_where_it_raises_nothing(self):
        groups = tuple(
            FlowsPart(kind="pair", words=str(n), flows=n, flow_ids=(), amount=-1.0)
            for n in (3, 9, 5)
        )
        told = Told(explainer="o", about="neighbours", unit="score", neighbours=groups)
        assert list(lines.parts(told)) == [
            ("", "nothing raises the score; the largest groups are:"),
            ("-1", "9"),
            ("-1", "5"),
        ]


class TestContracts:
    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({"kind": "feature", "amount": np.nan, "name": "a"}, "is nan"),
            ({"kind": "feature", "amount": 1.0}, "has a name"),
            ({"kind": "pair", "amount": 1.0}, "has rows"),
            ({"kind": "rest", "amount": 1.0, "rows": np.array([1])}, "has rows"),
        ],
    )
    def test_a_contribution_that_says_nothing(self, values, says):
        with pytest.raises(ContractError, match=says):
            Contribution(**values)

    def test_contributions_out_of_order(self):
        low, high = (Contribution("feature", amount, name="a") for amount in (1.0, 2.0))
        with pytest.raises(ContractError, match="not in order"):
            Explanation((low, high))
