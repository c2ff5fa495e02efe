"""The checks of alert exporters: a sound one passes all, each check catches the fault it is for."""

from __future__ import annotations

import json
import uuid

import pytest

from netvigil import parts
from netvigil.exporters import Jsonl
from netvigil.testing.conformance import RuleBroken, check_alert_exporter, checks_for


class Lines:
    """One JSON object per alert."""

    suffix = ".jsonl"

    def __init__(self, config):
        self.config = config

    def export(self, alerts, target):
        rows = [row for table in alerts for row in table.table.to_pylist()]
        target.write_text("".join(self.line(row) + "\n" for row in rows), "utf-8")
        return len(rows)

    def line(self, row):
        return json.dumps({name: str(value) for name, value in row.items()})


class CountsTables(Lines):
    def export(self, alerts, target):
        tables = list(alerts)
        super().export(tables, target)
        return len(tables)


class NamesNobody(Lines):
    def line(self, row):
        return json.dumps({"flow": row["flow_id"], "score": row["score"]})


class LeavesRubbish(Lines):
    def export(self, alerts, target):
        target.with_name("alerts.tmp").write_text("")
        return super().export(alerts, target)


class SkipsTheFile(Lines):
    def export(self, alerts, target):
        tables = [table for table in alerts if len(table)]
        return super().export(tables, target) if tables else 0


class StampsTheLine(Lines):
    def line(self, row):
        return json.dumps({"uuid": str(uuid.uuid4()), "from": row["src_ip"]})


class WritesRawText(Lines):
    def line(self, row):
        return f"{row['src_ip']} {row['dst_ip']} {'; '.join(row['reasons'])}"


class LetsLinesBeForged(Lines):
    def line(self, row):
        text = "; ".join(row["reasons"]).replace("\x1b", "").replace("\u202e", "")
        return f"{row['src_ip']} {row['dst_ip']} {text}"


class SuffixWithoutDot(Lines):
    suffix = "jsonl"


BROKEN = [
    (CountsTables, "writes-every-alert"),
    (NamesNobody, "writes-every-alert"),
    (LeavesRubbish, "writes-every-alert"),
    (SkipsTheFile, "no-alerts-are-fine"),
    (StampsTheLine, "twice-gives-equal-bytes"),
    (WritesRawText, "hostile-text-is-tamed"),
    (LetsLinesBeForged, "hostile-text-is-tamed"),
    (SuffixWithoutDot, "suffix-is-a-suffix"),
]


def part_of(made):
    return parts.AlertExporter(name="fake", summary="A fake exporter.", make=made)


def test_sound_exporters_pass():
    check_alert_exporter(part_of(Lines))
    check_alert_exporter(part_of(lambda _: Jsonl()))


@pytest.mark.parametrize(("made", "name"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_fault_is_caught(made, name):
    part = part_of(made)
    check = next(check for check in checks_for(part) if check.id == name)
    with pytest.raises(RuleBroken, match="alert exporter 'fake'"):
        check(part)


def test_every_check_has_a_fault_it_catches():
    assert {check.id for check in checks_for(part_of(Lines))} == {name for _, name in BROKEN}
