from __future__ import annotations

import numpy as np
import pytest
import torch

from netvigil_autographad import losses
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.terms import Usual, structure_term, terms

SETTINGS = {
    "one layer": {},
    "two layers": {"layers": 2, "feature_loss": "cosine"},
    "three layers": {"layers": 3, "distinct_relations": False},
    "sage heads": {"heads": "sage", "kl_reduction": "mean"},
    "other score": {"feature_loss": "mse", "feature_score": "cosine"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_terms_equal_those_of_plain_pyg(settings, graphs, batch_of, network_of, plain):
    config = AutoGraphADConfig.model_validate({"hidden": 4, **settings})
    batch, network = batch_of(graphs, double=True), network_of(config).double()
    found = terms(network, config, batch.clean, None)
    twin, graph = plain(network, config), batch.graph
    with torch.no_grad():
        mean, logvar, index = twin.encode(batch, None, None)
        logit = twin.logits(mean, (graph.src.node, graph.dst.node))
        distance = config.feature_score or config.feature_loss
        wanted = {
            "feature": losses.feature_error(graph.x, twin.decode(mean, index), distance),
            "structure": -torch.nn.functional.logsigmoid(logit).mean(1),
            "kl": losses.divergence(mean["flow"], logvar["flow"], config.kl_reduction),
        }
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-9, atol=1e-12, msg=name)


def test_several_points_are_averaged(graphs, batch_of, network_of, plain):
    config = AutoGraphADConfig(hidden=4, draws=2)
    batch, network = batch_of(graphs, double=True), network_of(config).double()
    points = torch.randn(2, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = terms(network, config, batch.clean, points)
    twin = plain(network, config)
    with torch.no_grad():
        mean, logvar, index = twin.encode(batch, None, None)
        errors = []
        for own, theirs in points:
            z = {
                kind: mean[kind] + point * (logvar[kind] / 2).exp()
                for kind, point in (("flow", own), ("host", theirs))
            }
            errors.append(losses.feature_error(batch.graph.x, twin.decode(z, index), "mse"))
    torch.testing.assert_close(found["feature"], sum(errors) / 2)
    alone = terms(network, config, batch.clean, None)
    torch.testing.assert_close(found["kl"], alone["kl"])
    assert not torch.allclose(found["structure"], alone["structure"])


def test_the_published_form_calls_a_certain_link_usual_and_deviation_does_not():
    # Four train flows; medians 0 and 2, quartile ranges 1 and none.
    train = np.array([[-1, 2], [-0.25, 2], [0.25, 2], [1, 2]], np.float32)
    usual = Usual.of(train)
    assert usual.centre.tolist() == [0, 2]
    assert usual.spread.tolist() == [pytest.approx(0.875), 1]
    logit = torch.tensor([[0.0, 2.0], [7.0, 4.0], [-7.0, 2.0]])
    published = structure_term(logit, None)
    assert published[1] < published[0] < published[2]
    expected = [0, (7 / 0.875 + 2) / 2, 7 / 0.875 / 2]
    assert structure_term(logit, usual).tolist() == pytest.approx(expected)
