"""The file goes before parity, parity before the preset, the preset before the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from netvigil import hookimpl, parts
from netvigil.config import parse_experiment
from netvigil.errors import ConfigError, UnknownPartError
from netvigil.overlays import resolve, said

from . import fakes

PRESETS = {
    "published": {
        "encoder": {"epochs": 7},
        "scorer": {"name": "forest"},
        "threshold": {"name": "quantile", "keep": 0.3},
        "features": {"transforms": [{"name": "center", "scale": False}]},
        "graph": {"builder": "flow-host", "window_s": 30},
        "split": {"train": 0.7},
        "train": {"drop_attacks": True},
    },
    "quick": {"encoder": {"epochs": 1}},
}
PARITY = {
    "split": {"protocol": "paper-shuffled", "train": 0.65},
    "encoder": {"epochs": 4},
    "notes": {"text": ["each flow counts twice"], "encoder.epochs": "four epochs"},
}


class Official:
    """An encoder with published settings."""

    presets = PRESETS
    parity = PARITY

    @hookimpl
    def netvigil_encoders(self):
        yield parts.Encoder(
            name="official",
            summary="Distance in deviations, with presets.",
            config=fakes.SigmaConfig,
            make=fakes.Sigma,
            presets=self.presets,
            parity=self.parity,
        )


def resolved(plugin=None, **sections):
    """Resolve an experiment that says nothing but its source, encoder and `sections`."""
    values = {"flows": {"source": "/nowhere/a.csv"}, "encoder": {"name": "official"}} | sections
    experiment = parse_experiment(values, base=Path())
    return resolve(experiment, fakes.plugins(plugin or Official()))


def test_without_preset_and_parity_nothing_changes():
    plain = fakes.experiment(Path("/nowhere/a.csv"))
    assert resolve(plain, fakes.plugins()) is plain


def test_a_preset_goes_before_the_defaults():
    found = resolved(encoder={"name": "official", "preset": "published"})
    assert found.encoder.preset == "published"
    assert found.encoder.options == {"epochs": 7}
    assert (found.scorer.name, found.graph.options) == ("forest", {"window_s": 30})
    assert found.threshold.options == {"keep": 0.3}
    assert found.features.transforms[0].options == {"scale": False}
    assert (found.split.train, found.split.calibrate) == (0.7, 0.1)
    assert found.train.drop_attacks
    assert found.flows.source == Path("/nowhere/a.csv")
    # Without it, nothing of all this.
    assert resolved().scorer.name == "pca"


def test_the_file_goes_before_the_preset():
    found = resolved(
        encoder={"name": "official", "preset": "published", "epochs": 2, "device": "cpu"},
        threshold={"keep": 0.1},
        graph={"builder": "flow-host", "window_flows": 9},
        split={"train": 0.6},
        features={"transforms": ["center"]},
    )
    assert found.encoder.options == {"epochs": 2, "device": "cpu"}
    assert (found.threshold.name, found.threshold.options) == ("quantile", {"keep": 0.1})
    assert found.graph.options == {"window_s": 30, "window_flows": 9}
    assert found.split.train == 0.6  # said in the file, though it is the default as well
    assert found.features.transforms[0].options == {}


def test_another_part_takes_over_none_of_the_settings():
    found = resolved(
        encoder={"name": "official", "preset": "published"},
        threshold={"name": "lowest-attack"},
        scorer={"name": "median-distance", "power": 2},
        graph={"builder": "none"},
    )
    assert (found.threshold.name, found.threshold.options) == ("lowest-attack", {})
    assert (found.scorer.name, found.scorer.options) == ("median-distance", {"power": 2})
    assert (found.graph.builder, found.graph.options) == ("none", {})


def test_parity_goes_before_the_preset_and_behind_the_file():
    both = {"encoder": {"name": "official", "preset": "published"}, "run": {"parity": True}}
    found = resolved(**both)
    assert found.encoder.options == {"epochs": 4}
    assert (found.split.protocol, found.split.train) == ("paper-shuffled", 0.65)
    assert found.scorer.name == "forest"
    assert found.run.parity
    found = resolved(**both, split={"protocol": "time"})
    assert (found.split.protocol, found.split.train) == ("time", 0.65)


def test_parity_of_an_encoder_without_an_official_pipeline_only_permits():
    found = resolved(encoder={"name": "sigma"}, run={"parity": True})
    assert said(found) == {
        "flows": {"source": Path("/nowhere/a.csv")},
        "encoder": {"name": "sigma"},
        "run": {"parity": True},
    }


@pytest.mark.parametrize("parity", [False, True])
def test_resolving_twice_changes_nothing(parity):
    once = resolved(
        encoder={"name": "official", "preset": "published"}, run={"parity": parity, "seeds": [3]}
    )
    assert resolve(once, fakes.plugins(Official())) == once
    # Nor does a way through a file, as a run folder keeps it.
    values = once.model_dump(mode="json", exclude_none=True)
    again = parse_experiment(values, base=Path("/nowhere"))
    assert resolve(again, fakes.plugins(Official())) == once


def test_what_an_experiment_says_is_not_what_it_defaults_to():
    experiment = fakes.experiment(Path("/nowhere/a.csv"), split=None, labels=None)
    found = said(experiment)
    assert "split" not in found
    assert "labels" not in found
    assert found["graph"] == {"builder": "flow-host", "window_s": 60}


class TestRefused:
    def test_an_unknown_preset(self):
        with pytest.raises(ConfigError, match="no preset 'publishd'") as caught:
            resolved(encoder={"name": "official", "preset": "publishd"})
        assert "Did you mean 'published'?" in str(caught.value)
        assert "published, quick" in str(caught.value)

    def test_a_preset_of_an_encoder_without(self):
        with pytest.raises(ConfigError, match="'sigma' publishes no presets"):
            resolved(encoder={"name": "sigma", "preset": "published"})

    def test_an_unknown_encoder(self):
        with pytest.raises(UnknownPartError, match="Did you mean 'official'"):
            resolved(encoder={"name": "oficial", "preset": "published"})

    def test_settings_that_do_not_go_together(self):
        with pytest.raises(ConfigError, match="drop_attacks leaves no attacks") as caught:
            resolved(
                encoder={"name": "official", "preset": "published"},
                train={"benign_window_keep": 0.1},
            )
        assert "preset 'published' of encoder 'official'" in str(caught.value)

    @pytest.mark.parametrize(
        "preset", [{"run": {"parity": True}}, {"encoder": {"preset": "other"}}]
    )
    def test_a_preset_that_switches_what_only_a_file_may(self, preset):
        sneaky = Official()
        sneaky.presets = {"sneaky": preset}
        with pytest.raises(ConfigError, match=r"sets (run\.parity|encoder\.preset)"):
            resolved(sneaky, encoder={"name": "official", "preset": "sneaky"})
