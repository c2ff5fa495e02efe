"""A GPU's rates, and how busy it was."""

from __future__ import annotations

import pytest
import torch

from netvigil.bench import machine
from netvigil.bench.limits import KINDS
from netvigil.errors import ConfigError
from netvigil.torch import card


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_card_that_is_not_there_is_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr(machine, "rates", None)
    with pytest.raises(ConfigError, match="no GPU"):
        card.rates("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_card_is_measured():
    rates = card.rates("cuda")
    assert rates.bandwidth > 2 * rates.bus > 1e9
    assert rates.operations > 1e12
    assert all(getattr(rates, kind) > 1e8 for kind in KINDS)
    ones = torch.ones(1 << 24, device="cuda")
    seen = card.observed(lambda: [ones.mul(2) for _ in range(100)], device="cuda")
    assert 1e-4 < seen["busy_s"] < 1
    assert 60 < seen["peak_mb"] < 6_900
