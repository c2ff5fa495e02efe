"""Generators, initial weights and devices."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from netvigil.errors import ConfigError
from netvigil.torch.device import device_name, resolve_device
from netvigil.torch.generators import build, generator


def draw(*path):
    return tuple(torch.rand(4, generator=generator(*path)).tolist())


def test_each_seed_and_path_has_a_stream_of_its_own():
    paths = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1), (2**40, 3)]
    for left, right in itertools.combinations(paths, 2):
        assert draw(*left) != draw(*right)
    assert all(draw(*path) == draw(*path) for path in paths)


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(3))
        self.register_buffer("count", torch.empty(2))
        self.inner = nn.Linear(3, 2)

    def initialise(self, rng: torch.Generator) -> None:
        self.scale.normal_(generator=rng)
        self.count.zero_()


def network():
    return nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.PReLU(), Own(), nn.Bilinear(4, 3, 2))


def test_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    one, two, other = (build(network, generator(s), "cpu").state_dict() for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    random = ["0.weight", "0.bias", "3.scale", "3.inner.weight", "4.weight", "4.bias"]
    assert not any(torch.equal(one[name], other[name]) for name in random)
    assert one["3.count"].tolist() == [0, 0]
    assert one["1.weight"].tolist() == [1] * 4
    assert one["2.weight"].item() == 0.25


def test_linear_layers_get_pytorchs_own_distribution():
    ours = build(lambda: nn.Linear(400, 300), generator(0), "cpu")
    theirs = nn.Linear(400, 300)
    theirs.reset_parameters()
    for a, b in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert a.requires_grad
        assert float(a.detach().abs().max()) <= 0.05
        assert float(a.detach().std()) == pytest.approx(float(b.detach().std()), rel=0.1)


def test_a_module_that_cannot_be_initialised_is_refused():
    with pytest.raises(TypeError, match=r"BatchNorm1d.*no `initialise"):
        build(lambda: nn.Sequential(nn.BatchNorm1d(3)), generator(0), "cpu")


def test_a_module_that_forgets_a_parameter_is_refused():
    class Forgetful(nn.Linear):
        def initialise(self, rng: torch.Generator) -> None:
            self.weight.zero_()

    with pytest.raises(RuntimeError, match=r"Forgetful .* left parameters uninitialised"):
        build(lambda: Forgetful(2, 2), generator(0), "cpu")


def test_auto_is_the_gpu_where_there_is_one():
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == wanted
    assert resolve_device("cpu") == torch.device("cpu")
    assert device_name(torch.device("cpu")) is None


@pytest.mark.parametrize("name", ["abacus", "", "mps", "cuda:x"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ConfigError, match="No device is called"):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_absent_is_refused(name):
    with pytest.raises(ConfigError, match=f"'{name}' is asked for, but PyTorch sees no GPU"):
        resolve_device(name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_has_a_number_and_a_name():
    device = resolve_device("cuda")
    assert device.index is not None
    assert device_name(device)
    with pytest.raises(ConfigError, match="there are"):
        resolve_device("cuda:99")
