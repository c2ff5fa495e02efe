"""What the autoencoders' settings refuse, and the weight of KL by epoch."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from netvigil_tabular.config import AutoencoderConfig, VaeConfig


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (AutoencoderConfig, {"terms": []}),
        (AutoencoderConfig, {"terms": ["error", "error"]}),
        (AutoencoderConfig, {"terms": ["kl"]}),
        (AutoencoderConfig, {"hidden": [64, 0]}),
        (AutoencoderConfig, {"bottleneck": 0}),
        (AutoencoderConfig, {"dropout": 1.0}),
        (AutoencoderConfig, {"beta": 1.0}),
        (VaeConfig, {"loss": "mae"}),
        (VaeConfig, {"free_bits": -0.1}),
        (VaeConfig, {"draws": 101}),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(kind, given):
    with pytest.raises(ValidationError):
        kind(**given)


def test_kl_grows_in_a_line_and_stays():
    warm = VaeConfig(beta=4, warmup_epochs=10)
    assert [warm.kl_weight(epoch) for epoch in (0, 1, 9, 10, 50)] == pytest.approx(
        [0, 0.4, 3.6, 4, 4]
    )
    assert [VaeConfig(beta=10).kl_weight(epoch) for epoch in (0, 7)] == [10, 10]


def test_the_network_may_be_of_one_layer():
    assert AutoencoderConfig(hidden=[]).hidden == ()
