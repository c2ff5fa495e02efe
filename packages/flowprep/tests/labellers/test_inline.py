from __future__ import annotations

import pyarrow as pa
import pytest

from netvigil import parts
from netvigil.errors import SourceError
from netvigil.parts import NoConfig
from netvigil.testing.conformance import checks_for
from netvigil_flowprep.labellers.inline import Inline


def _inline(ids, labels, attacks=None):
    columns = {"flow_id": pa.array(ids, pa.int64()), "label": pa.array(labels, pa.string())}
    if attacks is not None:
        columns["attack"] = pa.array(attacks, pa.string())
    return pa.table(columns)


@pytest.fixture
def flows(make_flows):
    return make_flows([{"start": n, "end": n, "flow_id": 10 + n} for n in range(4)])


def _said(labels):
    rows = labels.table.to_pylist()
    return {row["flow_id"]: row["attack"] if row["is_attack"] else "benign" for row in rows}


def test_texts_become_labels_and_background_stays_unknown(flows):
    inline = _inline([10, 11, 12, 13], ["Benign", "Web Attack", "Background", "normal"])
    labeller = Inline(NoConfig())
    assert _said(labeller.label(flows, inline)) == {10: "benign", 11: "web_attack", 13: "benign"}
    assert labeller.summary().to_json()["known"] == 3


def test_rows_are_matched_by_id_and_flows_without_a_row_are_unknown(flows):
    inline = _inline([99, 13, 10], ["1", "1", "0"], ["x", "Port Scan", None])
    assert _said(Inline(NoConfig()).label(flows, inline)) == {10: "benign", 13: "port_scan"}


def test_dictionary_text_and_a_category_column_of_nulls(flows):
    inline = _inline([10, 11, 12, 13], ["0", "0", "1", "0"], [None] * 4)
    coded = inline.set_column(1, "label", inline["label"].dictionary_encode())
    assert _said(Inline(NoConfig()).label(flows, coded))[12] == "attack"


def test_a_source_without_labels_is_refused(flows):
    with pytest.raises(SourceError, match="carry no labels"):
        Inline(NoConfig()).label(flows, None)


def test_an_empty_batch(flows):
    labeller = Inline(NoConfig())
    assert len(labeller.label(flows.slice(0, 0), _inline([], []))) == 0


def test_conformance():
    part = parts.FlowLabeller(name="inline", summary="The source's own.", make=Inline)
    for check in checks_for(part):
        check(part)
