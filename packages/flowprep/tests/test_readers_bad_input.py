from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netvigil.detect import detect
from netvigil.errors import SourceError

from .reading import PARTS, read, write

HEADER = (
    "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,"
    "Label"
)


def row(second: int = 0, **values: str) -> str:
    names = HEADER.split(",")
    fields = dict(
        zip(
            names,
            f"2020/01/01 00:00:{second:02d}.000000,1.5,tcp,10.0.0.1,5000,   ->,10.0.0.2,80,SA_SA,"
            "0,0,4,400,200,flow=Background".split(","),
            strict=True,
        )
    )
    return ",".join((fields | values).values())


def test_a_repeated_column_name_is_kept_apart(tmp_path: Path):
    source = write(tmp_path / "a.csv", HEADER + ",Extra,Extra", row() + ",1,2")
    got = read("ctu-13", source)
    assert (got.column("x_extra"), got.column("x_extra_1")) == ([1.0], [2.0])


def test_further_columns_become_features_or_categories_and_labels_never(tmp_path: Path):
    header = HEADER + ",Rate,Colour,Note,is_attack"
    lines = [
        row(n % 60) + f",{n}.5,{'red' if n % 2 else 'blue'},free text {n},1" for n in range(40)
    ]
    got = read("ctu-13", write(tmp_path / "a.csv", header, *lines))
    assert got.column("x_rate")[1] == 1.5
    assert set(got.column("c_colour")) == {"red", "blue"}
    assert not {"c_note", "x_is_attack", "c_is_attack"} & set(got.table.column_names)


def test_a_shuffled_header_is_refused_with_the_reason(tmp_path: Path):
    turned = ",".join(HEADER.split(",")[::-1])
    source = write(tmp_path / "a.csv", turned, row())
    with pytest.raises(SourceError, match="holds"):
        detect(source, list(PARTS.values()))
    with pytest.raises(SourceError, match="shuffled"):
        read("ctu-13", source)


def test_a_header_of_other_rows_is_refused(tmp_path: Path):
    source = write(tmp_path / "a.csv", HEADER, row() + ",1,2", row() + ",1,2")
    with pytest.raises(SourceError, match="15 columns, the rows have not"):
        read("ctu-13", source)


def test_a_missing_header_is_refused_with_what_was_seen(tmp_path: Path):
    source = write(tmp_path / "a.csv", row(), row())
    with pytest.raises(SourceError, match="2020/01/01"):
        detect(source, list(PARTS.values()))


def test_ragged_lines_are_counted_and_keep_their_number(tmp_path: Path):
    lines = [row(1), "2020/01/01,1,tcp", row(2), row(3) + ",surplus", "", row(4)]
    got = read("ctu-13", write(tmp_path / "a.csv", HEADER, *lines))
    assert got.column("flow_id") == [0, 2, 4]
    assert got.report.rejects == {"a line with too few fields": 1, "a line with too many fields": 1}
    assert "row 1" in got.report.examples[0]


def test_words_among_numbers_become_nulls_of_that_row_only(tmp_path: Path):
    lines = [row(n, TotPkts="many" if n == 3 else "4") for n in range(6)]
    got = read("ctu-13", write(tmp_path / "a.csv", HEADER, *lines))
    assert got.column("x_totpkts") == [4.0, 4.0, 4.0, None, 4.0, 4.0]
    assert got.report.repairs == {"totpkts not a number": 1}
    assert "'many'" in got.report.examples[0]


def test_unsorted_equal_and_jumping_times_come_out_in_order(tmp_path: Path):
    lines = [row(5), row(1), row(5), row(0, StartTime="2031/01/01 00:00:00")]
    got = read("ctu-13", write(tmp_path / "a.csv", HEADER, *lines))
    assert got.table["flow_id"].to_pylist() == [1, 0, 2, 3]


def test_unreadable_times_and_negative_durations(tmp_path: Path):
    lines = [row(1), row(2, StartTime="yesterday"), row(3, Dur="-4.0")]
    got = read("ctu-13", write(tmp_path / "a.csv", HEADER, *lines))
    assert got.report.rejects == {"no start time": 1}
    assert got.report.repairs == {"negative duration": 1}


def test_a_tab_separated_file_with_a_byte_order_mark(tmp_path: Path):
    text = "\n".join([HEADER, row()]).replace(",", "\t")
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read("ctu-13", tmp_path / "a.csv").column("dst_port") == [80]


def test_a_quoted_file_reads_like_a_plain_one(tmp_path: Path):
    plain = write(tmp_path / "a.csv", HEADER, row(1), row(2))
    quoted = [
        ",".join(f'"{text}"' for text in line.split(",")) for line in (HEADER, row(1), row(2))
    ]
    other = write(tmp_path / "b.csv", *quoted)
    one, two = read("ctu-13", plain).table, read("ctu-13", other).table
    assert one.drop("source_file").equals(two.drop("source_file"))


def test_a_header_alone_and_an_empty_file_are_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="no flows"):
        read("ctu-13", write(tmp_path / "a.csv", HEADER))
    (tmp_path / "b.csv").touch()
    with pytest.raises(SourceError, match="empty"):
        read("ctu-13", tmp_path / "b.csv")
    with pytest.raises(SourceError, match="cannot be read"):
        read("ctu-13", tmp_path / "missing.csv")


def test_a_folder_is_one_source_and_names_what_it_left_out(tmp_path: Path):
    write(tmp_path / "b.csv", HEADER + ",More", row(0) + ",7", row(1) + ",8")
    write(tmp_path / "a.csv", HEADER, row(2), row(3), row(4))
    write(tmp_path / "readme.txt", "flows of our network")
    (tmp_path / "c.csv").touch()
    got = read("ctu-13", tmp_path)
    assert got.column("flow_id") == [0, 1, 2, 3, 4]
    assert got.column("source_file") == ["a.csv"] * 3 + ["b.csv"] * 2
    assert got.column("source_row") == [0, 1, 2, 0, 1]
    assert got.column("x_more") == [None, None, None, 7.0, 8.0]
    assert [name.split(":")[0] for name in got.report.skipped_files] == ["c.csv", "readme.txt"]
    assert detect(tmp_path, list(PARTS.values())).name == "ctu-13"


def test_a_folder_without_a_file_of_the_dialect_is_refused(tmp_path: Path):
    write(tmp_path / "readme.txt", "flows of our network")
    with pytest.raises(SourceError, match="No file of the folder"):
        read("ctu-13", tmp_path)


def test_a_truncated_gzip_file_is_read_up_to_its_break_and_named(tmp_path: Path):
    lines = [row(n % 60, SrcBytes=str(n * 7919 % 10_007)) for n in range(5_000)]
    packed = gzip.compress("\n".join([HEADER, *lines]).encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) * 2 // 3])
    got = read("ctu-13", tmp_path / "a.csv.gz")
    assert 0 < got.table.num_rows < 5_000
    assert "cut off" in got.report.skipped_files[0]


def test_hostile_text_never_reaches_a_message_raw(tmp_path: Path):
    hostile = "\x1b]0;owned\x07"
    got = read("ctu-13", write(tmp_path / "a.csv", HEADER, row(1), row(2, Dur=hostile), row(3)))
    assert not any("\x1b" in text for text in got.report.examples)
    with pytest.raises(SourceError) as caught:
        detect(write(tmp_path / "b.csv", hostile + "head,er", "1,2"), list(PARTS.values()))
    assert "\x1b" not in str(caught.value)


bad_lines = st.sampled_from(
    [
        row(1),
        row(2, Proto="icmp", Sport="0x0303", Dport="0x0ecc"),
        row(3, Proto="arp", SrcAddr="aa:bb:cc:dd:ee:ff", Sport="", Dport=""),
        row(4, Dur="-1"),
        row(5, TotPkts="NaN"),
        row(6, Sport="70000"),
        row(7, Proto="man"),
        row(8, Dur="inf"),
        row(9, Label='say "hi"'),
        row(9, Label='"a\nb"'),
        row(10, Label='a stray " quote'),
        row(11, State="caf\u00e9"),
        "too,few",
        row(12) + ",too,many",
        HEADER,
        "",
    ]
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15
)
@given(st.lists(bad_lines, min_size=1, max_size=25), st.sampled_from(["utf-8", "cp1252"]))
def test_chunk_size_never_changes_the_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], encoding: str
):
    from netvigil_flowprep.readers import delimited

    good = [row(n) for n in range(8)]
    source = write(tmp_path / "a.csv", HEADER, *good, *lines, encoding=encoding)
    whole = read("ctu-13", source)
    monkeypatch.setattr(delimited, "SMALLEST_BLOCK", 128)
    for batch_rows in (2, 9):
        pieces = read("ctu-13", source, batch_rows=batch_rows)
        for one, other in ((pieces.table, whole.table), (pieces.inline, whole.inline)):
            assert one.sort_by("flow_id").to_pydict() == other.sort_by("flow_id").to_pydict()
        for name in ("read", "rejected", "repaired", "rejects", "repairs"):
            assert getattr(pieces.report, name) == getattr(whole.report, name)
