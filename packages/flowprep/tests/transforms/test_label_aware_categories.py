from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.protocols import SupervisedTransform
from netvigil_flowprep import plugin
from netvigil_flowprep.transforms.categories import Categories, CategoriesConfig
from netvigil_flowprep.transforms.label_aware_categories import (
    LabelAwareCategories,
    LabelAwareCategoriesConfig,
)

# Ten flows: "tcp" is frequent, "udp" and "gre" are rare, and attacks alone use "gre".
TEXTS = ["tcp"] * 7 + ["udp"] + ["gre"] * 2
ATTACKS = np.array([False] * 7 + [False] + [True, False])
SETTINGS = {"mode": "one-hot", "min_share": 0.5}


def _features(texts):
    column = pa.array(texts, pa.string()).dictionary_encode()
    return FlowFeatures(np.zeros((len(texts), 0), np.float32), (), {"proto": column})


def _fit(attacks=ATTACKS, **settings):
    made = LabelAwareCategories(LabelAwareCategoriesConfig(**(SETTINGS | settings)))
    return made.fit_labelled(_features(TEXTS), attacks, seed=0)


def test_a_rare_value_is_a_level_where_it_is_a_larger_share_of_attacks():
    out = _fit().transform(_features(["tcp", "udp", "gre", "new"]))
    assert out.names == ("proto='tcp'", "proto='gre'", "proto=rare")
    assert out.x.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]]


def test_by_frequency_alone_it_is_not():
    plain = Categories(CategoriesConfig(**SETTINGS)).fit(_features(TEXTS), seed=0)
    assert plain.transform(_features(TEXTS)).names == ("proto='tcp'", "proto=rare")
    nothing = _fit(np.zeros(10, np.bool_)).transform(_features(TEXTS))
    assert nothing.names == ("proto='tcp'", "proto=rare")


def test_rarities_are_those_of_the_values_whatever_their_order():
    probe = _features(["tcp", "udp", "gre", "new"])
    plain = Categories(CategoriesConfig(mode="count", min_share=0.5))
    expected = plain.fit(_features(TEXTS), seed=0).transform(probe).x
    assert _fit(mode="count").transform(probe).x.tolist() == expected.tolist()


def test_how_many_are_kept_is_bounded():
    made = LabelAwareCategories(LabelAwareCategoriesConfig(**SETTINGS, max_attack_levels=1))
    attacks = np.array([False] * 7 + [True] * 3)
    made.fit_labelled(_features(TEXTS), attacks, seed=0)
    # "gre" twice before "udp" once.
    assert made.transform(_features(TEXTS)).names == ("proto='tcp'", "proto='gre'", "proto=rare")


def test_labels_are_needed():
    made = LabelAwareCategories(LabelAwareCategoriesConfig())
    assert isinstance(made, SupervisedTransform)
    with pytest.raises(ContractError, match="learns from labels"):
        made.fit(_features(TEXTS), seed=0)
    with pytest.raises(ContractError, match="2 labels for 10 flows"):
        made.fit_labelled(_features(TEXTS), ATTACKS[:2], seed=0)
    part = next(p for p in plugin.netvigil_flow_transforms() if p.name == "label-aware-categories")
    assert part.supervised
