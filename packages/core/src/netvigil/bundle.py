"""Save and load a fitted pipeline. Loading never executes what is in a bundle.

A bundle is a folder: `manifest.json` with the feature contract, the parts and their settings, the
threshold with its provenance, versions, and the SHA-256 of every other file; `manifest.sha256`;
arrays as safetensors; scikit-learn objects as skops files, of which only the types that the part
lists are ever made. Digests detect damage and careless edits; they are no signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from netvigil import classes, parts
from netvigil.baselines import TrainCounts
from netvigil.config import Choice
from netvigil.contracts import FlowInfo
from netvigil.errors import BundleError, NetvigilError
from netvigil.features import FeatureContract
from netvigil.pipeline import Assembly, Chosen, Joined, Pipeline, choose, in_both_places
from netvigil.plugins import Plugins
from netvigil.profile import FeatureProfile
from netvigil.protocols import State, Stateful

FORMAT = 1
MANIFEST = "manifest.json"
_READER = ("name", "config", "distribution", "version")
_UNSUPERVISED: dict[str, type[parts.Part[Any]]] = {
    "encoder": parts.Encoder,
    "scorer": parts.Scorer,
}
_SUPERVISED: dict[str, type[parts.Part[Any]]] = {"classifier": parts.Classifier}
_VERSIONED = (
    "netvigil",
    "nfstream",
    "numpy",
    "polars",
    "pyarrow",
    "pyod",
    "scikit-learn",
    "skops",
    "torch",
    "torch-geometric",
)


def save_bundle(pipeline: Pipeline, folder: Path, *, experiment: Mapping[str, Any]) -> str:
    """Write a fitted pipeline to an empty folder and return the bundle's digest.

    Raises:
        BundleError: A scorer that scores flows by their batch companions, which `detect` cannot
            honour.
    """
    scorer = pipeline.assembly.scorer.part
    if isinstance(scorer, parts.Scorer) and scorer.transductive:
        msg = f"Scorer '{scorer.name}' scores a flow by its companions; no bundle can carry it."
        raise BundleError(msg, do="Choose an inductive scorer; `run` still compares this one.")
    folder.mkdir(parents=True, exist_ok=True)
    rooms = {
        name: _save_part(chosen, made, name, folder) for name, chosen, made in _rooms(pipeline)
    }
    counts, profile = pipeline.counts.get_state(), pipeline.profile.get_state()
    _write_arrays(counts.arrays, folder / "counts.safetensors")
    _write_arrays(profile.arrays, folder / "profile.safetensors")
    files = sorted(p.name for p in folder.iterdir() if p.name != MANIFEST)
    manifest = {
        "format": FORMAT,
        "versions": installed_versions(),
        "experiment": experiment,
        "flows": asdict(pipeline.info),
        "reader": dict(pipeline.reader),
        "features": asdict(pipeline.contract) | {"digest": pipeline.contract.digest()},
        "rooms": rooms,
        "counts": dict(counts.values),
        "profile": dict(profile.values),
        "threshold": {
            "cut": pipeline.threshold.cut_,
            "provenance": pipeline.threshold.provenance(),
        },
        "seed": pipeline.seed,
        "files": {name: _sha256(folder / name) for name in files},
    }
    text = _json(manifest)
    (folder / MANIFEST).write_text(text, "utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.sha256").write_text(digest + "\n", "utf-8")
    return digest


def load_bundle(folder: Path, plugins: Plugins) -> tuple[Pipeline, str]:
    """Read a bundle back and return the pipeline and the bundle's digest.

    A model that has a setting `device` gets "auto": a bundle made on a GPU works on a machine
    without one, and the other way round, with scores that agree to the last digits.

    Raises:
        BundleError: No bundle, another format, a digest that does not match, an unlisted type, an
            array or setting that a part refuses.
    """
    manifest, digest = _read_manifest(folder)
    try:
        return _load(folder, manifest, plugins), digest
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"The manifest does not describe a pipeline: {type(error).__name__}: {error}."
        raise BundleError(what, where=str(folder)) from error


def installed_versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _rooms(pipeline: Pipeline) -> list[tuple[str, Chosen, Any]]:
    a = pipeline.assembly
    transforms = zip(a.transforms, pipeline.transforms, strict=True)
    return [
        *((f"transform-{i}", chosen, made) for i, (chosen, made) in enumerate(transforms)),
        ("builder", a.builder, None),
        *(
            [("encoder", a.encoder, pipeline.encoder), ("scorer", a.scorer, pipeline.scorer)]
            if a.classifier is None
            else [("classifier", a.classifier, pipeline.encoder)]
        ),
        ("threshold", a.threshold, pipeline.threshold),
        ("exporter", a.exporter, None),
    ]


def _save_part(chosen: Chosen, made: Stateful | None, room: str, folder: Path) -> dict[str, Any]:
    described = chosen.describe()
    if made is None:
        return described
    state = made.get_state()
    if state.arrays:
        _write_arrays(state.arrays, folder / f"{room}.safetensors")
    for name, estimator in state.estimators.items():
        _write_estimator(estimator, folder / f"{room}.{name}.skops")
    return described | {
        "values": dict(state.values),
        "arrays": bool(state.arrays),
        "estimators": sorted(state.estimators),
    }


def _load(folder: Path, manifest: dict[str, Any], plugins: Plugins) -> Pipeline:
    rooms = manifest["rooms"]
    supervised = "classifier" in rooms
    kinds: dict[str, type[parts.Part[Any]]] = {
        "builder": parts.GraphBuilder,
        **(_SUPERVISED if supervised else _UNSUPERVISED),
        "threshold": parts.Threshold,
        "exporter": parts.AlertExporter,
    }
    names = [f"transform-{i}" for i in range(sum(n.startswith("transform-") for n in rooms))]
    kinds |= dict.fromkeys(names, parts.FlowTransform)
    chosen = {n: _choose(rooms[n], kind, n, plugins, folder) for n, kind in kinds.items()}
    made = {n: _load_part(c, rooms[n], n, folder) for n, c in chosen.items()}
    if supervised:
        chosen["encoder"], chosen["scorer"] = in_both_places(chosen["classifier"])
        made["encoder"] = classes.Classes(made["classifier"])
        made["scorer"] = chosen["scorer"].make()
    features = manifest["features"]
    contract = FeatureContract(
        numeric=tuple(features["numeric"]),
        categories=tuple(features["categories"]),
        denied=tuple((name, why) for name, why in features["denied"]),
        allowed_shortcuts=tuple(features["allowed_shortcuts"]),
        origin_us=features.get("origin_us"),  # bundles of before it existed lack it
    )
    counts, profile = (
        State(arrays=_read_arrays(folder / f"{name}.safetensors"), values=manifest[name])
        for name in ("counts", "profile")
    )
    assembly = Assembly(
        transforms=tuple(chosen[n] for n in names),
        builder=chosen["builder"],
        encoder=chosen["encoder"],
        scorer=chosen["scorer"],
        threshold=chosen["threshold"],
        labeller=None,
        exporter=chosen["exporter"],
        classifier=chosen.get("classifier"),
    )
    return Pipeline(
        contract=contract,
        info=FlowInfo(**manifest["flows"]),
        assembly=assembly,
        transforms=tuple(made[n] for n in names),
        builder=made["builder"],
        encoder=made["encoder"],
        scorer=made["scorer"],
        threshold=made["threshold"],
        counts=TrainCounts().set_state(counts),
        profile=FeatureProfile.from_state(profile),
        seed=int(manifest["seed"]),
        reader={key: manifest["reader"][key] for key in _READER},
    )


def _choose(
    room: Mapping[str, Any], kind: type[parts.Part[Any]], name: str, plugins: Plugins, folder: Path
) -> Chosen:
    try:
        choice = Choice(name=room["name"], options=dict(room["config"]))
        chosen = choose(plugins, kind, choice, section=name, base=folder)
    except NetvigilError as error:
        what = f"The bundle's {name} '{room['name']}' cannot be made here."
        provider = f"{room['distribution']} {room['version']}"
        where = f"It was made with {provider}. {error}"
        raise BundleError(what, where=where, do=f"Install {provider}.") from error
    chosen = _anywhere(chosen)
    if kind not in (parts.Encoder, parts.Classifier):
        return chosen
    beside = [_choose(other, kind, name, plugins, folder) for other in room.get("beside", ())]
    return Joined.of(chosen, tuple(beside)) if beside else chosen


def _anywhere(method: Chosen) -> Chosen:
    """Let a model compute on what this machine has, not on what it was trained on."""
    if "device" not in type(method.config).model_fields:
        return method
    return replace(method, config=method.config.model_copy(update={"device": "auto"}))


def _load_part(chosen: Chosen, room: Mapping[str, Any], name: str, folder: Path) -> Any:
    made = chosen.make()
    if "values" not in room:
        return made
    trusted = tuple(getattr(chosen.part, "trusted_types", ()))
    state = State(
        arrays=_read_arrays(folder / f"{name}.safetensors") if room["arrays"] else {},
        values=room["values"],
        estimators={
            key: _read_estimator(folder / f"{name}.{_plain(key)}.skops", trusted)
            for key in room["estimators"]
        },
    )
    try:
        return made.set_state(state)
    except NetvigilError as error:
        what = f"The bundle's {name} '{chosen.name}' refuses its state."
        raise BundleError(what, where=str(error)) from error


def _read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """Check the manifest and every digest in it, before anything is made of it."""
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
        wanted = (folder / "manifest.sha256").read_text("utf-8").strip()
        manifest = json.loads(raw)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = "This is not a readable netvigil bundle."
        do = "Give the bundle folder that `netvigil fit` or `netvigil run` wrote."
        raise BundleError(msg, where=f"{folder}: {error}", do=do) from error
    digest = hashlib.sha256(raw).hexdigest()
    if digest != wanted:
        msg = "The bundle's manifest was changed after it was written."
        raise BundleError(msg, where=str(path), do="Use an unchanged copy, or fit again.")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        msg = f"This bundle has format {found}; this netvigil reads format {FORMAT}."
        raise BundleError(msg, where=str(folder))
    files = manifest.get("files")
    if not isinstance(files, dict):
        msg = "The manifest lists no files."
        raise BundleError(msg, where=str(folder))
    for name, sha in files.items():
        file = folder / _plain(name)
        if not file.is_file() or _sha256(file) != sha:
            msg = f"'{name}' of the bundle is missing or was changed after it was written."
            raise BundleError(msg, where=str(folder), do="Use an unchanged copy, or fit again.")
    return manifest, digest


def _plain(name: str) -> str:
    """Refuse a file name that could lead out of the bundle."""
    if Path(name).name != name or name in {"", ".", ".."}:
        msg = f"The bundle names a file outside itself: {name!r}."
        raise BundleError(msg)
    return name


def _write_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    from safetensors.numpy import save

    # Not `save_file`, whose error on a full disk is no OSError.
    path.write_bytes(save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        msg = "An array file of the bundle cannot be read."
        raise BundleError(msg, where=f"{path}: {error}") from error


def _write_estimator(estimator: object, path: Path) -> None:
    import skops.io

    skops.io.dump(estimator, path)


def _read_estimator(path: Path, trusted: tuple[str, ...]) -> object:
    """Make an estimator of the listed types only; anything else is refused before it exists."""
    import skops.io

    try:
        unlisted = sorted(set(skops.io.get_untrusted_types(file=path)) - set(trusted))
    except _BROKEN as error:
        raise _no_estimator(path, error) from error
    if unlisted:
        msg = f"The bundle holds objects of unlisted types: {', '.join(unlisted)}."
        do = "Do not use this bundle unless you know who made it; fit again instead."
        raise BundleError(msg, where=str(path), do=do)
    try:
        return skops.io.load(path, trusted=list(trusted))
    except _BROKEN as error:
        raise _no_estimator(path, error) from error


# What zipfile, json and skops raise on a file that is no skops file, or one of another version.
_BROKEN = (BadZipFile, OSError, ValueError, TypeError, KeyError, AttributeError, ImportError)


def _no_estimator(path: Path, error: Exception) -> BundleError:
    msg = "An estimator file of the bundle cannot be read."
    return BundleError(msg, where=f"{path}: {type(error).__name__}: {error}")


def _json(manifest: Mapping[str, Any]) -> str:
    """Return the manifest's text, keys in the order of the states, which may mean something."""
    try:
        return json.dumps(manifest, indent=1)
    except (TypeError, ValueError) as error:
        msg = f"A part's state or settings are no plain JSON: {error}."
        raise BundleError(msg, do="Its `State.values` may hold JSON values only.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
