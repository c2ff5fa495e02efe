"""A GPU's rates, and how busy it was."""

from __future__ import annotations

import pytest
import torch

from netvigil.bench.limits import KINDS
from netvigil.bench.machine import Rates
from netvigil.errors import ConfigError
from netvigil.torch import card

HOST = Rates(
    bandwidth=1e9,
    bandwidth_of_one=1e9,
    operations=1e9,
    lookups=1e8,
    matched=1e7,
    sorted=2e7,
    logarithms=4e7,
    drawn=5e7,
    decoded=8e8,
    steps=1e6,
    threads=1,
)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_card_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="no GPU"):
        card.rates("cuda", HOST)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_card_is_measured():
    rates = card.rates("cuda", HOST)
    assert rates.bandwidth > 2 * rates.bus > 1e9
    assert rates.operations > 1e12
    assert all(getattr(rates, kind) > 1e8 for kind in KINDS)
    ones = torch.ones(1 << 24, device="cuda")
    seen = card.observed(lambda: [ones.mul(2) for _ in range(100)], device="cuda")
    assert 1e-4 < seen["busy_s"] < 1
    assert 60 < seen["peak_mb"] < 6_900
