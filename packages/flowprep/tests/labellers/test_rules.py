from __future__ import annotations

import polars as pl
import pytest

from netvigil_flowprep.labellers.rules import interpret


def verdicts(format_: str, label: list[str | None] | None, attack: list[str | None] | None = None):
    texts = [None if t is None else pl.Series(t, dtype=pl.String) for t in (label, attack)]
    known, is_attack, category = interpret(texts[0], texts[1], format_)
    return [
        (name if bad else "benign") if sure else "unknown"
        for sure, bad, name in zip(known, is_attack, category, strict=True)
    ]


@pytest.mark.parametrize("text", ["0", "BENIGN", "Benign", " benign ", "Normal", "normal", "False"])
def test_benign_is_spelt_in_many_ways(text: str):
    assert verdicts("any", [text]) == ["benign"]


@pytest.mark.parametrize("text", [None, "", "-", "Background", "NeedManualLabel", "(empty)", "nan"])
def test_what_was_not_classified_is_unknown(text: str | None):
    assert verdicts("any", [text]) == ["unknown"]


def test_a_flag_takes_its_name_from_the_category():
    got = verdicts("any", ["1", "1", "0", "Malicious"], ["DoS", None, "DoS", "C&C Beacon"])
    assert got == ["dos", "attack", "benign", "c_c_beacon"]


def test_the_category_decides_only_where_the_label_is_empty():
    got = verdicts("any", ["", None, "Background", "-"], ["DoS", "Benign", "DoS", "-"])
    assert got == ["dos", "benign", "unknown", "unknown"]


def test_unsw_backdoors_are_one_class_and_an_empty_category_is_normal():
    got = verdicts("unsw-nb15", ["1", "1", "0", "1"], ["Backdoor", "Backdoors", None, " Fuzzers "])
    assert got == ["backdoor", "backdoor", "benign", "fuzzers"]


def test_ctu_background_is_never_benign():
    texts = [
        "flow=From-Botnet-V42-TCP-Established-HTTP-Binary-Download-11",
        "flow=From-Normal-V42-Jist",
        "flow=Background-UDP-Attempt",
        "flow=To-Background-CVUT-Proxy",
        "flow=Malware-UDP-DNS",
        "flow=TCP-Established-To-Microsoft-7",
        "",
    ]
    got = verdicts("ctu-13", texts)
    assert got == ["botnet_v42", "benign", "unknown", "unknown", "malware", "unknown", "unknown"]


def test_cidds_parties_of_an_attack_and_the_undecided():
    got = verdicts(
        "cidds",
        ["normal", "attacker", "victim", "suspicious", "unknown"],
        ["---", "bruteForce", "---", "---", "---"],
    )
    assert got == ["benign", "bruteforce", "attack", "unknown", "unknown"]


def test_westermo_good_events_are_harmless_whatever_their_flag():
    got = verdicts("westermo", ["1", "1", "0"], ["GOOD-SSH", "BAD-MISCONF-DUPLICATION", "Normal"])
    assert got == ["benign", "misconf_duplication", "benign"]


def test_attempted_attacks_of_the_corrected_releases_are_unknown():
    got = verdicts("cicflowmeter", ["DoS Hulk", "DoS Hulk - Attempted", "BENIGN"])
    assert got == ["dos_hulk", "unknown", "benign"]


def test_columns_are_complete_and_in_step_with_the_rows():
    label = pl.Series(["0", "1", None] * 1000)
    got = interpret(label, None, "any")
    assert [len(column) for column in got] == [3000] * 3
    assert got.known.null_count() == got.is_attack.null_count() == 0
    assert got.known.to_list() == [True, True, False] * 1000
    assert got.category.to_list() == [None, "attack", None] * 1000


def test_no_column_at_all_is_refused():
    with pytest.raises(ValueError, match="no label text"):
        interpret(None, None, "any")
