"""Items in their order, whichever thread makes them, and errors at the item they belong to."""

from __future__ import annotations

import pytest

from netvigil.ahead import ahead, pooled


def _broken():
    yield 1
    msg = "the second item"
    raise ValueError(msg)


def test_items_come_in_order():
    assert list(ahead(iter(range(5)))) == list(range(5))


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("items", [0, 1, 10])
def test_work_comes_back_in_order(threads, items):
    assert list(pooled(str, iter(range(items)), threads=threads)) == [str(i) for i in range(items)]


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_of_the_work_comes_up(threads):
    with pytest.raises(ZeroDivisionError):
        list(pooled(lambda item: 1 // item, iter([1, 0, 1]), threads=threads))


def test_an_error_of_an_item_comes_up_after_those_before_it():
    items = ahead(_broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="the second item"):
        next(items)


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_generator_is_closed_with_the_items_ahead(taken):
    closed = []

    def numbers():
        try:
            yield from range(3)
        finally:
            closed.append(True)

    items = ahead(numbers())
    for _ in range(taken):
        next(items)
    next(items, None)
    items.close()
    assert closed == [True]


def test_an_iterator_that_cannot_be_closed_is_left_alone():
    rest = iter([1, 2, 3, 4])
    items = ahead(rest)
    assert next(items) == 1
    items.close()
    assert next(rest) == 3
