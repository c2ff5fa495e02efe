from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.errors import ConfigError
from netvigil_cggm.plans import TABLE3, constant, plan_labels


@given(st.integers(1, 6), st.integers(2, 20), st.integers(1, 7), st.integers(0, 9))
def test_balanced_is_exact(classes, nodes, snapshots, seed):
    names = tuple(map(str, range(classes)))
    labels = plan_labels("balanced", names, nodes=nodes, snapshots=snapshots, seed=seed)
    assert labels.shape == (snapshots, nodes)
    counts = np.stack([np.bincount(row, minlength=classes) for row in labels])
    assert counts.min() >= nodes // classes
    left = nodes % classes
    assert (counts.sum(1) == nodes).all()
    # Nodes left over go round: over all snapshots no class is ahead by more than one.
    extra = (counts - nodes // classes).sum(0)
    assert extra.sum() == left * snapshots
    assert np.ptp(extra) <= 1


def test_table_3_is_the_published_one():
    names = ("normal", *sorted(name for name in TABLE3 if name != "normal"))
    names = tuple("Backdoors" if name == "backdoor" else name.title() for name in names)
    names = ("normal", *names[1:])
    labels = plan_labels("table3", names, nodes=49, snapshots=140, seed=0)
    counts = dict(zip(names, np.bincount(labels.ravel()).tolist(), strict=True))
    assert counts["Shellcode"] == 1400
    assert counts["Fuzzers"] == counts["Exploits"] == counts["Generic"] == 840
    assert counts["Worms"] == 420
    assert counts["Dos"] == 280
    assert counts["normal"] == 560  # 561 published
    assert sum(counts.values()) == 6860


def test_explicit():
    labels = plan_labels(
        {"normal": 3, "DoS": 0, "scan": 1}, ("normal", "scan"), nodes=4, snapshots=9, seed=1
    )
    assert (labels == 1).sum(1).tolist() == [1] * 9
    assert len({tuple(row) for row in labels}) > 1
    again = plan_labels(
        {"normal": 3, "DoS": 0, "scan": 1}, ("normal", "scan"), nodes=4, snapshots=9, seed=1
    )
    assert np.array_equal(labels, again)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"normal": 3}, "is for 3 nodes, and snapshots have 4"),
        ({"normal": 3, "worms": 1}, "not learnt: worms"),
        ("table3", "not learnt: analysis, backdoor"),
    ],
)
def test_plans_that_do_not_fit_are_refused(plan, words):
    with pytest.raises(ConfigError, match=words):
        plan_labels(plan, ("normal", "scan"), nodes=4, snapshots=2, seed=0)


def test_one_class():
    assert constant("scan", ("normal", "scan"), (2, 3)).tolist() == [[1, 1, 1]] * 2
    with pytest.raises(ConfigError, match="Learnt: normal"):
        constant("worms", ("normal",), (2, 3))
