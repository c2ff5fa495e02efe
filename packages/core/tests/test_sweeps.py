"""All with all, or one at a time: what is run, in which order, under which names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netvigil.sweeps import Swept, base_of, picks

DATA = Swept("data", ("one", "two"), crossed=True)
DEPTH = Swept("depth", ("base", "shallow", "deep"))
LOSS = Swept("loss", ("mse", "mae"))


def names(axes, mode):
    return [pick.name for pick in picks(axes, mode)]


def test_the_first_values_once_then_each_other_value_alone():
    found = list(picks([DEPTH, LOSS], "one-at-a-time"))
    assert [(pick.name, dict(pick.at)) for pick in found] == [
        ("base", {"depth": "base", "loss": "mse"}),
        ("depth-shallow", {"depth": "shallow", "loss": "mse"}),
        ("depth-deep", {"depth": "deep", "loss": "mse"}),
        ("loss-mae", {"depth": "base", "loss": "mae"}),
    ]
    assert base_of([DEPTH, LOSS], "one-at-a-time") == {"depth": "base", "loss": "mse"}


def test_a_crossed_axis_meets_every_choice_wherever_it_stands():
    assert names([DATA, LOSS], "one-at-a-time") == [
        *("one/base", "one/loss-mae"),
        *("two/base", "two/loss-mae"),
    ]
    assert names([LOSS, DATA], "one-at-a-time") == names([DATA, LOSS], "one-at-a-time")
    (first, *_) = picks([LOSS, DATA], "one-at-a-time")
    assert list(first.at) == ["loss", "data"]
    assert base_of([DATA, LOSS], "one-at-a-time") == {"loss": "mse"}


def test_the_grid_and_crossed_axes_alone_are_the_product():
    assert names([DATA, LOSS], "grid") == ["one/mse", "one/mae", "two/mse", "two/mae"]
    assert base_of([DATA, LOSS], "grid") == {}
    assert names([DATA], "one-at-a-time") == ["one", "two"]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_how_many_there_are(sizes, data):
    crossed = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    axes = [
        Swept(f"a{n}", tuple(f"v{k}" for k in range(size)), crossed[n])
        for n, size in enumerate(sizes)
    ]
    often, alone = 1, 1
    for size, every in zip(sizes, crossed, strict=True):
        often, alone = (often * size, alone) if every else (often, alone + size - 1)
    found = names(axes, "one-at-a-time")
    assert len(found) == len(set(found)) == often * alone
