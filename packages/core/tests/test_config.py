"""Experiment files: every mistake is named with its place and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from netvigil import parts
from netvigil.config import (
    Choice,
    Experiment,
    load_experiment,
    parse_experiment,
    part_config,
)
from netvigil.errors import ConfigError, UnknownPartError
from netvigil.pipeline import assemble

from . import fakes

MINIMAL = '[flows]\nsource = "flows.csv"\n'


@pytest.fixture
def write(tmp_path):
    def write_file(text: str | bytes) -> Path:
        path = tmp_path / "experiment.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def refused(call, *words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    text = str(caught.value)
    for word in words:
        assert word in text, text
    return text


def test_defaults_and_relative_source(write, tmp_path):
    experiment = load_experiment(write(MINIMAL))
    assert experiment.flows.source == tmp_path / "flows.csv"
    assert experiment.flows.reader == "auto"
    assert experiment.labels is None
    assert not experiment.train.uses_labels
    assert experiment.run.seeds == (0, 1, 2, 3, 4)


def test_an_absolute_source_stays(write):
    assert load_experiment(write('[flows]\nsource = "/data/x.csv"')).flows.source == Path(
        "/data/x.csv"
    )


def test_a_byte_order_mark_is_passed_over(write):
    assert load_experiment(write(b"\xef\xbb\xbf" + MINIMAL.encode())).flows.reader == "auto"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[flows\nsource = 1", ["not readable TOML", "experiment.toml", "line 1"]),
        (b"[flows]\nsource = '\xff'", ["not readable TOML", "experiment.toml"]),
        ("[flows]\nreader = 'tiny'", ["'flows.source' is missing"]),
        ("", ["'flows' is missing"]),
        (MINIMAL + "[skorer]\nname = 'x'", ["'skorer'", "Did you mean 'scorer'?"]),
        (MINIMAL + "[split]\nprotocl = 'time'", ["'split.protocl'", "Did you mean 'protocol'?"]),
        (MINIMAL + "[train]\nxyz = 1", ["'train.xyz'", "Valid keys", "drop_attacks"]),
        (MINIMAL + "[run]\nseeds = ['a']", ["run.seeds", "Found: 'a'"]),
        (MINIMAL + "[run]\nseeds = []", ["seeds must be distinct, and at least one"]),
        (MINIMAL + "[run]\nseeds = [1, 1]", ["seeds must be distinct"]),
        (MINIMAL + "[split]\ntrain = 1.5", ["split.train", "less than or equal to 1"]),
        (MINIMAL + "[split]\ntrain = 'much'", ["split.train", "number"]),
        (MINIMAL + "[split]\ntrain = 0.8\ncalibrate = 0.2", ["leave something to test"]),
        (MINIMAL + "[split]\nprotocol = 'random'", ["split.protocol", "'paper-shuffled'"]),
        (MINIMAL + "[split]\nprotocol = 'ranges'", ["needs train_range"]),
        (MINIMAL + "[split]\ntest_range = ['a', 'b']", ["need protocol = 'ranges'"]),
        (
            MINIMAL + "[train]\ndrop_attacks = true\ntarget_contamination = 0.1",
            ["drop_attacks leaves no"],
        ),
        (MINIMAL + "[features]\ntransforms = [1]", ["features.transforms"]),
        (
            MINIMAL + "[evaluate]\nresample = 3",
            ["'evaluate.resample'", "Did you mean 'resamples'?"],
        ),
        ("split = 3\n" + MINIMAL, ["'split'"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_way_out(write, text, words):
    refused(lambda: load_experiment(write(text)), *words)


def test_no_such_file(tmp_path):
    refused(lambda: load_experiment(tmp_path / "absent.toml"), "no such experiment", "absent.toml")


def test_a_folder_is_no_experiment(tmp_path):
    refused(lambda: load_experiment(tmp_path), "not readable TOML", str(tmp_path))


def test_keys_beside_a_part_name_are_its_settings(write):
    experiment = load_experiment(write(MINIMAL + "[scorer]\nname = 'hbos'\nn_bins = 20"))
    assert experiment.scorer.name == "hbos"
    assert experiment.scorer.options == {"n_bins": 20}


def test_a_part_in_a_list_is_a_name_or_a_table(write):
    text = MINIMAL + "[features]\ntransforms = ['clean', {name = 'log1p', base = 2}]"
    assert load_experiment(write(text)).features.transforms == (
        Choice(name="clean"),
        Choice(name="log1p", options={"base": 2}),
    )


class TestOverrides:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("scorer.name=hbos", lambda e: e.scorer.name == "hbos"),
            ("scorer.n_bins=20", lambda e: e.scorer.options == {"n_bins": 20}),
            ("run.seeds=[3, 4]", lambda e: e.run.seeds == (3, 4)),
            ("train.drop_attacks=true", lambda e: e.train.drop_attacks is True),
            ("split.train = 0.25", lambda e: e.split.train == 0.25),
            ("labels.truth=a=b.txt", lambda e: e.labels.options == {"truth": "a=b.txt"}),
        ],
    )
    def test_by_path(self, write, text, found):
        assert found(load_experiment(write(MINIMAL), [text]))

    def test_the_last_one_wins(self, write):
        path = write(MINIMAL)
        assert load_experiment(path, ["scorer.name=a", "scorer.name=b"]).scorer.name == "b"

    @pytest.mark.parametrize("text", ["scorer", "scorer=x", "scorer.name", "=x", "a..b=1", ".a=1"])
    def test_one_that_is_none(self, write, text):
        refused(lambda: load_experiment(write(MINIMAL), [text]), "not an override", "--set")

    def test_a_key_inside_a_value(self, write):
        path = write(MINIMAL)
        refused(lambda: load_experiment(path, ["flows.source.name=1"]), "'source'", "no section")

    def test_the_nearest_key_is_named_too(self, write):
        path = write(MINIMAL)
        refused(lambda: load_experiment(path, ["split.trian=0.5"]), "Did you mean 'train'?")

    def test_the_values_given_stay_as_they_are(self, tmp_path):
        values = {"flows": {"source": "a.csv", "nested": {"key": 1}}}
        parse_experiment(values, base=tmp_path, overrides=["flows.nested.key=2"])
        assert values == {"flows": {"source": "a.csv", "nested": {"key": 1}}}


class Settings(parts.PartConfig):
    truth: Path = Path("events.txt")
    tolerance_s: float = 0.0


class TestPartSettings:
    def test_relative_paths_start_from_the_experiment(self, tmp_path):
        made = part_config(Settings, {"truth": "a/b.txt"}, where="[labels] events", base=tmp_path)
        assert made.truth == tmp_path / "a/b.txt"
        kept = part_config(Settings, {"truth": "/x.txt"}, where="[labels] events", base=tmp_path)
        assert kept.truth == Path("/x.txt")

    def test_an_unknown_key_names_the_section_the_part_and_the_nearest(self, tmp_path):
        refused(
            lambda: part_config(
                Settings, {"tolerence_s": 1}, where="[labels] events", base=tmp_path
            ),
            "'tolerence_s'",
            "[labels] events",
            "Did you mean 'tolerance_s'?",
        )

    def test_a_wrong_type_names_the_section_and_the_part(self, tmp_path):
        refused(
            lambda: part_config(
                Settings, {"tolerance_s": "long"}, where="[labels] events", base=tmp_path
            ),
            "'tolerance_s'",
            "[labels] events",
            "Found: 'long'",
        )


class TestWithParts:
    """What `resolve`s only when the parts are known."""

    @pytest.mark.parametrize(
        ("sections", "words"),
        [
            ({"threshold": {"name": "quantile", "kep": 0.1}}, ["[threshold] quantile", "'keep'"]),
            ({"encoder": {"name": "sigma", "epoch": 3}}, ["[encoder] sigma", "'epochs'"]),
            ({"encoder": {"name": "sigma", "epochs": "x"}}, ["[encoder] sigma", "'epochs'"]),
            (
                {"features": {"transforms": [{"name": "center", "scal": 1}]}},
                ["[features.transforms] center", "'scale'"],
            ),
            ({"graph": {"bulder": "flow-host"}}, ["[graph] none", "Did you mean 'builder'?"]),
            ({"labels": {"labeler": "inline"}}, ["[labels] inline", "Did you mean 'labeller'?"]),
        ],
    )
    def test_a_wrong_setting(self, tmp_path, sections, words):
        experiment = fakes.experiment(tmp_path / "a.csv", **sections)
        refused(lambda: assemble(experiment, fakes.plugins(), base=tmp_path), *words)

    def test_an_unknown_part(self, tmp_path):
        experiment = fakes.experiment(tmp_path / "a.csv", scorer={"name": "median-distanse"})
        with pytest.raises(UnknownPartError, match="Did you mean 'median-distance'"):
            assemble(experiment, fakes.plugins(), base=tmp_path)


def test_a_resolved_experiment_reads_back_as_the_same(tmp_path):
    experiment = fakes.experiment(tmp_path / "a.csv", train={"drop_attacks": True})
    path = tmp_path / "resolved.toml"
    path.write_text(tomli_w.dumps(experiment.model_dump(mode="json", exclude_none=True)), "utf-8")
    assert load_experiment(path) == experiment


def test_every_section_says_what_it_is_for():
    for name, field in Experiment.model_fields.items():
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        documented = next(k for k in kinds if hasattr(k, "model_fields"))
        assert f"`[{name}]`" in documented.__doc__
