"""`fit`, `run` and `detect`: the pipeline, readable top to bottom.

Flows are read once into a sorted store; labels, split and train filter give each flow its role;
transforms, encoder and scorer (or a classifier, with labels) see the train part, the threshold the
calibration part, and the test part is only scored. Evaluation, the last step of `run`, is the only
place where scores meet labels.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np

from netvigil import learn, protocols, supervise
from netvigil.bundle import load_bundle, save_bundle
from netvigil.classes import Verdicts
from netvigil.config import Experiment
from netvigil.contracts import AlertTable, ReadReport, ScoreTable
from netvigil.cuts import at
from netvigil.errors import BundleError, RunError
from netvigil.evaluation import Receipt
from netvigil.evidence import FOLDER, Evidence
from netvigil.evidence.collect import collect
from netvigil.judge import judge, write_receipt
from netvigil.learn import run_rules
from netvigil.outputs import ScoreFile, alerts_of, errors_at, require_order, score_store
from netvigil.overlays import resolve
from netvigil.phases import Phases
from netvigil.pipeline import Pipeline, assemble
from netvigil.plugins import Plugins
from netvigil.prepare import Prepared, prepare
from netvigil.runfolder import RunFolder, fresh
from netvigil.seeds import MethodRun, SeedResults
from netvigil.sources import choose_reader, digest, open_source, require_source
from netvigil.splits import TEST
from netvigil.store import FlowStore


@dataclass(frozen=True)
class Detection:
    """What `detect` did: how many flows were scored and how many became alerts.

    `moved` is the lowest and the highest cut where it moves; `cut` is the first one then.
    """

    flows: int
    alerts: int
    cut: float
    moved: tuple[float, float] | None
    report: ReadReport
    format: str
    reason: str

    def facts(self) -> dict[str, Any]:
        """Return what a person or a script wants to know of it, by name."""
        return {
            "format": f"{self.format} ({self.reason})",
            "flows": self.flows,
            "alerts": self.alerts,
            "cut": self.cut,
            **({} if self.moved is None else {"cut moved between": self.moved}),
            **self.report.facts(),
        }


def fit(experiment: Experiment, plugins: Plugins, *, base: Path, out: Path, phases: Phases) -> str:
    """Fit a pipeline on the experiment's train and calibration parts; write its bundle to `out`.

    Returns the bundle's digest. The first seed of `run.seeds` is used.
    """
    if out.exists():
        msg = "There is something of that name already."
        raise RunError(msg, where=str(out), do="Choose another --out, or remove it.")
    experiment = resolve(experiment, plugins)
    assembly = assemble(experiment, plugins, base=base)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        work = Path(scratch)
        prepared = prepare(experiment, assembly, plugins, work=work, phases=phases, test=False)
        pipeline = _way(prepared).fit_pipeline(prepared, experiment.run.seeds[0], phases)
        made = save_bundle(pipeline, fresh(work / "bundle"), experiment=_plain(experiment))
        (work / "bundle").replace(out)
    return made


def run(
    experiment: Experiment,
    plugins: Plugins,
    *,
    base: Path,
    out: Path,
    phases: Phases,
    resume: bool = False,
) -> Receipt:
    """Fit, score and judge the experiment over all its seeds; write a run folder.

    Raises:
        RunError: `out` exists, or there is nothing (or something else) to resume.
    """
    experiment = resolve(experiment, plugins)
    assembly = assemble(experiment, plugins, base=base)
    sources = experiment.flows.sources().values()
    for source in sources:
        require_source(source)
    sha256 = [digest(source) for source in sources]
    folder = RunFolder(out)
    folder.begin({"experiment": _plain(experiment), "source": " ".join(sha256)}, resume=resume)
    phases.log = folder.partial / "log.jsonl"
    prepared = prepare(experiment, assembly, plugins, work=folder.work, phases=phases)
    results = list(_all_seeds(prepared, folder, phases))
    pipeline = _write_scores_and_alerts(prepared, _own(results), folder, plugins)
    with phases.phase("gather evidence"):
        _write_evidence(collect(prepared, results, pipeline), folder)
    with phases.phase("evaluate"):
        receipt = judge(prepared, results, phases, sha256=sha256)
    write_receipt(receipt, folder)
    folder.finish()
    phases.log = None  # the log lies in a folder of another name now, and it is whole
    return receipt


def detect(
    bundle: Path,
    source: Path,
    plugins: Plugins,
    *,
    out: Path,
    phases: Phases,
    reader: str = "auto",
) -> Detection:
    """Score every flow of a source with a bundle; write scores and alerts to the folder `out`.

    Memory is bounded by the largest batch of windows.

    Raises:
        BundleError: The bundle is damaged, or the source lacks what it needs; says what.
    """
    pipeline, made = load_bundle(bundle, plugins)
    if out.exists():
        msg = "There is something of that name already."
        raise RunError(msg, where=str(out), do="Choose another --out, or remove it.")
    reading = choose_reader(source, plugins, name=reader, fitted=pipeline.reader)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        work = Path(scratch)
        store = open_source(source, reading, work / "flows.parquet", phases)
        require_fit(pipeline, store)
        result = fresh(work / "result")
        exporter: protocols.AlertExporter = pipeline.assembly.exporter.make()
        with phases.phase("detect", len(store)) as advance:
            path, cut = result / "scores.parquet", pipeline.threshold.cut_
            supervised = pipeline.assembly.classifier is not None
            moving = isinstance(pipeline.threshold, protocols.MovingCut)
            with ScoreFile(path, cut=cut, bundle=made, moving=moving, classes=supervised) as scores:
                alerts = exporter.export(
                    score_store(pipeline, store, scores, made, advance),
                    result / f"alerts{exporter.suffix}",
                )
        result.replace(out)
    return Detection(
        flows=scores.flows,
        alerts=alerts,
        cut=pipeline.threshold.cut_,
        moved=scores.range,
        report=store.report,
        format=store.info.format,
        reason=reading.reason,
    )


def require_fit(pipeline: Pipeline, store: FlowStore) -> None:
    """Refuse a source that lacks what the bundle needs, with the list."""
    missing = pipeline.contract.missing_from(store.schema.names)
    if missing:
        what = (
            f"The source lacks {len(missing)} features that the bundle needs: {', '.join(missing)}."
        )
        where = f"bundle made of '{pipeline.info.format}', source read as '{store.info.format}'"
        raise BundleError(what, where=where, do="Fit on a source of the same kind.")
    if pipeline.info.bytes_layer != store.info.bytes_layer:
        what = (
            f"The bundle counts {pipeline.info.bytes_layer} bytes, "
            f"the source {store.info.bytes_layer} bytes."
        )
        raise BundleError(
            what, do="Fit on a source that counts the same; the numbers do not compare."
        )
    pipeline.builder.check(next(store.batches(rows=1)))


def _way(prepared: Prepared) -> ModuleType:
    """Return the module that fits and scores: with labels for a classifier, else without."""
    return learn if prepared.assembly.classifier is None else supervise


def _all_seeds(prepared: Prepared, folder: RunFolder, phases: Phases) -> Iterator[SeedResults]:
    """Yield the rules' results, then each seed's, taking finished ones from an earlier attempt."""
    seeds = prepared.experiment.run.seeds
    done = folder.partial / "work" / "seeds"
    done.mkdir(parents=True, exist_ok=True)

    def save(pipeline: Pipeline) -> None:
        bundle = fresh(folder.work / "bundle")
        save_bundle(pipeline, bundle, experiment=_plain(prepared.experiment))
        shutil.rmtree(folder.partial / "bundle", ignore_errors=True)
        bundle.replace(folder.partial / "bundle")

    def job(seed: int) -> SeedResults:
        path = done / f"{seed}.npz"
        if not path.exists():
            _way(prepared).run_seed(
                prepared,
                seed,
                phases,
                save=save if seed == seeds[0] else None,
                checkpoints=folder.work / "checkpoints" / str(seed),
            ).save(path)
        return SeedResults.load(path)

    yield run_rules(prepared, phases)
    chosen = prepared.assembly.executor
    assert chosen is not None
    executor: protocols.Executor = chosen.make()
    yield from executor.map(job, seeds)


def _write_scores_and_alerts(
    prepared: Prepared, own: MethodRun, folder: RunFolder, plugins: Plugins
) -> Pipeline:
    """Write the test part's scores and alerts: the own scorer with the first seed, as bundled.

    Returns the bundled pipeline, loaded.
    """
    pipeline, made = load_bundle(folder.partial / "bundle", plugins)
    test = prepared.windows["test"].whole
    exporter: protocols.AlertExporter = prepared.assembly.exporter.make()
    names = ("scores.parquet", f"alerts{exporter.suffix}")
    starts = np.repeat(test.window_start, np.diff(test.flow_ptr))
    verdict = None if own.share is None else Verdicts.of(own.classes, own.share)
    path, moving = folder.work / names[0], own.cuts is not None
    first, cuts = pipeline.threshold.cut_, own.test_cuts
    with ScoreFile(
        path, cut=first, bundle=made, moving=moving, classes=verdict is not None
    ) as scores:
        table = ScoreTable(np.asarray(test.flow_id), own.test, starts)
        scores.add(table, cuts, verdict=verdict)

    def alerts() -> Iterator[AlertTable]:
        offset = 0
        inside = prepared.split.role == TEST
        for _, flows in prepared.store.select(inside, columns=pipeline.columns()):
            here = slice(offset, offset + len(flows))
            require_order(flows.flow_id, test.flow_id[here])
            cut = at(cuts, here)
            yield alerts_of(
                pipeline,
                flows,
                own.test[here],
                test.flow_x[here],
                made,
                cut=cut,
                verdict=None if verdict is None else verdict[here],
                errors=errors_at(pipeline, test, offset + np.flatnonzero(own.test[here] > cut)),
            )
            offset += len(flows)

    exporter.export(alerts(), folder.work / names[1])
    for name in names:
        (folder.work / name).replace(folder.partial / name)
    return pipeline


def _write_evidence(evidence: Evidence, folder: RunFolder) -> None:
    """Write what the report draws; the folder appears whole or not at all."""
    evidence.save(fresh(folder.work / FOLDER))
    shutil.rmtree(folder.partial / FOLDER, ignore_errors=True)
    (folder.work / FOLDER).replace(folder.partial / FOLDER)


def _own(results: list[SeedResults]) -> MethodRun:
    """Return the experiment's own scorer with the first seed."""
    return next(run for result in results for run in result.runs if run.kind == "method")


def _plain(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment as JSON values; the sources by name only, so that receipts travel."""
    values = experiment.model_dump(mode="json", exclude_none=True)
    values["flows"] |= experiment.flows.names()
    return values
