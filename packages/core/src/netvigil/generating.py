"""`netvigil generate`: a generator fitted on the train part, and what it makes, as files.

The generator works on transformed features. Flows go the way back, transform by transform, to the
columns of a flow table, so that any other command can read them. What features do not say stays
empty: ports, times (the flows have an order and no clock), identifiers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from netvigil import __version__, parts, protocols
from netvigil.addresses import text_keys
from netvigil.config import Experiment
from netvigil.config import Generator as Section
from netvigil.contracts import FlowBatch, FlowFeatures, FlowInfo, FlowTable, ReadReport
from netvigil.contracts.flows import CANONICAL, CATEGORY, FEATURE, TEXT
from netvigil.dataset import labels_path
from netvigil.errors import ConfigError, ContractError, RunError
from netvigil.generators import counts_of, fit_generator
from netvigil.overlays import resolve
from netvigil.phases import Phases
from netvigil.pipeline import Assembly, Chosen, assemble, choose_generator
from netvigil.plugins import Plugins
from netvigil.prepare import Prepared, prepare
from netvigil.protocols import Generated, Undoing
from netvigil.runfolder import fresh
from netvigil.sources import digest, require_source
from netvigil.splits import TRAIN
from netvigil.store import FlowStore
from netvigil.supervise import train_labels

COUNTERS = ("fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes")
MOST = 2.0**53  # where float64 still counts in ones
FLOWS, SNAPSHOTS, RECEIPT, PICTURE = (
    "flows.parquet",
    "snapshots.npz",
    "generated.json",
    "real-and-synthetic.png",
)


def generate(
    experiment: Experiment, plugins: Plugins, *, base: Path, out: Path, phases: Phases
) -> dict[str, Any]:
    """Fit the experiment's generator, and write what it makes to the folder `out`.

    The test part is left alone, and the first of `run.seeds` is used. The folder holds flows with
    their labels, the windows as arrays, a picture of both populations, and a receipt, which is
    returned.

    Raises:
        RunError: `out` exists already.
        ConfigError: A transform that cannot be undone; labels that a generator needs are missing.
    """
    if out.exists():
        msg = "There is something of that name already."
        raise RunError(msg, where=str(out), do="Choose another --to, or remove it.")
    experiment = resolve(experiment, plugins)
    section = experiment.generator or Section()
    experiment = experiment.model_copy(update={"generator": section})
    assembly = assemble(experiment, plugins, base=base)
    chosen = choose_generator(plugins, experiment, assembly.builder, "generator", base=base)
    assert chosen is not None
    _require(chosen, assembly)
    require_source(experiment.flows.source)
    sha256 = digest(experiment.flows.source)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        work = Path(scratch)
        prepared = prepare(experiment, assembly, plugins, work=work, phases=phases, test=False)
        labels = train_labels(prepared) if assembly.labeller is not None else None
        seed = experiment.run.seeds[0]
        generator = fit_generator(prepared, chosen, labels, seed, phases)
        many = section.windows or len(prepared.windows["train"].whole)
        with phases.phase("generate"):
            made = generator.generate(many, condition=section.condition, seed=seed)
        result = fresh(work / "result")
        with phases.phase("write flows", len(made.windows.flow_id)):
            _write(prepared, made, result)
        with phases.phase("draw"):
            _draw(prepared, made, result / PICTURE, seed)
        receipt = {
            "generator": chosen.describe(),
            "source": {"name": experiment.flows.source.name, "sha256": sha256},
            "learnt from": {"flows": prepared.windows["train"].flows, "part": "train"},
            "seed": seed,
            "windows": len(made.windows),
            "flows": len(made.windows.flow_id),
            "classes": {} if made.labels is None else counts_of(made.labels),
            "nodes": _nodes(made),
            "netvigil": __version__,
        }
        (result / RECEIPT).write_text(json.dumps(receipt, indent=2) + "\n", "utf-8")
        result.replace(out)
    return {"written": str(out), **receipt}


def flows_of(made: Generated, prepared: Prepared, texts: Sequence[str] = ()) -> FlowTable:
    """Write generated windows as flows in their order, with the columns that features came from.

    `texts` are addresses that nodes may stand for; a node that is none of them has no address.

    Raises:
        ConfigError: A transform that cannot be undone.
    """
    windows = made.windows
    features = FlowFeatures(np.array(windows.flow_x), windows.feature_names)
    for transform in reversed(prepared.transforms):
        features = _undoing(type(transform).__name__, transform).undo(features)
    many, contract = len(windows.flow_id), prepared.contract
    columns: dict[str, pa.Array] = {"flow_id": pa.array(np.arange(many))}
    for place, name in enumerate(features.names):
        if (
            name in contract.numeric
            and (made_of := _number(name, features.x[:, place])) is not None
        ):
            columns[name] = made_of
    for name, values in features.categories.items():
        columns[name] = _category(name, values)
    if windows.has_nodes:
        src, dst = windows.node_rows()
        columns["src_ip"] = _addresses(windows.node_key[src], texts)
        columns["dst_ip"] = _addresses(windows.node_key[dst], texts)
    for name in contract.numeric:  # a transform may have left some out
        if FEATURE.match(name) and name not in columns:
            columns[name] = pa.nulls(many, pa.float32())
    own = [name for name in columns if FEATURE.match(name) or CATEGORY.match(name)]
    whole = {name: columns.get(name, pa.nulls(many, kind)) for name, kind in CANONICAL.items()}
    whole |= {name: columns[name] for name in own}
    was = prepared.store.info
    info = FlowInfo("synthetic", "row-order", was.bytes_layer, was.direction)
    return FlowTable(pa.table(whole), info)


def _require(chosen: Chosen, assembly: Assembly) -> None:
    part = chosen.part
    assert isinstance(part, parts.Generator)
    if part.supervised and assembly.labeller is None:
        msg = f"Generator '{part.name}' learns classes, but nothing labels the flows."
        raise ConfigError(msg, where="[generator]", do="Add a [labels] section.")
    for transform in assembly.transforms:
        _undoing(transform.name, transform.make())


def _undoing(name: str, transform: protocols.FlowTransform) -> Undoing:
    if not isinstance(transform, Undoing):
        msg = f"Transform '{name}' cannot be undone, so what is generated could not be written."
        do = "Leave it out; the default transforms can be undone."
        raise ConfigError(msg, where="features.transforms", do=do)
    return transform


def _number(name: str, values: NDArray[np.float32]) -> pa.Array | None:
    """Return a column of the flow table, or None for what is no column of it (times)."""
    if FEATURE.match(name):
        return pa.array(values, pa.float32())
    if name == "duration_s":
        return pa.array(np.maximum(values.astype(np.float64), 0))
    if name in COUNTERS:
        whole = np.clip(np.rint(values.astype(np.float64)), 0, MOST)
        return pa.array(whole.astype(np.uint64))
    if name == "protocol":
        return pa.array(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    return None


def _category(name: str, values: pa.DictionaryArray) -> pa.Array:
    if name == "protocol":
        return values.cast(pa.string()).cast(pa.uint8())
    return values.cast(TEXT)


def _addresses(keys: NDArray[np.uint64], texts: Sequence[str]) -> pa.DictionaryArray:
    """Return the address of each key, null where no text has it, dictionary [keys]."""
    known = pa.array(texts, pa.string())
    of = text_keys(known)
    order = np.argsort(of)
    place = np.minimum(np.searchsorted(of, keys, sorter=order), max(len(of) - 1, 0))
    rows = order[place] if len(of) else np.zeros(len(keys), np.int64)
    found = of[rows] == keys if len(of) else np.zeros(len(keys), np.bool_)
    codes = pa.array(rows.astype(np.int32), mask=~found)
    return pa.DictionaryArray.from_arrays(codes, known)


def _write(prepared: Prepared, made: Generated, folder: Path) -> None:
    """Write flows, their labels beside them, and the windows as arrays that hold no objects."""
    path = folder / FLOWS
    flows = flows_of(made, prepared, _seen(prepared))
    FlowStore.write(iter([FlowBatch(flows, ReadReport(read=len(flows)))]), path)
    if made.labels is not None:
        if not np.array_equal(made.labels.table["flow_id"].to_numpy(), made.windows.flow_id):
            msg = "A generator's labels are not in the order of its flows."
            raise ContractError(msg)
        ids = pa.array(np.arange(len(flows)))
        table = made.labels.table.set_column(0, "flow_id", ids)
        pq.write_table(table, labels_path(path), compression="lz4")
    windows = made.windows
    arrays = {
        name: value
        for name in ("flow_ptr", "flow_src", "flow_dst", "flow_x", "node_ptr", "node_key", "node_x")
        if (value := getattr(windows, name)) is not None
    }
    if made.node_class is not None:
        arrays["node_class"] = made.node_class
    np.savez_compressed(folder / SNAPSHOTS, feature_names=np.array(windows.feature_names), **arrays)


def _seen(prepared: Prepared) -> list[str]:
    """Return the addresses of the train part, sorted."""
    if "src_ip" not in prepared.store.schema.names:
        return []
    found: set[str] = set()
    train = prepared.split.role == TRAIN
    for _, flows in prepared.store.select(train, columns=["src_ip", "dst_ip"]):
        for name in ("src_ip", "dst_ip"):
            found.update(pc.unique(flows.table[name]).drop_null().to_pylist())
    return sorted(found)


def _draw(prepared: Prepared, made: Generated, path: Path, seed: int) -> None:
    """Draw flows of the train part and generated ones together, as t-SNE sees their features."""
    from netvigil.report.projections import FEWEST, populations

    real, synthetic = prepared.windows["train"].whole.flow_x, made.windows.flow_x
    if min(len(real), len(synthetic)) < FEWEST:
        return
    figure = populations({"real": np.asarray(real), "synthetic": synthetic}, seed=seed)
    figure.savefig(path, dpi=150)


def _nodes(made: Generated) -> dict[str, int]:
    if made.node_class is None:
        return {}
    names, counts = np.unique(made.node_class, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
