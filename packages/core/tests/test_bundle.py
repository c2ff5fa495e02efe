"""Bundles come back bit for bit, or are refused; loading one executes nothing that is in it."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netvigil import parts, runner
from netvigil.bundle import FORMAT, load_bundle, save_bundle
from netvigil.errors import BundleError
from netvigil.phases import Phases
from netvigil.plugins import load_plugins
from netvigil.protocols import State

from . import fakes


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One bundle with arrays, and one with an estimator; tests copy them."""
    folder = tmp_path_factory.mktemp("bundles")
    source = fakes.write_csv(folder / "a.csv", fakes.traffic())
    for name in ("median-distance", "forest"):
        experiment = fakes.experiment(source, scorer={"name": name})
        runner.fit(experiment, fakes.plugins(), base=folder, out=folder / name, phases=Phases())
    return folder


@pytest.fixture
def bundle(made, tmp_path):
    return shutil.copytree(made / "median-distance", tmp_path / "bundle")


@pytest.fixture
def forest(made, tmp_path):
    return shutil.copytree(made / "forest", tmp_path / "forest")


def seal(bundle: Path, **changes) -> None:
    """Write a changed manifest with fitting digests, as somebody with intent would."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    for path, value in changes.items():
        place = manifest
        *steps, last = path.split("__")
        for step in steps:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    if "files" not in changes:
        manifest["files"] = {
            p.name: hashlib.sha256(p.read_bytes()).hexdigest()
            for p in bundle.iterdir()
            if not p.name.startswith("manifest")
        }
    text = json.dumps(manifest)
    (bundle / "manifest.json").write_text(text)
    (bundle / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())


def refused(bundle: Path, *words: str, plugins=None) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle, plugins or fakes.plugins())
    for word in words:
        assert word in str(caught.value), str(caught.value)
    return str(caught.value)


class TestRoundTrip:
    @pytest.mark.parametrize("name", ["median-distance", "forest"])
    def test_a_saved_pipeline_scores_the_same_bits(self, made, tmp_path, name):
        pipeline, digest = load_bundle(made / name, fakes.plugins())
        again = tmp_path / "again"
        experiment = json.loads((made / name / "manifest.json").read_text())["experiment"]
        saved = save_bundle(pipeline, again, experiment=experiment)
        # skops names a file's members after places in memory, so only arrays repeat as files.
        assert (saved == digest) == (name != "forest")
        other, _ = load_bundle(again, fakes.plugins())
        rows = {n: v for n, v in fakes.traffic(80, seed=5).items() if n != "label"}
        flows = fakes.make_flows(rows)
        scores = []
        for each in (pipeline, other):
            found = [
                each.scorer.score(each.encoder.encode(windows)).score.tobytes()
                for windows in each.windows([(0, flows)])
            ]
            assert len(found) == 2  # all windows but the last, and the last
            scores.append(found)
        assert scores[0] == scores[1]
        assert other.threshold.cut_ == pipeline.threshold.cut_
        assert other.contract == pipeline.contract
        assert other.info == pipeline.info
        assert other.seed == pipeline.seed
        assert other.reader == pipeline.reader
        assert other.profile.names == pipeline.profile.names
        for key, value in pipeline.counts.get_state().arrays.items():
            assert np.array_equal(other.counts.get_state().arrays[key], value)

    def test_networks_compute_on_what_this_machine_has(self, bundle):
        changes = {"rooms__transform-0__config__device": "cuda:7"}
        seal(bundle, **changes)
        pipeline, _ = load_bundle(bundle, fakes.plugins())
        assert pipeline.assembly.transforms[0].config.device == "auto"

    def test_the_manifest_says_how_it_came_about(self, bundle):
        manifest = json.loads((bundle / "manifest.json").read_text())
        assert manifest["format"] == FORMAT
        assert manifest["threshold"]["provenance"].endswith("of the calibration scores")
        assert manifest["experiment"]["scorer"]["name"] == "median-distance"
        assert manifest["experiment"]["flows"]["source"] == "a.csv"  # no path of this machine
        assert manifest["reader"]["name"] == "tiny"
        assert {"netvigil", "numpy"} <= set(manifest["versions"])
        files = {p.name for p in bundle.iterdir()} - {"manifest.json", "manifest.sha256"}
        assert set(manifest["files"]) == files

    def test_addresses_are_not_in_a_bundle(self, bundle):
        for path in bundle.iterdir():
            assert b"10.0.0." not in path.read_bytes()

    def test_an_infinite_cut_survives(self, made, tmp_path):
        pipeline, _ = load_bundle(made / "median-distance", fakes.plugins())
        pipeline.threshold.cut_ = np.inf
        save_bundle(pipeline, tmp_path / "b", experiment={})
        assert load_bundle(tmp_path / "b", fakes.plugins())[0].threshold.cut_ == np.inf

    def test_a_state_that_json_cannot_carry_is_refused(self, made, tmp_path):
        pipeline, _ = load_bundle(made / "median-distance", fakes.plugins())
        pipeline.scorer.get_state = lambda: State(values={"when": object()})
        with pytest.raises(BundleError, match="no plain JSON"):
            save_bundle(pipeline, tmp_path / "b", experiment={})

    def test_a_transductive_scorer_is_refused(self, made, tmp_path):
        pipeline, _ = load_bundle(made / "median-distance", fakes.plugins())
        chosen = replace(pipeline.assembly.scorer, part=fakes.plugins().scorer("crowd"))
        assembly = replace(pipeline.assembly, scorer=chosen)
        with pytest.raises(BundleError, match="companions"):
            save_bundle(replace(pipeline, assembly=assembly), tmp_path / "b", experiment={})


class TestDamaged:
    def test_a_tampered_manifest(self, bundle):
        path = bundle / "manifest.json"
        path.write_text(path.read_text().replace('"cut"', '"cut" '))
        refused(bundle, "manifest was changed", "fit again")

    @pytest.mark.parametrize("name", ["scorer.safetensors", "counts.safetensors"])
    def test_a_changed_file(self, bundle, name):
        data = bytearray((bundle / name).read_bytes())
        data[-1] ^= 1
        (bundle / name).write_bytes(data)
        refused(bundle, name, "missing or was changed")

    def test_a_missing_file(self, bundle):
        (bundle / "scorer.safetensors").unlink()
        refused(bundle, "scorer.safetensors", "missing or was changed")

    def test_another_format(self, bundle):
        seal(bundle, format=FORMAT + 1)
        refused(bundle, f"format {FORMAT + 1}", f"reads format {FORMAT}")

    @pytest.mark.parametrize("what", ["nothing", "a file", "a folder", "no digest", "no json"])
    def test_what_is_no_bundle(self, tmp_path, bundle, what):
        place = tmp_path / "x"
        if what == "a file":
            place.write_text("x")
        elif what == "a folder":
            place.mkdir()
        elif what == "no digest":
            place = bundle
            (place / "manifest.sha256").unlink()
        elif what == "no json":
            place = bundle
            (place / "manifest.json").write_bytes(b"\xff{")
        refused(place, "not a readable netvigil bundle")


class TestTamperedWithIntent:
    """The digests fit, so nothing but the content can be refused; digests are no signature."""

    @pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "..", "", "a/b"])
    def test_a_file_outside_the_bundle(self, bundle, name):
        (bundle.parent / "outside").write_text("secret")
        digest = hashlib.sha256(b"secret").hexdigest()
        seal(bundle, files={name: digest})
        refused(bundle, "outside itself")

    def test_an_estimator_outside_the_bundle(self, forest):
        seal(forest, rooms__scorer__estimators=["../../x"])
        refused(forest, "outside itself")

    @pytest.mark.parametrize(
        "changes",
        [
            {"files": [1]},
            {"files": None},
            {"rooms": []},
            {"rooms": {}},
            {"rooms__scorer": None},
            {"rooms__scorer": 3},
            {"rooms__scorer__values": {}},
            {"rooms__scorer__arrays": False},
            {"rooms__scorer__config": [1]},
            {"rooms__threshold__values": {"cut": "many"}},
            {"rooms__scorer__values": {"dim": 9}},
            {"rooms__scorer__config": {"power": 1, "shell": "rm"}},
            {"rooms__scorer__name": "os.system"},
            {"features": 1},
            {"features__denied": [1]},
            {"flows": {"format": "x", "colour": "red"}},
            {"counts": {}},
            {"profile": []},
            {"seed": "zero"},
            {"reader": None},
        ],
        ids=str,
    )
    def test_a_manifest_that_makes_no_sense(self, bundle, changes):
        seal(bundle, **changes)
        refused(bundle)

    def test_an_array_file_that_is_none(self, bundle):
        (bundle / "scorer.safetensors").write_bytes(b"\x80\x04not safetensors")
        seal(bundle)
        refused(bundle, "array file", "scorer.safetensors")

    def test_an_estimator_file_that_is_none(self, forest):
        (forest / "scorer.forest.skops").write_bytes(b"\x80\x04\x95a pickle")
        seal(forest)
        refused(forest, "estimator file", "scorer.forest.skops")

    def test_an_object_of_an_unlisted_type_is_not_made(self, forest, tmp_path, monkeypatch):
        import skops.io

        folder = tmp_path / "modules"
        folder.mkdir()
        (folder / "evil_estimator.py").write_text(
            "class Evil:\n"
            "    def __init__(self):\n        self.x = 1\n"
            "    def __setstate__(self, state):\n"
            f"        open({str(tmp_path / 'made')!r}, 'w').close()\n"
            f"open({str(tmp_path / 'imported')!r}, 'w').close()\n"
        )
        monkeypatch.syspath_prepend(str(folder))
        evil_estimator = importlib.import_module("evil_estimator")  # as on the attacker's machine

        skops.io.dump(evil_estimator.Evil(), forest / "scorer.forest.skops")
        seal(forest)
        del sys.modules["evil_estimator"]
        (tmp_path / "imported").unlink()
        refused(forest, "unlisted types", "evil_estimator.Evil", "fit again")
        assert not (tmp_path / "made").exists()
        assert not (tmp_path / "imported").exists()

    def test_a_function_in_an_estimator_file_is_not_called(self, forest, tmp_path):
        import functools
        import os

        import skops.io

        target = tmp_path / "called"
        call = functools.partial(os.mkdir, str(target))
        skops.io.dump({"forest": call}, forest / "scorer.forest.skops")
        seal(forest)
        refused(forest, "unlisted types")
        assert not target.exists()

    def test_a_listed_type_of_another_part_is_not_enough(self, forest):
        """`trusted_types` are the part's own: what one part lists is no licence for another."""
        import skops.io

        skops.io.dump(fakes.Quantile(fakes.QuantileConfig()), forest / "scorer.forest.skops")
        seal(forest)
        refused(forest, "unlisted types")


class TestElsewhere:
    def test_a_plugin_that_is_not_installed(self, bundle):
        manifest = json.loads((bundle / "manifest.json").read_text())
        scorer = manifest["rooms"]["scorer"] | {"distribution": "acme-scorers", "version": "2.1"}
        seal(bundle, rooms__scorer=scorer)
        from netvigil import builtins

        bare = load_plugins(entry_points=False, extra=[builtins])
        text = refused(bundle, "cannot be made here", plugins=bare)
        assert "No graph builder is named 'flow-host'" in text or "acme-scorers 2.1" in text

    def test_a_part_that_was_renamed_says_what_to_install(self, bundle):
        manifest = json.loads((bundle / "manifest.json").read_text())
        scorer = manifest["rooms"]["scorer"] | {
            "name": "acme-depth",
            "distribution": "acme-scorers",
            "version": "2.1",
        }
        seal(bundle, rooms__scorer=scorer)
        refused(bundle, "scorer 'acme-depth'", "Install acme-scorers 2.1")

    def source(self, folder: Path, **changes) -> Path:
        rows = {n: v for n, v in fakes.traffic(60, seed=3).items() if n != "label"} | changes
        return fakes.write_csv(folder / "b.csv", {n: v for n, v in rows.items() if v is not None})

    def detect(self, bundle, source, out, **options):
        return runner.detect(
            bundle, source, options.pop("plugins", fakes.plugins()), out=out, phases=Phases()
        )

    def test_a_source_that_lacks_features_is_refused_with_the_list(self, bundle, tmp_path):
        source = self.source(tmp_path, x_a=None, x_b=None)
        with pytest.raises(BundleError, match=r"lacks 2 features .*: x_a, x_b") as caught:
            self.detect(bundle, source, tmp_path / "out")
        assert "'tiny'" in str(caught.value)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["b.csv", "bundle"]

    def test_a_source_that_counts_other_bytes_is_refused(self, bundle, tmp_path):
        seal(bundle, flows__bytes_layer="l2")
        with pytest.raises(BundleError, match="counts l2 bytes, the source ip bytes"):
            self.detect(bundle, self.source(tmp_path), tmp_path / "out")

    def test_the_reader_gets_the_settings_it_was_fitted_with(self, bundle, tmp_path):
        # A reader's settings, such as a timeout, decide what a flow is.
        seal(bundle, flows__bytes_layer="l4", reader__config={"bytes_layer": "l4"})
        assert self.detect(bundle, self.source(tmp_path), tmp_path / "out").flows == 60

    def test_nothing_is_overwritten(self, bundle, tmp_path):
        (tmp_path / "out").mkdir()
        from netvigil.errors import RunError

        with pytest.raises(RunError, match="something of that name"):
            self.detect(bundle, self.source(tmp_path), tmp_path / "out")


def test_every_part_kind_that_learns_can_list_types():
    for kind in (parts.FlowTransform, parts.Encoder, parts.Scorer, parts.Classifier):
        assert "trusted_types" in kind.__dataclass_fields__
