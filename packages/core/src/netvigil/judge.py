"""The runner's last step: scores meet labels, and the receipt says how they came about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import tomli_w
from numpy.typing import NDArray

from netvigil import __version__, parts, protocols
from netvigil.baselines import pair_keys
from netvigil.contracts import LabelTable
from netvigil.evaluation import (
    ClassShares,
    DataUse,
    Evaluation,
    FeatureUse,
    LabelUse,
    MethodScores,
    PartUse,
    Phase,
    PromiseUse,
    Realised,
    Receipt,
    SplitUse,
    ThresholdUse,
    evaluate,
    realised,
)
from netvigil.evaluation.judge import RARE
from netvigil.overlays import READS_LABELS, parity_notes, supervised
from netvigil.phases import Phases
from netvigil.prepare import Prepared
from netvigil.protocols import Told
from netvigil.runfolder import RunFolder
from netvigil.seeds import MethodRun, SeedResults
from netvigil.splits import REPEATED, ROLES, SHUFFLED, TEST, UNUSED
from netvigil.truth import ATTACK, UNKNOWN


def judge(
    prepared: Prepared, results: list[SeedResults], phases: Phases, *, sha256: Sequence[str]
) -> Receipt:
    """Judge every method and baseline on the test part; without labels a receipt has no figures.

    `sha256` are the digests of the sources, in their order.
    """
    evaluation = _evaluate(prepared, results) if prepared.truth.state.any() else None
    own = next(run for result in results for run in result.runs if run.kind == "method")
    experiment, assembly = prepared.experiment, prepared.assembly
    return Receipt.of(
        data=_data_use(prepared, sha256),
        split=_split_use(prepared),
        features=_feature_use(prepared),
        labels=LabelUse(
            train_filter=experiment.train.uses_labels,
            model=assembly.classifier is not None,
            split=experiment.split.protocol == READS_LABELS,
            transforms=bool(supervised(t.part for t in assembly.transforms)),
            calibration=experiment.train.benign_calibration,
            augmentation=assembly.augment is not None,
            tuning=experiment.tuned is not None and experiment.tuned.uses_labels,
            threshold=_supervised(prepared),
            evaluation=evaluation is not None,
        ),
        threshold=_threshold_use(prepared, own),
        train_attack_share=_share(prepared, prepared.trained.keep),
        detector_attack_share=_share(prepared, prepared.trained.keep),
        absent_baselines=_absent(prepared),
        realised=_realised(prepared, results, evaluation),
        evaluation=evaluation,
        phases=[
            Phase(name=name, seconds=seconds, flows=phases.flows[name] or None)
            for name, seconds in phases.seconds.items()
        ],
        seeds=experiment.run.seeds,
        config=plain(prepared),
        code_version=__version__,
        accelerator=next((r.accelerator for r in results if r.accelerator), None),
        parity=parity_notes(
            experiment,
            (assembly.classifier or assembly.encoder).part,
            [t.part for t in assembly.transforms],
        ),
    )


def _data_use(prepared: Prepared, sha256: Sequence[str]) -> list[DataUse]:
    info, several = prepared.store.info, len(prepared.sources) > 1
    parts_of = ("train and calibrate", "test") if several else ("",)
    return [
        DataUse(
            source=own.source.name,
            part=part,
            sha256=digest,
            flows=own.flows,
            rows_repaired=own.report.repaired,
            rows_rejected=own.report.rejected,
            format=info.format,
            time_basis=info.time_basis,
            bytes_layer=info.bytes_layer,
            direction=info.direction,
        )
        for own, digest, part in zip(prepared.sources, sha256, parts_of, strict=True)
    ]


def _absent(prepared: Prepared) -> dict[str, str]:
    """Say why a baseline that belongs in every table is missing."""
    why = "no installed package provides it; netvigil-scorers does"
    return prepared.counts.absent | {
        f"raw + {name}": why for name in prepared.assembly.absent_baselines
    }


def write_receipt(receipt: Receipt, folder: RunFolder) -> None:
    """Write `config.toml`, `receipt.json` and `metrics.json` into the run folder."""
    folder.write("config.toml", tomli_w.dumps(receipt.config))
    folder.write("receipt.json", receipt.to_json())
    if receipt.evaluation is not None:
        folder.write("metrics.json", receipt.evaluation.model_dump_json(indent=2) + "\n")


def _evaluate(prepared: Prepared, results: list[SeedResults]) -> Evaluation:
    settings = prepared.experiment.evaluate
    inside = prepared.split.role == TEST
    start = prepared.split.start_us
    windows = prepared.windows["test"].whole
    ids = np.asarray(windows.flow_id)
    known = prepared.truth.state != UNKNOWN
    aligned = prepared.truth.aligned(known & inside)
    labels = LabelTable.of(
        ids[known[inside]], aligned.is_attack, pa.array(aligned.attack, pa.string())
    )
    clocked = start is not None
    return evaluate(
        flow_id=ids,
        labels=labels,
        runs=_scores(prepared, results),
        start_us=start[inside] if start is not None else None,
        pair=_pairs(prepared),
        window_start=np.repeat(windows.window_start, np.diff(windows.flow_ptr))
        if clocked and len(windows) > 1
        else None,
        exclude=settings.exclude,
        resamples=settings.resamples,
        bootstrap_seed=settings.seed,
        prevalences=RARE if settings.prevalence is None else (settings.prevalence,),
    )


def _scores(prepared: Prepared, results: list[SeedResults]) -> Iterator[MethodScores]:
    for result in results:
        for run in result.runs:
            yield MethodScores(
                method=run.method,
                score=run.test,
                cut=None if run.cut is None else run.test_cuts,
                seed=result.seed if run.seeded else None,
                kind="baseline" if run.kind == "baseline" else "method",
                threshold=_threshold_use(prepared, run),
                clusters=run.clusters,
                fit_s=run.fit_s,
                score_s=run.score_s,
                classes=None
                if run.share is None
                else ClassShares(run.classes, run.share, binary=run.binary),
            )


def _threshold_use(prepared: Prepared, run: MethodRun) -> ThresholdUse:
    return ThresholdUse(
        mode="validation-labels" if _supervised(prepared) else "label-free",
        rule=prepared.assembly.threshold.name,
        provenance=run.provenance,
        promise=_promise(prepared),
    )


def _promise(prepared: Prepared) -> PromiseUse | None:
    threshold = prepared.assembly.threshold.make()
    promise = threshold.promise() if isinstance(threshold, protocols.Promising) else None
    return PromiseUse(**vars(promise)) if promise else None


def _realised(
    prepared: Prepared, results: list[SeedResults], evaluation: Evaluation | None
) -> Realised | None:
    """Return what came of the own method's promise; without labels as far as that goes."""
    runs = [run for result in results for run in result.runs if run.kind == "method"]
    if evaluation is not None:
        methods = evaluation.headline.methods
        return next(each.realised for each in methods if each.method == runs[0].method)
    promise = _promise(prepared)
    if promise is None or promise.kind == "fpr":
        return realised(promise, [0], flows=0, seconds=None)
    start = prepared.split.start_us
    inside = prepared.split.role == TEST
    seconds = None if start is None else float(np.ptp(start[inside])) / 1e6
    flagged = [int((run.test > run.test_cuts).sum()) for run in runs]
    return realised(promise, flagged, flows=len(runs[0].test), seconds=seconds)


def _supervised(prepared: Prepared) -> bool:
    part = prepared.assembly.threshold.part
    return isinstance(part, parts.Threshold) and part.supervised


def _pairs(prepared: Prepared) -> NDArray[np.uint64] | None:
    """Return the host pair's key of each test flow, or None where flows have no addresses."""
    if prepared.counts.absent:
        return None
    batches = prepared.store.select(prepared.split.role == TEST, columns=["src_ip", "dst_ip"])
    return np.concatenate([pair_keys(flows) for _, flows in batches])


def _share(prepared: Prepared, keep: NDArray[np.bool_]) -> float | None:
    state = prepared.truth.state[keep]
    known = int((state != UNKNOWN).sum())
    return float((state == ATTACK).sum() / known) if known else None


def _split_use(prepared: Prepared) -> SplitUse:
    described = prepared.split.describe()
    state = prepared.truth.state
    parts_used = {}
    others = {"purged": UNUSED}
    if prepared.experiment.split.duplicates == "drop":
        others["repeated"] = REPEATED
    for name, role in (ROLES | others).items():
        inside = prepared.split.role == role
        part = described["parts"].get(name, {"flows": int(inside.sum())})
        parts_used[name] = PartUse(
            **part,
            known=int((state[inside] != UNKNOWN).sum()),
            attacks=int((state[inside] == ATTACK).sum()),
        )
    return SplitUse(
        protocol=described["protocol"],
        shuffled=described["protocol"] in SHUFFLED,
        test_source=len(prepared.sources) > 1,
        purge_s=described.get("purge_s"),
        repeats=prepared.split.repeats,
        repeats_across=prepared.split.repeats_across,
        parts=parts_used,
    )


def _feature_use(prepared: Prepared) -> FeatureUse:
    settings, contract = prepared.experiment.features, prepared.contract
    return FeatureUse(
        feature_set=settings.set if isinstance(settings.set, str) else "list",
        names=contract.numeric,
        categories=contract.categories,
        sha256=contract.digest(),
        transforms=tuple(t.name for t in prepared.assembly.transforms),
        learnt=tuple(
            f"{chosen.name} {made.told()}"
            for chosen, made in zip(prepared.assembly.transforms, prepared.transforms, strict=True)
            if isinstance(made, Told)
        ),
        denied=dict(contract.denied),
        allowed_shortcuts=contract.allowed_shortcuts,
    )


def plain(prepared: Prepared) -> dict[str, object]:
    """Return the resolved experiment as JSON: all parts' settings, and the sources by name only."""
    values = prepared.experiment.model_dump(mode="json", exclude_none=True)
    values["flows"] |= prepared.experiment.flows.names()
    values["flows"]["reader"] = prepared.reading.reader.name
    assembly = prepared.assembly
    method = {"encoder": assembly.encoder, "scorer": assembly.scorer}
    if assembly.classifier is not None:
        method = {"classifier": assembly.classifier}
    sections = {"graph": assembly.builder, **method, "threshold": assembly.threshold}
    for section, chosen in sections.items():
        values[section]["options"] = chosen.config.model_dump(mode="json", exclude_none=True)
    return values
