"""Labels in the store's order, and the settings that change what is trained on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from netvigil import config
from netvigil.contracts import LabelTable
from netvigil.errors import RunError, SourceError
from netvigil.splits import TEST, TRAIN, Split
from netvigil.testing.strategies import flow_tables, label_tables
from netvigil.truth import (
    ATTACK,
    BENIGN,
    UNKNOWN,
    StoredLabels,
    Truth,
    label_store,
    read_labels,
    train_filter,
    write_labels,
)

from . import fakes

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

S = 1_000_000


class Given:
    """A labeller that knows one table."""

    def __init__(self, labels: LabelTable) -> None:
        self.labels = labels

    def label(self, flows, inline):
        keep = np.isin(self.labels.table["flow_id"].to_numpy(), flows.flow_id)
        return LabelTable(self.labels.table.filter(pa.array(keep)))


def test_unknown_benign_and_each_attack_are_classes():
    state = np.array([UNKNOWN, BENIGN, ATTACK, ATTACK, ATTACK, BENIGN], np.int8)
    named = np.array([-1, -1, 0, 1, -1, 1], np.int32)
    classes = Truth(state, named, ("scan", "flood")).classes().tolist()
    assert len(set(classes)) == 5  # an attack without a name is one more
    assert classes[1] == classes[5]


@hypothesis_settings(max_examples=15, deadline=None)
@given(st.data())
def test_every_flow_has_its_own_label_whatever_the_order(data):
    flows = data.draw(flow_tables(min_flows=1))
    labels = data.draw(label_tables(flows.flow_id))
    with TemporaryDirectory() as folder:
        store = fakes.write_store(Path(folder) / "f.parquet", flows)
        if not len(labels):
            with pytest.raises(RunError, match="say nothing about any"):
                label_store(store, Given(labels))
            return
        truth = label_store(store, Given(labels))
        ids = store.column("flow_id").to_numpy()
        wanted = labels.align(ids)
        found = truth.aligned(np.ones(len(ids), np.bool_))
        assert np.array_equal(found.known, wanted.known)
        assert np.array_equal(found.is_attack, wanted.is_attack)
        assert np.array_equal(found.attack, wanted.attack)
        # ... and survives a file.
        path = Path(folder) / "labels.parquet"
        write_labels(truth, store, path)
        assert read_labels(path).align(ids).attack.tolist() == wanted.attack.tolist()
        again = label_store(store, StoredLabels(path))
        assert np.array_equal(again.state, truth.state)


def csv_store(tmp_path, rows):
    path = fakes.write_csv(tmp_path / "a.csv", rows)
    part = fakes.plugins().reader("tiny")
    reader = part.make(part.config())
    from netvigil.store import FlowStore

    return FlowStore.write(reader.read(path, batch_rows=7), tmp_path / "a.parquet")


def test_inline_text_reaches_the_labeller_after_sorting(tmp_path):
    rows = fakes.traffic(50)
    rows["label"][3] = ""
    order = np.random.default_rng(5).permutation(50)
    shuffled = {name: [values[i] for i in order] for name, values in rows.items()}
    store = csv_store(tmp_path, shuffled)
    truth = label_store(store, fakes.Inline(fakes.InlineConfig()))
    assert (truth.state == UNKNOWN).sum() == 1
    found = truth.aligned(np.ones(50, np.bool_))
    # The store is in time order, as `traffic` is; row 3 is unknown, which is not benign.
    assert not found.known[3]
    wanted = ["" if text in {"", "benign"} else text for text in rows["label"]]
    assert found.attack.tolist() == wanted


def test_an_empty_sidecar_means_unknown(tmp_path):
    flows = fakes.make_flows({n: v for n, v in fakes.traffic(5).items() if n != "label"})
    nothing = pa.table({"flow_id": pa.array([], pa.int64()), "label": pa.array([], pa.string())})
    store = fakes.write_store(tmp_path / "f.parquet", flows, inline=nothing)
    with pytest.raises(RunError, match="say nothing about any of the 5 flows"):
        label_store(store, fakes.Inline(fakes.InlineConfig()))


def test_many_attack_names_stay_apart(tmp_path):
    # More names than 16 bits hold: a hostile label column must not wrap around.
    n = 33_000
    rows = {
        "start_us": fakes.EPOCH_US + np.arange(n),
        "end_us": fakes.EPOCH_US + np.arange(n),
        "src": ["a"] * n,
        "dst": ["b"] * n,
        **{name: np.ones(n, np.int64) for name in ("sport", "dport", "packets", "bytes")},
    }
    store = fakes.write_store(tmp_path / "f.parquet", fakes.make_flows(rows))
    names = np.char.add("class-", np.arange(n).astype(str))
    labels = LabelTable.of(np.arange(n), np.ones(n, np.bool_), pa.array(names.tolist()))
    truth = label_store(store, Given(labels))
    assert np.array_equal(truth.aligned(np.ones(n, np.bool_)).attack, names)


def test_a_file_that_is_no_label_file_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(SourceError, match="not a netvigil label file"):
        read_labels(path)
    flows = fakes.make_flows({n: v for n, v in fakes.traffic(5).items() if n != "label"})
    store = fakes.write_store(tmp_path / "f.parquet", flows)
    with pytest.raises(SourceError, match="not a netvigil label file"):
        read_labels(store.path)
    with pytest.raises(SourceError, match=r"absent\.parquet"):
        read_labels(tmp_path / "absent.parquet")


def situation(seed=0, flows=4000, attacks=0.1, unknown=0.1):
    """Draw truth over two hours of which the second is for testing."""
    rng = np.random.default_rng(seed)
    start = np.sort(rng.integers(0, 7200 * S, flows))
    role = np.where(start < 3600 * S, TRAIN, TEST).astype(np.int8)
    # Attacks come in bursts of minutes, so that windows without any are left.
    attack = (start // (300 * S) % 4 == 1) & (rng.random(flows) < attacks * 4)
    state = np.where(attack, ATTACK, BENIGN).astype(np.int8)
    state[rng.random(flows) < unknown] = UNKNOWN
    names = np.where(state == ATTACK, 0, -1).astype(np.int32)
    return Split(role, start, {}), Truth(state, names, ("scan",))


class TestTrainFilter:
    def test_nothing_asked_nothing_changed(self):
        split, truth = situation()
        found = train_filter(config.Train(), split, truth)
        assert np.array_equal(found.keep, split.role == TRAIN)
        assert found.before == found.after > 0
        assert found.dropped_attacks == found.dropped_benign == 0

    def test_drop_attacks_drops_exactly_the_known_attacks_of_the_train_part(self):
        split, truth = situation()
        found = train_filter(config.Train(drop_attacks=True), split, truth)
        train = split.role == TRAIN
        assert np.array_equal(found.keep, train & (truth.state != ATTACK))
        assert (truth.state[found.keep] == UNKNOWN).any()  # unknown is not attack
        assert found.after == 0
        assert found.dropped_attacks == (train & (truth.state == ATTACK)).sum()
        assert found.dropped_benign == 0

    @pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
    def test_benign_window_keep_is_exact_and_keeps_every_window_with_an_attack(self, share):
        split, truth = situation()
        settings = config.Train(benign_window_keep=share, window_s=60)
        found = train_filter(settings, split, truth)
        train = split.role == TRAIN
        window = split.start_us // (60 * S)
        hit = np.unique(window[train & (truth.state == ATTACK)])
        clean = np.setdiff1d(np.unique(window[train]), hit)
        kept = np.unique(window[found.keep])
        assert set(hit) <= set(kept)
        assert len(np.intersect1d(kept, clean)) == round(share * len(clean))
        # Windows stay whole.
        assert np.array_equal(found.keep, train & np.isin(window, kept))
        assert np.array_equal(found.keep, train_filter(settings, split, truth).keep)
        other = train_filter(settings.model_copy(update={"seed": 1}), split, truth)
        assert not np.array_equal(found.keep, other.keep)

    @hypothesis_settings(max_examples=30, deadline=None)
    @given(st.floats(0.002, 0.9), st.integers(0, 3))
    def test_target_contamination_is_as_exact_as_whole_flows_allow(self, target, seed):
        split, truth = situation(seed=seed)
        settings = config.Train(target_contamination=target, seed=seed)
        found = train_filter(settings, split, truth)
        train = split.role == TRAIN
        assert not np.any(found.keep & ~train)
        kept, attacks = int(found.keep.sum()), int((truth.state[found.keep] == ATTACK).sum())
        # No flow more or less would come nearer.
        assert abs(attacks - target * kept) <= 1
        assert found.after == attacks / kept
        # Only one side is thinned out.
        assert found.dropped_attacks == 0 or found.dropped_benign == 0
        again = train_filter(settings, split, truth)
        assert np.array_equal(found.keep, again.keep)

    def test_target_contamination_by_hand(self):
        state = np.array([ATTACK] * 5 + [BENIGN] * 45, np.int8)
        split = Split(np.full(50, TRAIN, np.int8), np.arange(50) * S, {})
        truth = Truth(state, np.where(state == ATTACK, 0, -1).astype(np.int32), ("scan",))
        more = train_filter(config.Train(target_contamination=0.2), split, truth)
        assert (more.dropped_benign, more.dropped_attacks, more.after) == (25, 0, 0.2)
        less = train_filter(config.Train(target_contamination=1 / 16), split, truth)
        assert (less.dropped_benign, less.dropped_attacks, less.after) == (0, 2, 1 / 16)

    @pytest.mark.parametrize(
        ("settings", "attacks", "words"),
        [
            ({"target_contamination": 0.5}, 0, "needs attacks and benign flows"),
            ({"target_contamination": 0.5}, 1, "needs attacks and benign flows"),
            ({"drop_attacks": True}, 1, "No flow is left"),
        ],
    )
    def test_what_cannot_be_reached_is_an_error(self, settings, attacks, words):
        state = np.full(20, ATTACK if attacks else BENIGN, np.int8)
        split = Split(np.full(20, TRAIN, np.int8), np.arange(20), {})
        truth = Truth(state, np.full(20, 0, np.int32), ("scan",))
        with pytest.raises(RunError, match=words):
            train_filter(config.Train(**settings), split, truth)

    def test_a_share_of_less_than_one_attack_is_an_error(self):
        state = np.array([ATTACK] * 5 + [BENIGN] * 45, np.int8)
        split = Split(np.full(50, TRAIN, np.int8), np.arange(50), {})
        truth = Truth(state, np.where(state == ATTACK, 0, -1).astype(np.int32), ("scan",))
        with pytest.raises(RunError, match="less than one attack"):
            train_filter(config.Train(target_contamination=0.001), split, truth)

    @pytest.mark.parametrize(
        "settings",
        [{"drop_attacks": True}, {"benign_window_keep": 0.5}, {"target_contamination": 0.1}],
    )
    def test_labels_that_are_needed_must_be_there(self, settings):
        split, truth = situation()
        unknown = np.where(split.role == TRAIN, UNKNOWN, truth.state).astype(np.int8)
        with pytest.raises(RunError, match="no flow of the train part is labelled"):
            train_filter(config.Train(**settings), split, Truth(unknown, truth.attack, truth.names))

    def test_windows_need_a_clock(self):
        split, truth = situation()
        with pytest.raises(RunError, match="needs a clock"):
            train_filter(config.Train(benign_window_keep=0.5), Split(split.role, None, {}), truth)
