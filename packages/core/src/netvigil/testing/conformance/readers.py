"""What a flow reader owes: the same flows and ids however it is asked, every row counted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from netvigil import parts
from netvigil.contracts import FlowBatch, ReadReport
from netvigil.errors import ConfigError, NetvigilError
from netvigil.protocols import SourceHead
from netvigil.testing.conformance.rules import Subject, checks

HEAD = 65_536  # bytes a reader may see to recognise its dialect
WHOLE = 10_000_000  # rows: more than any source given to a check


def recognises_its_dialect(subject: Subject) -> None:
    """`sniff` says in words why it knows the source, and None about noise and nothing."""
    reader, source = subject.make(), _source(subject)
    words = reader.sniff(head_of(source))
    subject.require(
        isinstance(words, str) and words.strip(),
        "`sniff` says why it recognises its source.",
        found=repr(words),
    )
    noise = np.random.default_rng(61).bytes(4_096)
    for what, head in {
        "noise": noise,
        "an empty file": b"",
        "prose": b"Dear Sir or Madam,\n" * 50,
    }.items():
        answer = reader.sniff(SourceHead(Path("unknown.bin"), head))
        subject.require(answer is None, f"`sniff` does not claim {what}.", found=repr(answer))


def chunk_size_changes_nothing(subject: Subject) -> None:
    """`batch_rows` changes neither the flows, nor their ids, nor the account."""
    whole = _read(subject, WHOLE)
    rows = sum(len(b.flows) for b in whole)
    for size in (max(rows // 3 + 1, 1), 17 if rows <= 2_000 else rows // 7 + 1):
        _require_same(subject, whole, _read(subject, size), f"With batch_rows = {size}")


def twice_gives_the_same(subject: Subject) -> None:
    """Reading again gives the same flows with the same ids."""
    _require_same(subject, _read(subject, WHOLE), _read(subject, WHOLE), "At the second reading")


def ids_count_upwards(subject: Subject) -> None:
    """Ids are unique over all batches, count upwards from batch to batch, and are not negative."""
    batches = [b for b in _read(subject, _third(subject)) if len(b.flows)]
    ids = np.concatenate([b.flows.flow_id for b in batches] or [np.empty(0, np.int64)])
    subject.require(len(np.unique(ids)) == len(ids), "no id is given twice, in whatever batch.")
    subject.require((ids >= 0).all(), "`flow_id` counts the rows of the source from 0.")
    ranges = [(int(b.flows.flow_id.min()), int(b.flows.flow_id.max())) for b in batches]
    rising = all(early[1] < late[0] for early, late in pairwise(ranges))
    subject.require(
        rising,
        "`flow_id` counts upwards from batch to batch.",
        found=f"The batches' ids span {ranges}.",
        mend="Number the rows over all files and batches, before anything is sorted or rejected.",
    )


def every_row_is_accounted_for(subject: Subject) -> None:
    """Rows read are the flows plus the rejected ones; reasons add up."""
    batches = _read(subject, 1_000)
    report, flows = _account(batches), sum(len(b.flows) for b in batches)
    subject.require(
        report.read == flows + report.rejected,
        "every row read is a flow or is counted as rejected.",
        found=f"{report.read} read, {flows} flows, {report.rejected} rejected.",
    )
    subject.require(
        sum(report.rejects.values()) == report.rejected,
        "the reasons of rejected rows add up.",
        found=f"{dict(report.rejects)} for {report.rejected}.",
    )
    subject.require(
        report.repaired <= flows,
        "only accepted rows are counted as repaired.",
        found=f"{report.repaired}",
    )


def batches_agree(subject: Subject) -> None:
    """All batches have one schema and FlowInfo; label text belongs to flows of its batch."""
    batches = _read(subject, 1_000)
    first = batches[0].flows
    for batch in batches[1:]:
        subject.require(
            batch.flows.info == first.info and batch.flows.table.schema == first.table.schema,
            "all batches have the same columns and the same FlowInfo.",
        )
    for batch in batches:
        if batch.inline is None:
            continue
        subject.require("label" in batch.inline.column_names, "inline text has a column `label`.")
        stray = ~np.isin(batch.inline["flow_id"].to_numpy(), batch.flows.flow_id)
        subject.require(
            not stray.any(),
            "inline text belongs to flows of its batch.",
            found=f"{stray.sum()} stray.",
        )


def damage_is_told_in_words(subject: Subject) -> None:
    """Nothing and noise are refused by a NetvigilError, or rejected and counted row by row."""
    noise = np.random.default_rng(62).bytes(3_000)
    with TemporaryDirectory() as folder:
        for words, content in {
            "an empty file": b"",
            "noise": noise,
            "one line": b"no header\n",
        }.items():
            path = Path(folder) / f"damaged{_source(subject).suffix}"
            path.write_bytes(content)
            try:
                batches = list(subject.make().read(path, batch_rows=1_000))
            except NetvigilError:
                continue
            except Exception as error:  # noqa: BLE001 - a stranger's exception is the finding
                fine, found = False, f"{type(error).__name__}: {error}"
            else:
                flows = sum(len(b.flows) for b in batches)
                fine, found = flows == 0, f"It yields {flows} flows."
            subject.require(
                fine,
                f"{words} gives a SourceError or an account without flows.",
                found=found,
                mend="Raise SourceError with the path and what is wrong with it.",
            )


def head_of(source: Path) -> SourceHead:
    """Return what a reader may see of a source to recognise it."""
    if source.is_dir():
        return SourceHead(source, b"", tuple(sorted(p.name for p in source.iterdir())))
    raw = source.read_bytes()[: 4 * HEAD]
    if raw[:2] == b"\x1f\x8b":
        import zlib

        raw = zlib.decompressobj(wbits=31).decompress(raw, HEAD)
    return SourceHead(source, raw[:HEAD])


def _source(subject: Subject) -> Path:
    if subject.given.source is None:
        msg = f"The checks of {subject.name} need a source in its dialect."
        raise ConfigError(msg, do="Pass `source=` to the check: a small file or folder.")
    return subject.given.source


def _read(subject: Subject, rows: int) -> list[FlowBatch]:
    batches = list(subject.make().read(_source(subject), batch_rows=rows))
    subject.require(
        batches and all(isinstance(b, FlowBatch) for b in batches), "`read` yields FlowBatches."
    )
    return batches


def _third(subject: Subject) -> int:
    """Return a batch size that cuts the source into a few batches."""
    return sum(len(b.flows) for b in _read(subject, WHOLE)) // 3 + 1


def _account(batches: list[FlowBatch]) -> ReadReport:
    total = ReadReport()
    for batch in batches:
        total += batch.report
    return total


def _content(batches: list[FlowBatch]) -> tuple[Any, Any]:
    """Return all flows, by id, and all inline text, with dictionaries spelt out."""
    flows = pa.concat_tables([_spelt(b.flows.table) for b in batches]).sort_by("flow_id")
    texts = [_spelt(b.inline) for b in batches if b.inline is not None]
    return flows, pa.concat_tables(texts).sort_by("flow_id") if texts else None


def _spelt(table: pa.Table) -> pa.Table:
    columns = [c.cast(pa.string()) if pa.types.is_dictionary(c.type) else c for c in table.columns]
    return pa.table(columns, names=table.column_names)


def _require_same(
    subject: Subject, left: list[FlowBatch], right: list[FlowBatch], when: str
) -> None:
    (flows, text), (other, other_text) = _content(left), _content(right)
    differ = [n for n in flows.column_names if n not in other.column_names or flows[n] != other[n]]
    subject.require(
        not differ and flows.num_rows == other.num_rows,
        "the content of a source does not depend on how it is read.",
        found=f"{when} there are {other.num_rows} flows instead of {flows.num_rows}. "
        f"Columns that differ: {', '.join(differ)}.",
        mend="Count rows over all batches; decide nothing from one batch (types, repairs, "
        "dictionaries).",
    )
    subject.require(
        text == other_text, "inline label text does not depend on how it is read.", found=when
    )
    accounts = [
        (a.read, a.repaired, a.rejected, dict(a.rejects)) for a in map(_account, (left, right))
    ]
    subject.require(
        accounts[0] == accounts[1],
        "the account does not depend on how it is read.",
        found=str(accounts),
    )


CHECKS = checks(
    parts.FlowReader,
    recognises_its_dialect,
    chunk_size_changes_nothing,
    twice_gives_the_same,
    ids_count_upwards,
    every_row_is_accounted_for,
    batches_agree,
    damage_is_told_in_words,
)
