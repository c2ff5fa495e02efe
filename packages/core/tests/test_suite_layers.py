"""Experiment files laid over one another: what goes before what, and from where paths count."""

from __future__ import annotations

from pathlib import Path

import pytest

from netvigil import parts
from netvigil.config import Experiment, load_experiment, part_config
from netvigil.errors import ConfigError
from netvigil.layers import NAMED_BY, laid_over, read_layers


@pytest.fixture
def write(tmp_path):
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write_file


class Paths(parts.PartConfig):
    truth: Path | None = None


def test_tables_are_merged_and_lists_replaced():
    under = {"run": {"seeds": [0, 1], "device": "cpu"}, "split": {"train": 0.6}}
    over = {"run": {"seeds": [7]}, "graph": {"builder": "x"}}
    assert laid_over(under, over) == {
        "run": {"seeds": [7], "device": "cpu"},
        "split": {"train": 0.6},
        "graph": {"builder": "x"},
    }
    assert under["run"]["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("under", "over", "left"),
    [
        ({"name": "knn", "k": 5}, {"name": "hbos"}, {"name": "hbos"}),
        ({"name": "knn", "k": 5}, {"name": "knn", "p": 1}, {"name": "knn", "k": 5, "p": 1}),
        ({"name": "knn", "k": 5}, {"p": 1}, {"name": "knn", "k": 5, "p": 1}),
        ({"n": 5}, {"name": "pca"}, {"n": 5, "name": "pca"}),
        ({"n": 5}, {"name": "hbos"}, {"name": "hbos"}),
    ],
)
def test_another_part_takes_over_no_settings(under, over, left):
    assert laid_over({"scorer": under}, {"scorer": over}) == {"scorer": left}


def test_another_reader_keeps_the_source():
    under = {"flows": {"source": "a", "reader": "zeek", "logs": 2}}
    over = {"flows": {"reader": "csv"}}
    assert laid_over(under, over) == {"flows": {"source": "a", "reader": "csv"}}


@pytest.mark.parametrize("section", NAMED_BY)
def test_the_names_of_parts_are_those_of_the_sections(section):
    key, default = NAMED_BY[section]
    annotation = Experiment.model_fields[section].annotation
    model = next(
        m for m in (annotation, *getattr(annotation, "__args__", ())) if hasattr(m, "model_fields")
    )
    field = model.model_fields[key]
    assert ("" if field.is_required() else field.default) == default


def test_an_experiment_extends_another(write):
    write("base.toml", '[flows]\nsource = "a.csv"\n[run]\nseeds = [1, 2]\ndevice = "cpu"\n')
    write("middle.toml", 'extends = "base.toml"\n[run]\nseeds = [3]\n')
    path = write("top.toml", 'extends = "middle.toml"\n[scorer]\nname = "hbos"\n')
    experiment = load_experiment(path, ["run.device=cuda"])
    assert experiment.run.seeds == (3,)
    assert experiment.run.device == "cuda"
    assert experiment.scorer.name == "hbos"


def test_paths_count_from_the_file_that_says_them(write, tmp_path):
    write(
        "data/base.toml", '[flows]\nsource = "a.csv"\n[labels]\nlabeller = "x"\ntruth = "t.txt"\n'
    )
    path = write("top.toml", 'extends = "data/base.toml"\n')
    experiment = load_experiment(path)
    assert experiment.flows.source == tmp_path / "data" / "a.csv"
    settings = part_config(Paths, experiment.labels.options, where="", base=tmp_path)
    assert settings.truth == tmp_path / "data" / "t.txt"
    own = write("own.toml", 'extends = "data/base.toml"\n[flows]\nsource = "b.csv"\n')
    assert load_experiment(own).flows.source == tmp_path / "b.csv"


def test_what_is_typed_counts_from_where_it_is_typed(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("data/base.toml", '[flows]\nsource = "a.csv"\n')
    path = write("x/top.toml", 'extends = "../data/base.toml"\n')
    assert load_experiment(path, ["flows.source=c.csv"]).flows.source == tmp_path / "c.csv"


def test_what_is_written_down_is_plain_text(write):
    write("d/base.toml", '[flows]\nsource = "a.csv"\nlimit = "x"\n')
    experiment = load_experiment(write("top.toml", 'extends = "d/base.toml"\n'))
    assert '"limit":"x"' in experiment.model_dump_json()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends = 3", ["one experiment file", "Found: 3"]),
        ('extends = "absent.toml"', ["does not exist: absent.toml", "top.toml"]),
        ('extends = "top.toml"', ["in a circle", "top.toml -> top.toml"]),
        ('extends = "round.toml"', ["in a circle", "top.toml -> round.toml -> top.toml"]),
        ('extends = "suite.toml"', ["names a suite"]),
        ('extends = "broken.toml"', ["not readable TOML", "broken.toml"]),
    ],
)
def test_what_cannot_be_extended(write, text, words):
    write("round.toml", 'extends = "top.toml"')
    write("suite.toml", "[suite]\n")
    write("broken.toml", "[flows\n")
    with pytest.raises(ConfigError) as caught:
        read_layers(write("top.toml", text))
    for word in words:
        assert word in str(caught.value)


def test_a_suite_is_not_one_experiment(write):
    path = write("many.toml", '[flows]\nsource = "a.csv"\n[suite]\n')
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    assert str(caught.value).splitlines()[0].startswith("This file is a suite")
    assert "netvigil run many.toml" in str(caught.value)
