from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import CANONICAL, FlowInfo
from netvigil.contracts.flows import TEXT, FlowBatch
from netvigil_flowprep.canonical import LATEST_US, feature_name, to_batch
from netvigil_flowprep.tally import Tally, escape

CLOCK = FlowInfo("test", "clock", "ip", "bi")
ROWS = FlowInfo("test", "row-order", "ip", "bi")


def batch(
    columns: dict[str, list[object]], info: FlowInfo = CLOCK, first_row: int = 0
) -> FlowBatch:
    length = len(next(iter(columns.values())))
    frame = pl.DataFrame({"row": range(length), **columns}, strict=False)
    return to_batch(frame, info, source_file="a.csv", first_row=first_row, tally=Tally("a.csv"))


def column(result: FlowBatch, name: str) -> list[object]:
    return result.flows.table[name].to_pylist()


def test_missing_canonical_columns_are_nulls_of_the_right_type():
    result = batch({"start_us": [1, 2]})
    for name, wanted in CANONICAL.items():
        assert result.flows.table[name].type == wanted
    assert result.flows.table["src_ip"].null_count == 2


def test_ids_count_from_the_first_row_and_rows_lead_back_to_the_file():
    result = batch({"start_us": [30, 10, 20]}, first_row=100)
    assert column(result, "flow_id") == [101, 102, 100]
    assert column(result, "source_row") == [1, 2, 0]
    assert column(result, "source_file") == ["a.csv"] * 3


def test_rows_of_equal_start_keep_their_order():
    result = batch({"start_us": [5, 5, 1, 5]})
    assert column(result, "flow_id") == [2, 0, 1, 3]


def test_a_row_without_a_start_is_rejected_with_its_reason():
    result = batch({"start_us": [1, None, -7, LATEST_US + 1]})
    assert column(result, "flow_id") == [0]
    assert result.report.rejects == {"no start time": 1, "start time outside 1970..2200": 2}
    assert result.report.examples[0] == "a.csv, row 1: no start time"
    assert result.report.rejected == 3


def test_row_order_sources_need_no_start_and_keep_their_order():
    result = batch({"duration_s": [3.0, 1.0]}, ROWS)
    assert result.flows.table["start"].null_count == 2
    assert column(result, "duration_s") == [3.0, 1.0]


def test_the_end_comes_from_the_duration_where_there_is_none():
    result = batch({"start_us": [1_000_000], "duration_s": [2.5]})
    assert result.flows.end_us.tolist() == [3_500_000]


def test_the_duration_comes_from_the_end_where_the_source_has_no_such_column():
    assert column(batch({"start_us": [0], "end_us": [1_500_000]}), "duration_s") == [1.5]
    kept = batch({"start_us": [0], "end_us": [1_500_000], "duration_s": [None]})
    assert column(kept, "duration_s") == [None]


def test_an_end_before_the_start_is_repaired_from_the_duration():
    result = batch({"start_us": [10, 10], "end_us": [5, None], "duration_s": [0.000004, None]})
    assert result.flows.end_us.tolist() == [14, 10]
    assert result.report.repairs == {"end before start": 1}


def test_a_negative_duration_becomes_null():
    result = batch({"start_us": [1, 2], "duration_s": [-1.0, 1.0]})
    assert column(result, "duration_s") == [None, 1.0]
    assert result.report.repairs == {"negative duration": 1}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e39])
def test_features_that_are_not_finite_become_null(bad: float):
    result = batch({"start_us": [1, 2], "x_rate": [bad, 2.0]})
    assert column(result, "x_rate") == [None, 2.0]
    assert result.report.repairs == {"x_rate not a finite number": 1}
    assert result.flows.table["x_rate"].type == pa.float32()


def test_ports_protocols_and_counts_out_of_range_become_null():
    result = batch(
        {
            "start_us": [1, 2, 3],
            "src_port": [-1, 65535, 65536],
            "protocol": [6, 256, 17],
            "fwd_bytes": [-5, 0, 2**40],
        }
    )
    assert column(result, "src_port") == [None, 65535, None]
    assert column(result, "protocol") == [6, None, 17]
    assert column(result, "fwd_bytes") == [None, 0, 2**40]
    assert result.report.repaired == 3
    assert sum(result.report.repairs.values()) == 4


def test_text_numbers_are_read_with_padding_fractions_and_exponents():
    result = batch({"start_us": [1, 2, 3, 4], "fwd_packets": [" 3", "3.0", "1e3", "three"]})
    assert column(result, "fwd_packets") == [3, 3, 1000, None]
    assert result.report.repaired == 1


def test_a_row_repaired_twice_counts_once_and_a_rejected_one_not_at_all():
    result = batch(
        {"start_us": [1, None], "src_port": [-1, -1], "x_rate": [float("nan"), float("nan")]}
    )
    report = result.report
    assert (report.read, report.repaired, report.rejected) == (2, 1, 1)


def test_text_is_tidied_and_dashes_are_nothing():
    result = batch(
        {
            "start_us": [1, 2, 3],
            "src_ip": [" 10.0.0.1", "-", ""],
            "l7_proto": ["HTTP", "http ", None],
        }
    )
    assert column(result, "src_ip") == ["10.0.0.1", None, None]
    assert column(result, "l7_proto") == ["http", "http", None]
    assert result.flows.table["src_ip"].type == TEXT


def test_addresses_are_spelt_in_one_way():
    texts = ["2001:DB8:0:0:0:0:0:1", "2001:db8::1", "fe80::74:a6ed:d0dd:53e7", "EXT_SERVER", "::"]
    texts += ["2001:0db8::0001", "0:0:0:0:0:0:0:0", "aa:bb:cc:dd:ee:ff", "1:0:0:2::0:3"]
    result = batch({"start_us": range(len(texts)), "dst_ip": texts})
    wanted = ["2001:db8::1", "2001:db8::1", "fe80::74:a6ed:d0dd:53e7", "EXT_SERVER", "::"]
    wanted += ["2001:db8::1", "::", "aa:bb:cc:dd:ee:ff", "1:0:0:2::3"]
    assert column(result, "dst_ip") == wanted


def test_label_text_goes_its_own_way_untouched():
    result = batch({"start_us": [2, 1], "label": [" Bad ", None]}, first_row=5)
    assert "label" not in result.flows.table.column_names
    assert result.inline is not None
    assert result.inline.to_pydict() == {"flow_id": [6, 5], "label": [None, " Bad "]}


def test_an_empty_frame_makes_an_empty_batch_that_still_reports():
    tally = Tally("a.csv")
    tally.lose("a broken line", [0])
    frame = pl.DataFrame(schema={"row": pl.Int64, "start_us": pl.Int64})
    result = to_batch(frame, CLOCK, source_file="a.csv", first_row=0, tally=tally)
    assert len(result.flows) == 0
    assert (result.report.read, result.report.rejected) == (1, 1)


numbers = st.one_of(st.none(), st.integers(-3, 70_000), st.floats(allow_nan=True, width=32))


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.integers(-5, 50)), numbers, numbers),
        min_size=1,
        max_size=30,
    )
)
def test_every_row_is_accepted_or_rejected(rows: list[tuple[object, object, object]]):
    starts, durations, ports = zip(*rows, strict=True)
    result = batch(
        {
            "start_us": pl.Series(starts, dtype=pl.Int64),
            "duration_s": pl.Series(durations, dtype=pl.Float64, strict=False),
            "src_port": pl.Series(ports, dtype=pl.Float64, strict=False),
        }
    )
    report = result.report
    assert report.read == len(rows) == len(result.flows) + report.rejected
    assert report.repaired <= len(result.flows)
    expected = {i for i, start in enumerate(starts) if start is not None and start >= 0}
    assert set(column(result, "flow_id")) == expected


def test_names_become_slugs():
    assert feature_name(" Flow Bytes/s") == "x_flow_bytes_s"
    assert feature_name("Init_Win_bytes_forward") == "x_init_win_bytes_forward"


def test_hostile_text_is_escaped_and_cut():
    shown = escape("\x1b]0;owned\x07" + "A" * 500)
    assert "\x1b" not in shown
    assert shown.isascii()
    assert len(shown) < 120
