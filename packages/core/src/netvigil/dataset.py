"""What `netvigil data` does: inspect, convert, label, join, audit and plant on one source."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from netvigil import parts, planting, protocols
from netvigil.config import Choice
from netvigil.contracts import FlowBatch, FlowTable, LabelTable, ReadReport
from netvigil.errors import ConfigError
from netvigil.features import shortcut
from netvigil.overrides import toml_value
from netvigil.phases import Phases
from netvigil.pipeline import choose
from netvigil.plugins import Plugins, load_plugins
from netvigil.sources import Reading, choose_reader, open_source
from netvigil.splits import iso
from netvigil.store import FlowStore, inline_path
from netvigil.truth import (
    ATTACK,
    BENIGN,
    StoredLabels,
    Truth,
    label_store,
    read_labels,
    write_labels,
)

if TYPE_CHECKING:
    from netvigil.audit import Audit


@dataclass(frozen=True)
class Opened:
    """A source read into a store, for as long as the command needs it."""

    source: Path
    reading: Reading
    store: FlowStore
    plugins: Plugins
    work: Path


@contextmanager
def opened(source: Path, reader: str, settings: Sequence[str], phases: Phases) -> Iterator[Opened]:
    """Read a source into a temporary store; one that is a store already is used where it lies."""
    plugins = load_plugins()
    reading = choose_reader(source, plugins, name=reader, options=key_values(settings))
    with TemporaryDirectory(prefix="netvigil-") as scratch:
        work = Path(scratch)
        store = open_source(source, reading, work / "flows.parquet", phases)
        yield Opened(source, reading, store, plugins, work)


def inspect(source: Opened, labels: Path | None) -> dict[str, Any]:
    """Say what a source is, as JSON values."""
    store = source.store
    found: dict[str, Any] = {
        "source": str(source.source),
        "format": store.info.format,
        "why": source.reading.reason,
        "flows": len(store),
        **store.report.facts(),
        "time basis": store.info.time_basis,
        "byte layer": store.info.bytes_layer,
        "direction": store.info.direction,
    }
    seen = _survey(store)
    if seen.first is not None and seen.last is not None:
        found |= {"first start": iso(seen.first), "last start": iso(seen.last)}
        found["longest flow s"] = seen.longest / 1e6
    found["hosts"] = len(seen.hosts)
    found["columns"] = [_column(field, seen.missing[field.name]) for field in store.schema]
    path = labels or labels_path(source.source)
    found["labels"] = _classes(read_labels(path), len(store)) if path.exists() else {}
    return found


def convert(
    source: Path,
    to: Path,
    phases: Phases,
    *,
    reader: str = "auto",
    settings: Sequence[str] = (),
    labeller: Choice | None = None,
) -> dict[str, Any]:
    """Write a source as a sorted Parquet file, and its labels beside it; both appear or neither."""
    if to.suffix != ".parquet":
        msg = "Flows are converted to Parquet."
        raise ConfigError(msg, where=f"--to {to}", do="Give a name that ends in .parquet.")
    plugins = load_plugins()
    reading = choose_reader(source, plugins, name=reader, options=key_values(settings))
    to.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as scratch:
        made = Path(scratch) / to.name
        store = open_source(source, reading, made, phases)
        if store.path != made:
            shutil.copyfile(store.path, made)
            if inline_path(store.path).exists():
                shutil.copyfile(inline_path(store.path), inline_path(made))
        done: dict[str, Any] = {
            "written": str(to),
            "format": f"{store.info.format} ({reading.reason})",
            "flows": len(store),
            **store.report.facts(),
        }
        if labeller is not None:
            work = Opened(source, reading, store, plugins, Path(scratch))
            done |= label(work, labeller, labels_path(made), phases)
            labels_path(made).replace(labels_path(to))
            done["labels written"] = str(labels_path(to))
        if inline_path(made).exists():
            inline_path(made).replace(inline_path(to))
        made.replace(to)
    return done


def label(source: Opened, labeller: Choice, to: Path, phases: Phases) -> dict[str, Any]:
    """Label a source's flows and write the labels; the file appears whole or not at all."""
    truth = truth_of(source, labeller, phases)
    partial = to.with_name(f".{to.name}.partial")
    try:
        write_labels(truth, source.store, partial)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
    return {"labels written": str(to), "labels": class_counts(truth)}


def truth_of(source: Opened, labeller: Choice, phases: Phases) -> Truth:
    """Label a source's flows."""
    chosen = choose(source.plugins, parts.FlowLabeller, labeller, section="labels", base=Path.cwd())
    with phases.phase("label", len(source.store)) as advance:
        return label_store(source.store, chosen.make(), progress=advance)


def audit(source: Opened, labeller: Choice | None, phases: Phases) -> Audit:
    """Look for what makes results on a source untrustworthy."""
    from netvigil.audit import audit as examine

    truth = truth_of(source, labeller, phases) if labeller else None
    labels = None if truth is None else truth.table(source.store)
    with phases.phase("audit", len(source.store)):
        return examine(source.store.batches, labels)


MOST_PLANTED = 1_000_000  # flows: about 1 GB of 50 features and their copy


def plant(
    source: Opened,
    labeller: Choice | None,
    to: Path,
    phases: Phases,
    *,
    first: float,
    from_share: float,
    share: float,
    kinds: tuple[planting.Kind, ...],
    seed: int,
) -> dict[str, Any]:
    """Write a copy of a source's first flows with planted anomalies, and the truth beside it."""
    if to.suffix != ".parquet":
        msg = "Flows are written as Parquet."
        raise ConfigError(msg, where=f"--to {to}", do="Give a name that ends in .parquet.")
    keep = np.arange(len(source.store)) < int(first * len(source.store))
    taken_out = 0
    if labeller is not None:
        attack = truth_of(source, labeller, phases).state == ATTACK
        taken_out = int((keep & attack).sum())
        keep &= ~attack
    if not 0 < keep.sum() <= MOST_PLANTED:
        msg = f"{keep.sum():,} flows would be copied; it can be 1 to {MOST_PLANTED:,}."
        raise ConfigError(msg, where=f"--first {first}", do="Change --first.")
    with phases.phase("plant", int(keep.sum())) as advance:
        pieces = [flows.table for _, flows in source.store.select(keep)]
        flows = FlowTable(pa.concat_tables(pieces), source.store.info)
        made = planting.plant(flows, from_share=from_share, share=share, kinds=kinds, seed=seed)
        advance(len(flows))
    to.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as scratch:
        path = Path(scratch) / to.name
        FlowStore.write(iter([FlowBatch(made.flows, ReadReport(read=len(flows)))]), path)
        pq.write_table(made.labels.table, labels_path(path), compression="lz4")
        labels_path(path).replace(labels_path(to))
        path.replace(to)
    return {
        "written": str(to),
        "labels written": str(labels_path(to)),
        "flows": len(flows),
        "labelled attacks left out": taken_out,
        "planted": dict(made.counts),
        "could not be planted": made.given_up,
    }


def labeller_choice(name: str | None, truth: Path | None, settings: Sequence[str]) -> Choice | None:
    """Turn the labeller options of a command into a choice, or None where none is named."""
    if name is None:
        if truth is not None or settings:
            msg = "--truth and --labeller-set need --labeller."
            raise ConfigError(msg, do="Add --labeller events, ground-truth or table.")
        return None
    options = key_values(settings)
    if truth is not None:
        options["truth"] = str(truth.absolute())
    return Choice(name=name, options=options)


def key_values(settings: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` texts; values are TOML, anything else is taken as text."""
    values: dict[str, Any] = {}
    for text in settings:
        key, equals, raw = text.partition("=")
        if not equals or not key.strip():
            msg = f"'{text}' is not a setting."
            raise ConfigError(msg, do="Write key=value.")
        values[key.strip()] = toml_value(raw)
    return values


def labels_path(source: Path) -> Path:
    """Return where a source's labels lie by default: `w.parquet` -> `w.labels.parquet`."""
    return source.with_name(f"{source.name.split('.')[0]}.labels.parquet")


@dataclass
class _Survey:
    """What one walk through the flows finds; times in microseconds."""

    hosts: set[str] = field(default_factory=set)
    missing: Counter[str] = field(default_factory=Counter)
    first: int | None = None
    last: int | None = None
    longest: int = 0


def _survey(store: FlowStore) -> _Survey:
    seen = _Survey()
    for flows in store.batches():
        for column in ("src_ip", "dst_ip"):
            # A dictionary may name hosts that no flow has.
            seen.hosts.update(pc.unique(flows.table[column]).drop_null().to_pylist())
        for name in flows.table.column_names:
            seen.missing[name] += flows.table[name].null_count
        if store.info.time_basis == "clock":
            start, end = flows.start_us, flows.end_us
            seen.first = int(start[0]) if seen.first is None else seen.first
            seen.last = int(start[-1])
            seen.longest = max(seen.longest, int((end - start).max()))
    return seen


def _column(column: pa.Field, missing: int) -> dict[str, Any]:
    name, kind = column.name, str(column.type)
    why = shortcut(name)
    use = "feature" if name.startswith(("x_", "c_")) else ""
    if use and why:
        use = f"denied as a shortcut ({why})"
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        kind = "text"
    elif pa.types.is_timestamp(column.type):
        kind = "time, UTC"
    return {"name": name, "type": kind, "missing": missing, "use": use}


def class_counts(truth: Truth) -> dict[str, int]:
    """Return how many flows each class has."""
    counts = {"benign": int((truth.state == BENIGN).sum())}
    attack, number = np.unique(truth.attack[truth.state == ATTACK], return_counts=True)
    counts |= {truth.names[a]: int(n) for a, n in zip(attack, number, strict=True)}
    counts["unknown"] = int((truth.state == 0).sum())
    return counts


def _classes(labels: Any, flows: int) -> Mapping[str, int]:
    table = labels.table
    names = pc.if_else(table["is_attack"], table["attack"].cast("string"), "benign")
    counted = pc.value_counts(names.fill_null("attack")).to_pylist()
    found = {row["values"]: row["counts"] for row in sorted(counted, key=lambda r: -r["counts"])}
    return found | {"unknown": flows - len(labels)}


def join(
    source: Opened, to: Path, labels: Path | None, phases: Phases, *, timeout_s: float
) -> dict[str, Any]:
    """Join the records of one conversation into one flow; the labels of the source follow."""
    choice = Choice(name="timeout", options={"timeout_s": timeout_s})
    joiner: protocols.FlowJoiner = choose(
        source.plugins, parts.FlowJoiner, choice, section="join", base=Path.cwd()
    ).make()
    path = labels or labels_path(source.source)
    truth = StoredLabels(path) if path.exists() else None
    relabelled: list[pa.Table] = []

    def joined() -> Iterator[FlowBatch]:
        for piece in joiner.join(source.store.batches()):
            if truth is not None:
                relabelled.append(piece.relabel(truth.of(piece.old_id)).table)
            yield FlowBatch(piece.flows, ReadReport(read=len(piece.old_id)))

    to.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as scratch:
        made = Path(scratch) / to.name
        with phases.phase("join", len(source.store)) as advance:
            store = FlowStore.write(joined(), made, progress=advance)
        done: dict[str, Any] = {
            "written": str(to),
            "before": len(source.store),
            "flows": len(store),
        }
        if truth is not None:
            whole = pa.concat_tables(relabelled).unify_dictionaries().combine_chunks()
            pq.write_table(LabelTable(whole).table, labels_path(made), compression="lz4")
            labels_path(made).replace(labels_path(to))
            done["labels written"] = str(labels_path(to))
        made.replace(to)
    return done
