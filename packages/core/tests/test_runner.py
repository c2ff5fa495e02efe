"""`run`, `fit` and `detect` from end to end, on small honest parts."""

from __future__ import annotations

import errno
import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from netvigil import hookimpl, outputs, parts, runner, seeds, store
from netvigil.config import load_experiment
from netvigil.errors import (
    ConfigError,
    ContractError,
    IncompatiblePartsError,
    RunError,
    SourceError,
)
from netvigil.evaluation import Receipt
from netvigil.outputs import read_scores
from netvigil.phases import Phases

from . import fakes

EVALUATE = {"also": ["forest"], "baselines": ["median-distance"], "resamples": 5}

THREE = {"scorer": {"name": "fragile"}, "run": {"seeds": [0, 1, 2]}}
LATE = {"protocol": "time", "train": 0.5, "calibrate": 0.4, "purge_s": 600}
"""The last part is six minutes long, so the purge gap leaves nothing of it."""


class Fragile(fakes.MedianDistance):
    """A scorer with a seed in it, whose power supply can be cut."""

    stop_at: int | None = None

    def fit(self, encoded, *, seed):
        if seed == type(self).stop_at:
            raise KeyboardInterrupt
        super().fit(encoded, seed=seed)
        self.median_ = self.median_ + np.random.default_rng(seed).normal(0, 0.1)
        return self


class FragilePlugin:
    @hookimpl
    def netvigil_scorers(self):
        yield parts.Scorer(
            name="fragile",
            summary="Stops on demand.",
            config=fakes.MedianDistanceConfig,
            make=Fragile,
        )


def run(source: Path, out: Path, *, resume=False, phases=None, plugins=None, **sections) -> Receipt:
    return runner.run(
        fakes.experiment(source, **sections),
        plugins or fakes.plugins(FragilePlugin()),
        base=source.parent,
        out=out,
        phases=phases or Phases(),
        resume=resume,
    )


def fit(source: Path, out: Path, **sections) -> str:
    return runner.fit(
        fakes.experiment(source, **sections),
        fakes.plugins(),
        base=source.parent,
        out=out,
        phases=Phases(),
    )


def detect(bundle: Path, source: Path, out: Path) -> runner.Detection:
    return runner.detect(bundle, source, fakes.plugins(), out=out, phases=Phases())


def without_times(path: Path) -> object:
    """Read a JSON file without what differs between two runs of one experiment: durations."""

    def plain(value):
        if isinstance(value, dict):
            return {
                k: plain(v) for k, v in value.items() if k not in {"fit_s", "score_s", "phases"}
            }
        return [plain(v) for v in value] if isinstance(value, list) else value

    return plain(json.loads(path.read_text("utf-8")))


def fitted_files(bundle: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in bundle.glob("*.safetensors")}


def threshold(bundle: Path) -> object:
    return json.loads((bundle / "manifest.json").read_text())["threshold"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One finished run: its folder, source and receipt. Tests only read it."""
    folder = tmp_path_factory.mktemp("done")
    source = fakes.write_csv(folder / "a.csv", fakes.traffic())
    receipt = run(source, folder / "run", evaluate=EVALUATE)
    return folder / "run", source, receipt


@pytest.fixture
def source(tmp_path):
    return fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What a run of `THREE` on the traffic of `source` ends with when nothing stops it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(fakes.write_csv(folder / "a.csv", fakes.traffic(300)), folder / "run", **THREE)
    return without_times(folder / "run" / "metrics.json")


class TestRunFolder:
    def test_it_holds_what_the_design_says(self, done):
        folder, _, receipt = done
        assert sorted(p.name for p in folder.iterdir()) == [
            "alerts.jsonl",
            "bundle",
            "config.toml",
            "evidence",
            "log.jsonl",
            "metrics.json",
            "receipt.json",
            "scores.parquet",
        ]
        assert [p.name for p in folder.parent.iterdir() if "partial" in p.name] == []
        assert Receipt.from_json((folder / "receipt.json").read_text()) == receipt
        lines = [json.loads(s) for s in (folder / "log.jsonl").read_text().splitlines()]
        assert {"read", "label", "fit encoder", "score", "evaluate"} <= {
            line["phase"] for line in lines
        }

    def test_the_receipt_says_what_was_done(self, done):
        _, _, receipt = done
        assert receipt.data[0].source == "a.csv"
        assert receipt.data[0].flows == 600
        assert receipt.data[0].bytes_layer == "ip"
        assert receipt.split.protocol == "time"
        assert receipt.split.parts["train"].flows > receipt.split.parts["calibrate"].flows > 0
        assert not receipt.labels.train_filter
        assert 0 < receipt.train_attack_share < 0.3
        assert receipt.threshold.mode == "label-free"
        assert receipt.seeds == (0, 1)
        assert receipt.config["encoder"]["options"] == {"epochs": 2, "device": "auto"}

    def test_the_table_has_the_method_the_others_and_every_baseline(self, done):
        _, _, receipt = done
        methods = {m.method: m for m in receipt.evaluation.headline.methods}
        assert list(methods) == [
            *(f"{s}-{r}" for s in ("source", "pair", "pair-port") for r in ("novelty", "rarity")),
            "all-benign",
            "sigma + median-distance",
            "sigma + forest",
            "raw + median-distance",
        ]

    def test_scores_and_alerts_belong_together(self, done):
        folder, _, receipt = done
        scores, cut = read_scores(folder / "scores.parquet")
        alerts = [json.loads(s) for s in (folder / "alerts.jsonl").read_text().splitlines()]
        assert len(scores) == receipt.split.parts["test"].flows
        assert [a["flow_id"] for a in alerts] == scores.flow_id[scores.score > cut].tolist()
        assert 0 < len(alerts) < len(scores)
        digest = (folder / "bundle" / "manifest.sha256").read_text().strip()
        assert {a["bundle"] for a in alerts} == {digest}
        assert threshold(folder / "bundle")["cut"] == cut

    def test_the_resolved_config_runs_again_to_the_same_scores(self, done, tmp_path):
        folder, source, _ = done
        again = load_experiment(folder / "config.toml", [f"flows.source='{source}'"])
        runner.run(
            again, fakes.plugins(), base=source.parent, out=tmp_path / "again", phases=Phases()
        )
        ours, theirs = (pq.read_table(p / "scores.parquet") for p in (tmp_path / "again", folder))
        assert ours.equals(theirs)
        assert fitted_files(tmp_path / "again" / "bundle") == fitted_files(folder / "bundle")

    def test_no_path_of_this_machine_gets_into_it(self, done):
        folder, source, _ = done
        for path in folder.rglob("*"):
            if path.is_file():
                assert str(source.parent).encode() not in path.read_bytes(), path

    def test_a_finished_run_stays(self, done):
        folder, source, _ = done
        with pytest.raises(RunError, match="finished run"):
            run(source, folder)


class TestSameBits:
    def test_detect_scores_the_test_flows_as_run_did(self, done, tmp_path):
        folder, source, _ = done
        found = detect(folder / "bundle", source, tmp_path / "out")
        assert found.flows == 600
        assert found.format == "tiny"
        assert "begins with 'tiny'" in found.reason
        everything, cut = read_scores(tmp_path / "out" / "scores.parquet")
        scores, run_cut = read_scores(folder / "scores.parquet")
        rows = np.isin(everything.flow_id, scores.flow_id)
        assert everything.flow_id[rows].tolist() == scores.flow_id.tolist()
        assert everything.score[rows].tobytes() == scores.score.tobytes()
        assert cut == run_cut == found.cut
        theirs = (folder / "alerts.jsonl").read_text().splitlines()
        ours = (tmp_path / "out" / "alerts.jsonl").read_text().splitlines()
        assert found.alerts == len(ours)
        assert ours[-len(theirs) :] == theirs
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
            "alerts.jsonl",
            "scores.parquet",
        ]

    def test_fit_makes_the_bundle_that_run_makes(self, done, tmp_path):
        folder, source, _ = done
        digest = fit(source, tmp_path / "b", evaluate=EVALUATE)
        assert digest == (folder / "bundle" / "manifest.sha256").read_text().strip()
        assert fitted_files(tmp_path / "b") == fitted_files(folder / "bundle")

    def test_fit_leaves_the_test_part_alone(self, done, tmp_path):
        folder, source, _ = done
        lines = source.read_text().splitlines()
        cut = len(lines) - 40  # all of them in the test part
        spoilt = [*lines[:cut], *(line.replace(",10.0.0.", ",10.9.9.") for line in lines[cut:])]
        spoilt_source = tmp_path / "a.csv"
        spoilt_source.write_text("\n".join(spoilt) + "\n")
        fit(spoilt_source, tmp_path / "b", evaluate=EVALUATE)
        assert fitted_files(tmp_path / "b") == fitted_files(folder / "bundle")

    def test_a_store_is_read_as_what_it_is(self, done, tmp_path):
        folder, source, _ = done
        part = fakes.plugins().reader("tiny")
        reader = part.make(part.config())
        kept = store.FlowStore.write(
            reader.read(source, batch_rows=50), tmp_path / "kept.parquet"
        ).path
        before = kept.read_bytes()
        runner.detect(
            folder / "bundle",
            kept,
            fakes.plugins(),
            out=tmp_path / "out",
            phases=Phases(),
            reader="tiny",
        )
        first, _ = read_scores(tmp_path / "out" / "scores.parquet")
        detect(folder / "bundle", source, tmp_path / "csv")
        second, _ = read_scores(tmp_path / "csv" / "scores.parquet")
        assert first.score.tobytes() == second.score.tobytes()
        assert kept.read_bytes() == before


class TestLeakage:
    """The most valuable tests there are: labels and the future change nothing that is learnt."""

    def rows(self, change) -> dict:
        rows = fakes.traffic(400)
        change(rows)
        return rows

    @staticmethod
    def shuffle(rows):
        rng = np.random.default_rng(99)
        rows["label"] = rng.choice(["benign", "scan", "flood", ""], len(rows["label"])).tolist()

    @pytest.mark.parametrize("cut_by", ["quantile", "lowest-attack"])
    def test_random_labels_change_no_score(self, tmp_path, cut_by):
        sections = {"scorer": {"name": "forest"}, "threshold": {"name": cut_by}}
        found = []
        for name, change in (("true", lambda rows: None), ("random", self.shuffle)):
            (tmp_path / name).mkdir()
            source = fakes.write_csv(tmp_path / name / "a.csv", self.rows(change))
            receipt = run(source, tmp_path / name / "run", **sections)
            found.append((tmp_path / name / "run", receipt))
        (first, receipt), (second, other) = found
        one, cut = read_scores(first / "scores.parquet")
        two, other_cut = read_scores(second / "scores.parquet")
        assert one.score.tobytes() == two.score.tobytes()
        assert fitted_files(first / "bundle") == fitted_files(second / "bundle")
        # Labels are read by evaluation, and by a threshold that says so.
        assert receipt.evaluation != other.evaluation
        supervised = cut_by == "lowest-attack"
        assert (cut != other_cut) == supervised
        assert receipt.labels.threshold == supervised
        assert receipt.threshold.mode == ("validation-labels" if supervised else "label-free")

    def test_drop_attacks_is_a_use_of_labels_and_says_so(self, tmp_path):
        sections = {"train": {"drop_attacks": True}}
        found = []
        for name, change in (("true", lambda rows: None), ("random", self.shuffle)):
            (tmp_path / name).mkdir()
            source = fakes.write_csv(tmp_path / name / "a.csv", self.rows(change))
            receipt = run(source, tmp_path / name / "run", **sections)
            assert receipt.labels.train_filter
            assert receipt.train_attack_share == 0
            found.append(fitted_files(tmp_path / name / "run" / "bundle"))
        assert found[0] != found[1]

    def test_a_threshold_sees_labels_only_where_it_says_so(self, tmp_path, source):
        seen = {}

        class Nosy(fakes.Quantile):
            def fit(self, calibration, *, seed):
                seen[self.config.keep] = calibration
                return super().fit(calibration, seed=seed)

        class Plugin:
            @hookimpl
            def netvigil_thresholds(self):
                for name, supervised in (("blind", False), ("seeing", True)):
                    yield parts.Threshold(
                        name=name,
                        summary="Looks at what it is given.",
                        config=fakes.QuantileConfig,
                        make=Nosy,
                        supervised=supervised,
                    )

        for name, keep in (("blind", 0.1), ("seeing", 0.2)):
            receipt = run(
                source,
                tmp_path / name,
                plugins=fakes.plugins(Plugin()),
                threshold={"name": name, "keep": keep},
            )
        blind, seeing = seen[0.1], seen[0.2]
        assert blind.is_attack is None
        assert blind.known is None
        part = receipt.split.parts["calibrate"]
        assert seeing.is_attack.sum() == part.attacks
        assert seeing.known.sum() == part.known
        for found in (blind, seeing):
            assert len(found.score) == len(found.start_us) == part.flows
            assert np.all(np.diff(found.start_us) >= 0)
            assert found.duration_s == pytest.approx((found.start_us[-1] - found.start_us[0]) / 1e6)

    def test_the_test_period_changes_nothing_that_is_learnt(self, tmp_path):
        def iso(seconds):
            from netvigil.splits import iso as written

            return written(fakes.EPOCH_US + seconds * 1_000_000)

        cut = {
            "protocol": "ranges",
            "train_range": [iso(0), iso(1800)],
            "calibrate_range": [iso(1800), iso(2400)],
            "test_range": [iso(2400), iso(4000)],
        }

        def later(rows):
            for i, start in enumerate(rows["start_us"]):
                if start >= fakes.EPOCH_US + 2400 * 1_000_000:
                    rows["x_a"][i] = 1e6
                    rows["bytes"][i] = 10**12
                    rows["src"][i] = "198.51.100.7"

        found = []
        for name, change in (("as-is", lambda rows: None), ("changed", later)):
            (tmp_path / name).mkdir()
            source = fakes.write_csv(tmp_path / name / "a.csv", self.rows(change))
            run(source, tmp_path / name / "run", split=cut, scorer={"name": "forest"})
            found.append(tmp_path / name / "run")
        one, two = found
        assert fitted_files(one / "bundle") == fitted_files(two / "bundle")
        assert threshold(one / "bundle") == threshold(two / "bundle")
        first, _ = read_scores(one / "scores.parquet")
        second, _ = read_scores(two / "scores.parquet")
        assert first.score.tobytes() != second.score.tobytes()
        # The forests are equal in what they say, too.
        probe = fakes.write_csv(tmp_path / "p.csv", fakes.traffic(50, seed=8))
        for name in found:
            detect(name / "bundle", probe, tmp_path / f"out-{name.parent.name}")
        outs = [
            read_scores(tmp_path / f"out-{n}" / "scores.parquet")[0] for n in ("as-is", "changed")
        ]
        assert outs[0].score.tobytes() == outs[1].score.tobytes()


class TestResume:
    def test_a_killed_run_resumes_to_the_same_numbers(self, tmp_path, source, monkeypatch):
        run(source, tmp_path / "whole", **THREE)
        monkeypatch.setattr(Fragile, "stop_at", 2)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "x", **THREE)
        assert not (tmp_path / "x").exists()
        partial = tmp_path / "x.partial"
        assert sorted(p.name for p in (partial / "work" / "seeds").iterdir()) == ["0.npz", "1.npz"]
        monkeypatch.setattr(Fragile, "stop_at", 1)  # a finished seed is not fitted again
        run(source, tmp_path / "x", resume=True, **THREE)
        assert not partial.exists()
        for name in ("metrics.json", "receipt.json"):
            assert without_times(tmp_path / "x" / name) == without_times(tmp_path / "whole" / name)
        for name in ("alerts.jsonl", "config.toml"):
            assert (tmp_path / "x" / name).read_text() == (tmp_path / "whole" / name).read_text()
        ours, theirs = (pq.read_table(tmp_path / n / "scores.parquet") for n in ("x", "whole"))
        assert ours.equals(theirs, check_metadata=True)

    @pytest.mark.parametrize("at", [0, 4, 9, 14, 19])
    def test_a_run_killed_anywhere_resumes(self, tmp_path, source, at, uninterrupted):
        class Stops:
            """A display that stops the run when its phase number `at` begins."""

            seen = 0

            @contextmanager
            def phase(self, name, total):
                if self.seen == at:
                    raise KeyboardInterrupt
                self.seen += 1
                yield lambda _: None

        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "x", phases=Phases(Stops()), **THREE)
        assert not (tmp_path / "x").exists()
        run(source, tmp_path / "x", resume=True, **THREE)
        assert without_times(tmp_path / "x" / "metrics.json") == uninterrupted

    def test_another_config_or_source_is_refused(self, tmp_path, source, monkeypatch):
        monkeypatch.setattr(Fragile, "stop_at", 0)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "x", **THREE)
        monkeypatch.setattr(Fragile, "stop_at", None)
        other = THREE | {"threshold": {"name": "quantile", "keep": 0.2}}
        with pytest.raises(RunError, match="differs in: experiment"):
            run(source, tmp_path / "x", resume=True, **other)
        kept = source.read_bytes()
        source.write_bytes(kept.replace(b"benign", b"benigx", 1))
        with pytest.raises(RunError, match="differs in: source"):
            run(source, tmp_path / "x", resume=True, **THREE)
        source.write_bytes(kept)
        with pytest.raises(RunError, match="--resume"):
            run(source, tmp_path / "x", **THREE)
        run(source, tmp_path / "x", resume=True, **THREE)

    def test_there_must_be_something_to_resume(self, tmp_path, source):
        with pytest.raises(RunError, match="no unfinished run"):
            run(source, tmp_path / "x", resume=True, **THREE)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


class TestFullDisk:
    """Wherever the disk gets full, no folder has the final name, and the job can go on later."""

    writers = pytest.mark.parametrize(
        ("owner", "name"),
        [
            (store.pq.ParquetWriter, "write_table"),
            (np, "save"),
            (seeds.np, "savez"),
            (outputs.ScoreFile, "add"),
            (Path, "write_text"),
        ],
        ids=["flows", "windows", "seeds", "scores", "text"],
    )

    @writers
    def test_run(self, tmp_path, source, owner, name):
        out = tmp_path / "out" / "x"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, full)
            with pytest.raises(OSError, match="No space left"):
                run(source, out)
        assert not out.exists()
        left = [p.name for p in out.parent.iterdir()]
        assert left == ["x.partial"]
        # Some space later: the same command goes on, or begins if nothing was begun.
        begun = (out.parent / "x.partial" / "identity.json").exists()
        receipt = run(source, out, resume=begun)
        assert receipt.evaluation is not None

    @pytest.mark.parametrize("what", ["fit", "detect"])
    def test_fit_and_detect_leave_nothing(self, done, tmp_path, source, monkeypatch, what):
        folder, _, _ = done
        out = tmp_path / "out" / "x"
        writers = {
            "fit": [(np, "save"), (Path, "write_text"), (store.pq.ParquetWriter, "write_table")],
            "detect": [(outputs.ScoreFile, "add"), (store.pq.ParquetWriter, "write_table")],
        }
        for owner, name in writers[what]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(owner, name, full)
                with pytest.raises(OSError, match="No space left"):
                    fit(source, out) if what == "fit" else detect(folder / "bundle", source, out)
            assert list(out.parent.iterdir()) == []

    @pytest.mark.parametrize("what", ["fit", "detect"])
    def test_stopping_by_hand_leaves_nothing(self, done, tmp_path, source, what):
        folder, _, _ = done
        out = tmp_path / "out" / "x"

        def stop(*_, **__):
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fakes.MedianDistance, "score", stop)
            with pytest.raises(KeyboardInterrupt):
                fit(source, out) if what == "fit" else detect(folder / "bundle", source, out)
        assert list(out.parent.iterdir()) == []


class TestSources:
    def test_flows_without_labels_give_scores_and_a_receipt_without_figures(self, tmp_path, source):
        receipt = run(source, tmp_path / "x", labels=None)
        assert receipt.evaluation is None
        assert receipt.train_attack_share is None
        assert not receipt.labels.evaluation
        assert not (tmp_path / "x" / "metrics.json").exists()
        assert len(read_scores(tmp_path / "x" / "scores.parquet")[0])
        assert Receipt.from_json((tmp_path / "x" / "receipt.json").read_text()) == receipt

    def test_labels_that_match_nothing_are_an_error(self, tmp_path, source):
        (tmp_path / "truth.txt").write_text("123456,scan\n")
        labels = {"labeller": "listed", "truth": "truth.txt"}
        with pytest.raises(RunError, match="say nothing about any of the 300 flows"):
            run(source, tmp_path / "x", labels=labels)

    def test_a_truth_file_lies_beside_the_experiment(self, tmp_path, source):
        (tmp_path / "truth.txt").write_text(
            "".join(f"{i},{'scan' if i % 9 == 0 else 'benign'}\n" for i in range(0, 300, 3))
        )
        receipt = run(source, tmp_path / "x", labels={"labeller": "listed", "truth": "truth.txt"})
        evaluation = receipt.evaluation
        assert evaluation.unknown == pytest.approx(evaluation.test_flows * 2 / 3, abs=1)

    def test_a_test_part_without_attacks_has_no_figures_but_reasons(self, tmp_path):
        rows = fakes.traffic(300)
        half = len(rows["label"]) // 2
        rows["label"][half:] = ["benign"] * (300 - half)
        source = fakes.write_csv(tmp_path / "a.csv", rows)
        receipt = run(source, tmp_path / "x")
        assert receipt.evaluation.headline.attacks == 0
        metrics = (tmp_path / "x" / "metrics.json").read_text()
        assert "NaN" not in metrics

    def test_an_empty_part_is_an_error_that_names_it(self, tmp_path):
        rows = fakes.traffic(300)
        source = fakes.write_csv(tmp_path / "a.csv", rows)
        with pytest.raises(RunError, match="no flow in its test part"):
            run(source, tmp_path / "x", split=LATE)
        # One late flow stretches the axis, so that the middle is empty.
        rows["start_us"][-1] = rows["end_us"][-1] = fakes.EPOCH_US + 10**12
        source = fakes.write_csv(tmp_path / "b.csv", rows)
        with pytest.raises(RunError, match="no flow in its calibrate part"):
            run(source, tmp_path / "y")

    def test_fit_needs_no_test_part(self, tmp_path, source):
        assert fit(source, tmp_path / "b", split=LATE)

    def test_a_source_without_a_clock(self, tmp_path):
        source = fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300, clock=False))
        rows = {"protocol": "rows", "train": 0.5, "calibrate": 0.2}
        graph = {"builder": "flow-host", "window_flows": 20}
        with pytest.raises(ConfigError, match=r"split\.protocol = 'rows'"):
            run(source, tmp_path / "a", graph=graph)
        with pytest.raises(IncompatiblePartsError, match="need a clock"):
            run(source, tmp_path / "b", split=rows)
        receipt = run(source, tmp_path / "x", split=rows, graph=graph)
        assert receipt.data[0].time_basis == "row-order"
        found = detect(tmp_path / "x" / "bundle", source, tmp_path / "out")
        assert found.flows == 300
        scores, _ = read_scores(tmp_path / "x" / "scores.parquet")
        everything, _ = read_scores(tmp_path / "out" / "scores.parquet")
        assert everything.score[-len(scores) :].tobytes() == scores.score.tobytes()

    def test_rows_in_any_order_and_rows_that_are_rejected(self, tmp_path):
        rows = fakes.traffic(300)
        order = np.random.default_rng(2).permutation(300)
        rows = {name: [values[i] for i in order] for name, values in rows.items()}
        rows["bytes"][7] = "many"
        source = fakes.write_csv(tmp_path / "a.csv", rows)
        receipt = run(source, tmp_path / "x")
        assert receipt.data[0].flows == 299
        assert receipt.data[0].rows_rejected == 1
        starts = pq.read_table(tmp_path / "x" / "scores.parquet")["window_start"].to_numpy()
        assert np.all(np.diff(starts) >= 0)

    def test_nan_that_no_transform_resolved(self, tmp_path):
        source = fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))
        features = {"transforms": [], "set": ["x_a", "bwd_bytes"]}
        with pytest.raises(ContractError, match="Put `clean` first"):
            run(source, tmp_path / "x", features=features)

    def test_a_shortcut_that_is_allowed_is_in_the_receipt(self, tmp_path, source):
        receipt = run(
            source,
            tmp_path / "x",
            features={"transforms": ["center"], "allow_shortcuts": ["dst_port"]},
        )
        assert receipt.features.allowed_shortcuts == ("dst_port",)
        assert "dst_port" in receipt.features.names

    def test_fit_flows_bounds_what_is_fitted_on_by_a_seeded_sample(self, tmp_path):
        source = fakes.write_csv(tmp_path / "a.csv", fakes.traffic(500))
        features = {"transforms": ["center"], "fit_flows": 100}
        fit(source, tmp_path / "few", features=features)
        fit(source, tmp_path / "again", features=features)
        fit(source, tmp_path / "all")
        few, again, whole = (fitted_files(tmp_path / n) for n in ("few", "again", "all"))
        assert few == again
        assert few["transform-0.safetensors"] != whole["transform-0.safetensors"]
        assert few["counts.safetensors"] == whole["counts.safetensors"]

    def test_a_source_that_is_not_there(self, tmp_path):
        with pytest.raises(SourceError, match="no such source"):
            run(tmp_path / "absent.csv", tmp_path / "x")
        assert list(tmp_path.iterdir()) == []

    def test_a_builder_that_reorders_flows(self, tmp_path, source, monkeypatch):
        build = fakes.FlowHost.build

        def reversing(self, flows, features, window):
            graphs = build(self, flows, features, window)
            object.__setattr__(graphs, "flow_id", graphs.flow_id[::-1].copy())
            return graphs

        monkeypatch.setattr(fakes.FlowHost, "build", reversing)
        with pytest.raises(ContractError, match="changed the order"):
            run(source, tmp_path / "x")
        assert not (tmp_path / "x").exists()
