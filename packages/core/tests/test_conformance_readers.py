"""The checks of readers and labellers: sound ones pass, each check catches its fault."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from netvigil import parts
from netvigil.contracts import FlowBatch, FlowInfo, FlowTable, LabelTable, ReadReport
from netvigil.contracts.flows import CANONICAL
from netvigil.errors import ConfigError, SourceError
from netvigil.testing.conformance import (
    RuleBroken,
    check_flow_labeller,
    check_flow_reader,
    checks_for,
)

INFO = FlowInfo(format="pairs")
ROWS = 60


@pytest.fixture
def source(tmp_path):
    """A log of one JSON pair per line, three of them broken."""
    path = tmp_path / "pairs.log"
    lines = [
        json.dumps({"at": i, "from": f"10.0.0.{i % 7}", "bad": i % 5 == 0}) for i in range(ROWS)
    ]
    lines[10] = lines[20] = lines[59] = "{broken"
    path.write_text("#pairs\n" + "\n".join(lines) + "\n")
    return path


class Pairs:
    """Reads the log above."""

    def __init__(self, config):
        self.config = config

    def sniff(self, head):
        return "The first line is '#pairs'." if head.head.startswith(b"#pairs") else None

    def read(self, source, *, batch_rows):
        try:
            first, *lines = source.read_text("utf-8").splitlines()
        except (UnicodeDecodeError, ValueError) as error:
            raise SourceError("Not a log of pairs.", where=f"{source}: {error}") from error
        if first != "#pairs":
            raise SourceError("Not a log of pairs.", where=str(source))
        for begin in range(0, len(lines), batch_rows):
            yield self.batch(lines[begin : begin + batch_rows], begin)

    def batch(self, lines, begin):
        rows, ids = [], []
        for number, line in enumerate(lines):
            if not line.startswith("{broken"):
                rows.append(json.loads(line))
                ids.append(self.identity(begin, number))
        rejected = len(lines) - len(rows)
        report = ReadReport(
            read=len(lines), rejected=rejected, rejects={"no JSON": rejected} if rejected else {}
        )
        return FlowBatch(FlowTable(self.table(rows, ids), INFO), report, self.inline(rows, ids))

    def identity(self, begin, number):
        return begin + number

    def table(self, rows, ids):
        columns = {name: pa.nulls(len(rows), kind) for name, kind in CANONICAL.items()}
        times = pa.array([1_000_000 * row["at"] for row in rows], pa.int64())
        columns |= {"flow_id": pa.array(ids, pa.int64())}
        columns |= {name: times.view(CANONICAL["start"]) for name in ("start", "end")}
        columns["src_ip"] = pa.array([row["from"] for row in rows], CANONICAL["src_ip"])
        return pa.table(columns)

    def inline(self, rows, ids):
        words = ["attack" if row["bad"] else "benign" for row in rows]
        return pa.table(
            {"flow_id": pa.array(ids, pa.int64()), "label": pa.array(words, pa.string())}
        )


class ClaimsEverything(Pairs):
    def sniff(self, head):
        return "It looks like pairs."


class RecognisesNothing(Pairs):
    def sniff(self, head):
        return None


class NumbersWithinTheBatch(Pairs):
    def identity(self, begin, number):
        return number


class ScalesByBatch(Pairs):
    def table(self, rows, ids):
        table = super().table(rows, ids)
        share = np.linspace(0, 1, len(ids), dtype=np.float32)
        return table.append_column("x_share", pa.array(share))


class ChangesItsMind(Pairs):
    calls = 0

    def read(self, source, *, batch_rows):
        type(self).calls += 1
        yield from super().read(source, batch_rows=batch_rows)

    def identity(self, begin, number):
        return begin + number + (type(self).calls % 2)


class CountsDownwards(Pairs):
    def identity(self, begin, number):
        return 1_000 - begin + number


class CountsFromBelow(Pairs):
    def identity(self, begin, number):
        return begin + number - 1


class HidesRejects(Pairs):
    def batch(self, lines, begin):
        whole = super().batch(lines, begin)
        return replace(whole, report=ReadReport(read=len(lines)))


class GivesNoReasons(Pairs):
    def batch(self, lines, begin):
        whole = super().batch(lines, begin)
        return replace(whole, report=replace(whole.report, rejects={}))


class TypesByBatch(Pairs):
    """Leaves out a column where a batch happens to be small."""

    def read(self, source, *, batch_rows):
        for number, whole in enumerate(super().read(source, batch_rows=20)):
            if number == 1:
                extra = pa.array(np.zeros(len(whole.flows), np.float32))
                table = whole.flows.table.append_column("x_extra", extra)
                whole = replace(whole, flows=FlowTable(table, INFO))  # noqa: PLW2901
            yield whole


class LabelsStrangers(Pairs):
    def inline(self, rows, ids):
        return super().inline(rows, [i + 1_000 for i in ids])


class TracebackOnNoise(Pairs):
    def read(self, source, *, batch_rows):
        lines = source.read_text("utf-8").splitlines()
        if lines[0] != "#pairs":
            raise SourceError("Not a log of pairs.")
        yield self.batch(lines[1:], 0)


BROKEN_READERS = [
    (ClaimsEverything, "recognises-its-dialect"),
    (RecognisesNothing, "recognises-its-dialect"),
    (NumbersWithinTheBatch, "chunk-size-changes-nothing"),
    (ScalesByBatch, "chunk-size-changes-nothing"),
    (ChangesItsMind, "twice-gives-the-same"),
    (CountsDownwards, "ids-count-upwards"),
    (CountsFromBelow, "ids-count-upwards"),
    (HidesRejects, "every-row-is-accounted-for"),
    (GivesNoReasons, "every-row-is-accounted-for"),
    (TypesByBatch, "batches-agree"),
    (LabelsStrangers, "batches-agree"),
    (TracebackOnNoise, "damage-is-told-in-words"),
]


def reader_of(made):
    return parts.FlowReader(name="pairs", summary="A fake reader.", make=made)


def test_sound_reader_passes(source):
    check_flow_reader(reader_of(Pairs), source)


@pytest.mark.parametrize(
    ("made", "name"), BROKEN_READERS, ids=lambda v: getattr(v, "__name__", str(v))
)
def test_fault_of_a_reader_is_caught(made, name, source):
    part = reader_of(made)
    check = next(check for check in checks_for(part, source=source) if check.id == name)
    with pytest.raises(RuleBroken, match="flow reader 'pairs'"):
        check(part)


def test_every_check_of_readers_has_a_fault_it_catches():
    ids = {check.id for check in checks_for(reader_of(Pairs))}
    assert ids == {name for _, name in BROKEN_READERS}


def test_reader_checks_ask_for_a_source():
    part = reader_of(Pairs)
    with pytest.raises(ConfigError, match="source="):
        checks_for(part)[0](part)


class OwnText:
    """Labels by the source's text."""

    def __init__(self, config):
        self.config = config

    def label(self, flows, inline):
        rows = pc.index_in(pa.array(flows.flow_id), inline["flow_id"].combine_chunks())
        text = inline.take(rows)
        truth = np.array(pc.equal(text["label"], "attack").to_pylist(), np.bool_)
        return LabelTable.of(flows.flow_id, truth, text["attack"])


class LabelsOthers(OwnText):
    def label(self, flows, inline):
        whole = super().label(flows, inline)
        table = whole.table.set_column(0, "flow_id", pa.array(flows.flow_id + 7))
        return LabelTable(table)


class NamesBenign(OwnText):
    def label(self, flows, inline):
        table = super().label(flows, inline).table
        words = pa.array(["odd"] * len(flows), pa.string()).dictionary_encode()
        return LabelTable(table.set_column(2, "attack", words))


class CountsInBatch(OwnText):
    def label(self, flows, inline):
        truth = np.arange(len(flows)) % 2 == 0
        return LabelTable.of(flows.flow_id, truth, pa.array(["x"] * len(flows), pa.string()))


class AlwaysOne(OwnText):
    def label(self, flows, inline):
        if not len(flows):
            return LabelTable.of(np.zeros(1, np.int64), np.ones(1, np.bool_), pa.array(["x"]))
        return super().label(flows, inline)


BROKEN_LABELLERS = [
    (LabelsOthers, "labels-only-its-flows"),
    (NamesBenign, "labels-only-its-flows"),
    (CountsInBatch, "batches-do-not-matter"),
    (AlwaysOne, "no-flows-no-labels"),
]


def labeller_of(made):
    return parts.FlowLabeller(name="words", summary="A fake labeller.", make=made)


def test_sound_labeller_passes():
    check_flow_labeller(labeller_of(OwnText))


@pytest.mark.parametrize(
    ("made", "name"), BROKEN_LABELLERS, ids=lambda v: getattr(v, "__name__", str(v))
)
def test_fault_of_a_labeller_is_caught(made, name):
    part = labeller_of(made)
    check = next(check for check in checks_for(part) if check.id == name)
    with pytest.raises(RuleBroken, match="flow labeller 'words'"):
        check(part)


def test_every_check_of_labellers_has_a_fault_it_catches():
    ids = {check.id for check in checks_for(labeller_of(OwnText))}
    assert ids == {name for _, name in BROKEN_LABELLERS}
