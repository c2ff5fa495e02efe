from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil_flowprep.transforms import categories as module
from netvigil_flowprep.transforms.categories import Categories, CategoriesConfig


def _features(texts, name="c_proto"):
    x = np.arange(len(texts), dtype=np.float32)[:, None]
    column = pa.array(texts, pa.string()).dictionary_encode()
    return FlowFeatures(x, ("x_a",), {name: column})


TRAIN = _features(["tcp"] * 6 + ["udp"] * 3 + [None])


def test_one_hot_by_frequency_with_a_rare_bucket():
    config = CategoriesConfig(mode="one-hot", min_share=0.2)
    out = Categories(config).fit(TRAIN, seed=0).transform(_features(["udp", "tcp", None, "new"]))
    assert out.names == ("x_a", "c_proto='tcp'", "c_proto='udp'", "c_proto=rare")
    assert out.x.tolist() == [[0, 0, 1, 0], [1, 1, 0, 0], [2, 0, 0, 1], [3, 0, 0, 1]]
    assert not out.categories
    assert out.x.flags.c_contiguous


def test_missing_is_a_level_of_its_own_where_it_is_frequent():
    out = (
        Categories(CategoriesConfig(mode="one-hot")).fit(TRAIN, seed=0).transform(_features([None]))
    )
    assert dict(zip(out.names, out.x[0], strict=True))["c_proto=missing"] == 1


def test_rarity_is_finite_for_what_was_never_seen():
    config = CategoriesConfig(mode="count")
    out = Categories(config).fit(TRAIN, seed=0).transform(_features(["tcp", "new"]))
    assert out.names == ("x_a", "c_proto:rarity")
    assert out.x[:, 1].tolist() == pytest.approx([-np.log10(7 / 11), -np.log10(1 / 11)])


def test_both_is_the_default_and_max_levels_keeps_the_most_frequent():
    out = Categories(CategoriesConfig(max_levels=1)).fit(TRAIN, seed=0).transform(TRAIN)
    assert out.names == ("x_a", "c_proto='tcp'", "c_proto=rare", "c_proto:rarity")
    assert out.x[:, 1:3].sum(axis=1).tolist() == [1] * 10


def test_the_table_does_not_depend_on_the_order_of_flows_or_of_the_dictionary():
    texts = ["b", "a", "c", "a", "b", None]
    states = [
        Categories(CategoriesConfig()).fit(_features(order), seed=0).get_state()
        for order in (texts, texts[::-1], sorted(texts, key=str))
    ]
    assert states[0] == states[1] == states[2]


def test_hostile_text_is_quoted_and_cannot_pose_as_another_column():
    texts = ["rare", "missing", "x'=rare", "\x1b[31m", "tcp\n", None]
    out = Categories(CategoriesConfig()).fit(_features(texts), seed=0).transform(_features(texts))
    assert len(set(out.names)) == len(out.names)
    assert all(name.isprintable() and name.isascii() for name in out.names)


def test_nulls_inside_a_dictionary_are_missing_too():
    odd = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None], pa.int32()), pa.array(["tcp", None])
    )
    probe = FlowFeatures(np.zeros((3, 1), np.float32), ("x_a",), {"c_proto": odd})
    fitted = Categories(CategoriesConfig(mode="one-hot")).fit(TRAIN, seed=0)
    same = fitted.transform(_features(["tcp", None, None]))
    assert fitted.transform(probe).x[:, 1:].tolist() == same.x[:, 1:].tolist()


def test_a_lost_category_is_refused():
    fitted = Categories(CategoriesConfig()).fit(TRAIN, seed=0)
    with pytest.raises(ContractError, match="c_proto"):
        fitted.transform(_features(["tcp"], "c_other"))


def test_many_distinct_values_do_not_grow_the_state_without_bound():
    texts = [f"v{n}" for n in range(5000)] + ["often"] * 500
    fitted = Categories(CategoriesConfig()).fit(_features(texts), seed=0)
    assert len(fitted.get_state().values["tables"]["c_proto"]["values"]) == 4096
    assert fitted.transform(_features(["often"])).x[0, 1] == 1


def test_a_feature_called_like_a_one_hot_column_is_refused():
    column = pa.array(["tcp", "udp"], pa.string()).dictionary_encode()
    x = np.zeros((2, 1), np.float32)
    posing = FlowFeatures(x, ("c_proto='tcp'",), {"c_proto": column})
    with pytest.raises(
        ContractError, match="already called what a category would become"
    ) as caught:
        Categories(CategoriesConfig()).fit(posing, seed=0)
    assert "c_proto='tcp'" in str(caught.value)
    # One that only looks like it is fine: text from traffic stands quoted.
    near = FlowFeatures(x, ("c_proto=tcp",), {"c_proto": column})
    assert len(Categories(CategoriesConfig()).fit(near, seed=0).transform(near).names) == 5


@pytest.mark.parametrize("pairs", [1, 12, 10**6])
def test_columns_do_not_depend_on_which_categories_are_looked_up_together(pairs, monkeypatch):
    rng = np.random.default_rng(0)
    texts = [pa.array(rng.choice(list("abcde"), 200)).dictionary_encode() for _ in range(4)]
    named = {f"c_{number}": column for number, column in enumerate(texts)}
    x = rng.random((200, 3), np.float32)
    features = FlowFeatures(x, ("x_a", "x_b", "x_c"), named)
    made = Categories(CategoriesConfig(min_share=0.1)).fit(features, seed=0)
    monkeypatch.setattr(module, "PAIRS", pairs)
    found = made.transform(features)
    alone = [
        Categories(CategoriesConfig(min_share=0.1))
        .fit(one := FlowFeatures(x, features.names, {name: column}), seed=0)
        .transform(one)
        for name, column in named.items()
    ]
    assert found.names == (*features.names, *(n for part in alone for n in part.names[3:]))
    assert (found.x == np.concatenate([x, *(part.x[:, 3:] for part in alone)], axis=1)).all()
