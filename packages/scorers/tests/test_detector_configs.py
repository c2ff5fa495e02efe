from __future__ import annotations

import inspect
from importlib import import_module

import pytest
from pydantic import ValidationError

from netvigil_scorers import detector_configs as configs
from netvigil_scorers import sklearn_configs
from netvigil_scorers.pyod_adapter import DETECTORS

# Where ours differ, the reason stands beside the default.
OURS = {("pca", "n_components"), ("dbscan", "eps"), ("nystroem-ocsvm", "average")}
# The class that is fitted has no say in these.
OURS_ALONE = {"fit_rows", "shared_rows", "ridge", "by", "passes"}
# The kernel's two settings are named as in the class that makes the features.
OF_NYSTROEM = {"gamma", "n_components"}


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_names_and_defaults_are_those_of_the_class_that_is_fitted(detector):
    module, _, kind = detector.source.partition(":")
    theirs = inspect.signature(getattr(import_module(module), kind)).parameters
    ours = OURS_ALONE | (OF_NYSTROEM if detector.name == "nystroem-ocsvm" else set())
    for name, field in detector.config.model_fields.items():
        if name in ours:
            continue
        assert name in theirs
        if (detector.name, name) not in OURS:
            assert field.default == theirs[name].default


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_no_setting_cuts_scores(detector):
    assert not {"contamination", "random_state"} & set(detector.config.model_fields)


def test_settings_bend_to_few_flows():
    assert configs.CblofConfig().settings(3)["n_clusters"] == 3
    assert configs.GmmConfig(n_components=5).settings(2)["n_components"] == 2
    assert configs.LofConfig().settings(10)["n_neighbors"] == 9
    assert configs.KnnConfig().settings(1)["n_neighbors"] == 1
    assert configs.IForestConfig(max_samples=500).settings(90)["max_samples"] == 90


def test_clusters_are_no_larger_than_what_there_is():
    few = sklearn_configs.HdbscanConfig().settings(3)
    assert (few["min_cluster_size"], few["min_samples"]) == (3, 3)
    assert sklearn_configs.HdbscanConfig(min_samples=2).settings(9)["min_samples"] == 2
    assert sklearn_configs.HdbscanConfig().settings(1)["min_cluster_size"] == 2
    assert sklearn_configs.DbscanConfig().settings(3)["min_samples"] == 3
    assert "eps" not in sklearn_configs.DbscanConfig().settings(9)
    assert sklearn_configs.DbscanConfig(eps=0.5).settings(9)["eps"] == 0.5


def test_settings_survive_a_bundle_as_json():
    config = sklearn_configs.DbscanConfig()
    assert type(config).model_validate(config.model_dump(mode="json")) == config


def test_a_whole_number_of_components_stays_whole():
    assert configs.PcaConfig(n_components=3.0).settings(9)["n_components"] == 3
    assert configs.PcaConfig(n_components=0.5).settings(9)["n_components"] == 0.5


def test_shared_encodings_have_a_cap_of_their_own():
    config = configs.HbosConfig(fit_rows=None)
    assert config.most_rows(shared=False) is None
    assert config.most_rows(shared=True) == 100_000
    assert configs.KnnConfig().most_rows(shared=True) == 50_000
    assert configs.PcaConfig().most_rows(shared=False) == 500_000
    assert configs.PcaConfig(shared_rows=None).most_rows(shared=True) == 500_000
    assert configs.HbosConfig(fit_rows=None, shared_rows=None).most_rows(shared=True) is None


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (configs.HbosConfig, {"n_bins": 1}),
        (configs.HbosConfig, {"n_bins": "many"}),
        (configs.CblofConfig, {"beta": 1}),
        (configs.KnnConfig, {"algorithm": "kd_tree"}),
        (configs.PcaConfig, {"contamination": 0.1}),
        (configs.OcsvmConfig, {"nu": 0}),
        (configs.IForestConfig, {"fit_rows": 0}),
        (sklearn_configs.DbscanConfig, {"eps": 0}),
        (sklearn_configs.DbscanConfig, {"eps": "large"}),
        (sklearn_configs.DbscanConfig, {"by": "size"}),
        (sklearn_configs.HdbscanConfig, {"min_cluster_size": 1}),
        (sklearn_configs.NystroemOcsvmConfig, {"passes": 0}),
    ],
)
def test_wrong_settings_are_refused(config, given):
    with pytest.raises(ValidationError):
        config(**given)
