"""Parts are chosen by name and checked against each other before a byte is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netvigil import hookimpl, parts
from netvigil.contracts import EncodedFlows, FlowFeatures
from netvigil.errors import (
    ConfigError,
    ContractError,
    IncompatiblePartsError,
    PluginConflictError,
    UnknownPartError,
)
from netvigil.features import FeatureContract
from netvigil.pipeline import apply_transforms, assemble, encode_checked, fit_transforms

from . import fakes

ABSENT = Path("/nowhere/flows.csv")


def assembled(plugins=None, **sections):
    experiment = fakes.experiment(ABSENT, **sections)
    return assemble(experiment, plugins or fakes.plugins(), base=ABSENT.parent)


def test_every_part_is_chosen_with_its_settings():
    squared = {"name": "median-distance", "label": "squared", "power": 2}
    found = assembled(evaluate={"also": ["forest", squared]})
    assert found.builder.config.window_s == 60
    assert found.encoder.name == "sigma"
    assert [c.name for c in found.also] == ["forest", "median-distance"]
    assert [c.row for c in found.also] == ["forest", "squared"]
    assert found.also[1].config.power == 2
    assert found.labeller.name == "inline"
    assert found.exporter.name == "jsonl"
    assert found.executor.name == "serial"
    assert found.scorer.make() is not found.scorer.make()


def test_what_a_manifest_says_about_a_part():
    found = assembled().threshold.describe()
    assert found["name"] == "quantile"
    assert found["config"] == {"keep": 0.1}
    assert set(found) == {"name", "config", "distribution", "version"}


class TestRefused:
    """Impossible pipelines are refused although the source does not even exist."""

    @pytest.mark.parametrize("place", ["also", "baselines"])
    def test_two_rows_of_one_name(self, place):
        twice = ["forest", {"name": "forest"}]
        with pytest.raises(ConfigError) as caught:
            assembled(evaluate={"baselines": [], place: twice})
        assert str(caught.value).splitlines() == [
            "Two rows would be called 'forest' in the table.",
            f"[evaluate.{place}]",
            "Give one a label: {name = 'forest', label = 'forest-2', ...}.",
        ]

    def test_an_encoder_that_cannot_read_the_windows(self):
        with pytest.raises(IncompatiblePartsError) as caught:
            assembled(graph={"builder": "none"})
        text = str(caught.value)
        assert (
            "Encoder 'sigma' reads flow-host windows, but builder 'none' makes flows-only" in text
        )
        assert "flow-host" in text.splitlines()[-1]

    @pytest.mark.parametrize("place", ["scorer", "also"])
    def test_a_scorer_that_needs_what_the_encoder_does_not_emit(self, place):
        sections = {"encoder": {"name": "raw"}}
        if place == "scorer":
            sections["scorer"] = {"name": "terms"}
        else:
            sections["evaluate"] = {"also": ["terms"]}
        with pytest.raises(IncompatiblePartsError) as caught:
            assembled(**sections)
        text = str(caught.value)
        assert "Scorer 'terms' needs error terms, but encoder 'raw' emits only embedding." in text
        assert "Scorers that fit: crowd" in text
        assert "forest" in text

    def test_a_supervised_threshold_without_labels(self):
        with pytest.raises(ConfigError, match="'lowest-attack' is supervised"):
            assembled(labels=None, threshold={"name": "lowest-attack"})

    def test_a_transductive_scorer(self):
        with pytest.raises(IncompatiblePartsError, match="no bundle can carry") as caught:
            assembled(scorer={"name": "crowd"})
        assert "evaluate.also" in str(caught.value)
        assert assembled(evaluate={"also": ["crowd"]}).also[0].name == "crowd"

    @pytest.mark.parametrize(
        ("sections", "name"),
        [
            ({"encoder": {"name": "sigmar"}}, "'sigma'"),
            ({"graph": {"builder": "flow-hosts"}}, "'flow-host'"),
            ({"threshold": {"name": "quantil"}}, "'quantile'"),
            ({"labels": {"labeller": "inlin"}}, "'inline'"),
            ({"features": {"transforms": ["centre"]}}, "'center'"),
            ({"alerts": {"exporter": "json"}}, "'jsonl'"),
            ({"run": {"executor": "seriell"}}, "'serial'"),
            ({"evaluate": {"also": ["forrest"]}}, "'forest'"),
        ],
    )
    def test_an_unknown_part_of_any_kind(self, sections, name):
        with pytest.raises(UnknownPartError, match=f"Did you mean {name}"):
            assembled(**sections)

    def test_a_name_that_two_plugins_provide(self):
        class Other:
            @hookimpl
            def netvigil_scorers(self):
                yield parts.Scorer(name="median-distance", summary="Another.", make=lambda c: c)

        with pytest.raises(PluginConflictError, match="median-distance"):
            assembled(fakes.plugins(Other()))
        # It hurts nobody who does not ask for it.
        assert assembled(
            fakes.plugins(Other()), scorer={"name": "forest"}, evaluate={"baselines": []}
        )


def test_a_baseline_whose_package_is_absent_is_named_instead():
    found = assembled(evaluate={"baselines": ["pca", "forest"]})
    assert [c.name for c in found.baselines] == ["forest"]
    assert found.absent_baselines == ("pca",)


class TestDevice:
    def test_it_reaches_an_encoder_that_has_the_setting(self):
        assert assembled(run={"device": "cuda:1"}).encoder.config.device == "cuda:1"

    def test_the_encoder_s_own_setting_wins(self):
        found = assembled(run={"device": "cuda:1"}, encoder={"name": "sigma", "device": "cpu"})
        assert found.encoder.config.device == "cpu"

    def test_it_reaches_a_transform_that_has_the_setting(self):
        own = {"name": "center", "device": "cpu"}
        found = assembled(run={"device": "cuda:1"}, features={"transforms": ["center", own]})
        assert [c.config.device for c in found.transforms] == ["cuda:1", "cpu"]

    def test_an_encoder_without_it_is_left_alone(self):
        found = assembled(encoder={"name": "raw"}, run={"device": "cuda:1"})
        assert found.encoder.config == parts.NoConfig()


def test_each_transform_is_fitted_on_what_the_one_before_makes():
    rows = {n: v for n, v in fakes.traffic(40).items() if n != "label"}
    flows = fakes.make_flows(rows)
    contract = FeatureContract(numeric=("x_a", "x_b", "bwd_bytes"), categories=("protocol",))
    chosen = assembled(features={"transforms": ["center", "center"]}).transforms
    pieces = [flows.slice(0, 11), flows.slice(11)]
    fitted, profile = fit_transforms(chosen, pieces, contract, seed=0)
    # The first brings medians to 0, so the second finds them there.
    assert fitted[1].median_ == pytest.approx([0, 0, 0])
    assert fitted[0].median_[0] == pytest.approx(np.median(rows["x_a"]))
    assert profile.names == contract.numeric
    from netvigil.features import extract

    whole = apply_transforms(fitted, extract(flows, contract))
    assert whole.categories == {}
    assert profile.mean == pytest.approx(whole.x.mean(axis=0), abs=1e-6)
    # A row never depends on its companions.
    alone = apply_transforms(fitted, extract(flows.slice(5, 1), contract))
    assert np.array_equal(alone.x[0], whole.x[5])


class TestEncodeChecked:
    def windows(self):
        rows = {n: v for n, v in fakes.traffic(20).items() if n != "label"}
        flows = fakes.make_flows(rows)
        x = np.array([rows["x_a"]], np.float32).T.copy()
        made = fakes.FlowsOnly(fakes.WindowConfig(window_s=600))
        return made.build(flows, FlowFeatures(x, ("x_a",)), made.window_of(flows, first_row=0))

    @pytest.mark.parametrize(
        "spoil", [lambda ids: ids[:-1], lambda ids: ids[::-1], lambda ids: ids + 1]
    )
    def test_an_encoder_that_loses_or_reorders_flows_is_named(self, spoil):
        windows = self.windows()

        class Bad:
            def encode(self, windows):
                ids = spoil(windows.flow_id)
                return EncodedFlows(ids, ids, embedding=np.zeros((len(ids), 1), np.float32))

        with pytest.raises(IncompatiblePartsError, match="encoder 'acme'") as caught:
            encode_checked(Bad(), "acme", windows)
        assert "exactly once" in str(caught.value)

    def test_numbers_that_are_not_finite_are_refused(self):
        windows = self.windows()

        class Bad:
            def encode(self, windows):
                x = np.full((len(windows.flow_id), 1), np.nan, np.float32)
                return EncodedFlows(windows.flow_id, windows.flow_id, embedding=x)

        with pytest.raises(ContractError, match="NaN or infinity"):
            encode_checked(Bad(), "acme", windows)
