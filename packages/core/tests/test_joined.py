"""Encoders side by side, and scorers that are calibrated on train flows held out for them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from netvigil import hookimpl, parts, runner
from netvigil.contracts import EncodedFlows, ScoreTable
from netvigil.errors import BundleError, ConfigError, IncompatiblePartsError, RunError
from netvigil.joined import JoinedEncoder, joined_part
from netvigil.outputs import read_scores
from netvigil.phases import Phases
from netvigil.protocols import State, Watch, Watched
from netvigil.testing.synthetic.windows import windows

from . import fakes


class Counted:
    """Emits how many flows it was fitted on; remembers who watches it."""

    passes = 3
    fits: tuple = ()

    def __init__(self, config):
        del config
        self.flows_, self.watched = -1, None

    def watch(self, watch):
        self.watched = watch

    def fit(self, stream, *, seed):
        del seed
        self.flows_ = sum(len(graphs.flow_id) for graphs in stream)
        type(self).fits = (*type(self).fits, self.flows_)[-2:]
        return self

    def refit(self, stream, *, seed):
        return self.fit(stream, seed=seed)

    def encode(self, graphs):
        starts = np.repeat(graphs.window_start, np.diff(graphs.flow_ptr))
        fitted_on = np.full(len(graphs.flow_id), self.flows_, np.float32)
        return EncodedFlows(graphs.flow_id, starts, terms={"flows": fitted_on})

    def get_state(self):
        return State(arrays={"flows": np.array([self.flows_])})

    def set_state(self, state):
        self.flows_ = int(state.arrays["flows"][0])
        return self


class Calibrated:
    """Scores by one term; remembers what it was fitted and calibrated on."""

    seen: tuple = ()

    def __init__(self, config):
        del config
        self.fitted_: tuple = ()

    def fit(self, encoded, *, seed):
        del seed
        self.fitted_ = tuple(encoded.flow_id.tolist())
        return self

    def calibrate(self, held_out, *, seed):
        del seed
        type(self).seen = (self.fitted_, tuple(held_out.flow_id.tolist()), tuple(held_out.terms))
        return self

    def score(self, encoded):
        score = encoded.terms["counted.flows"] + np.abs(encoded.embedding).sum(axis=1)
        return ScoreTable(encoded.flow_id, score.astype(np.float64), encoded.window_start)

    def get_state(self):
        return State()

    def set_state(self, state):
        del state
        return self


COUNTED = parts.Encoder(
    name="counted", summary="Counts.", make=Counted, emits=frozenset({"terms"}), seeded=False
)


class Plugin:
    @hookimpl
    def netvigil_encoders(self):
        yield COUNTED
        yield parts.Encoder(name="silent", summary="Emits no terms.", make=fakes.Raw)

    @hookimpl
    def netvigil_scorers(self):
        yield parts.Scorer(
            name="calibrated",
            summary="Asks for flows of its own.",
            make=Calibrated,
            needs="either",
            calibrated=True,
            seeded=False,
        )


PLUGINS = fakes.plugins(Plugin())
SECTIONS = {
    "encoder": {"name": "sigma", "beside": ["counted"]},
    "scorer": {"name": "calibrated"},
    "run": {"seeds": [0]},
}


def run(source, out, **sections):
    return runner.run(
        fakes.experiment(source, **(SECTIONS | sections)),
        PLUGINS,
        base=source.parent,
        out=out,
        phases=Phases(),
    )


@pytest.fixture
def source(tmp_path):
    return fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))


class TestJoinedEncoder:
    def joined(self):
        return JoinedEncoder(fakes.Sigma(fakes.SigmaConfig()), {"counted": Counted(None)})

    def test_the_main_encoding_is_kept_and_other_terms_join_it(self):
        graphs = windows(4)
        made = self.joined().fit([graphs], seed=0)
        alone = fakes.Sigma(fakes.SigmaConfig()).fit([graphs], seed=0).encode(graphs)
        encoded = made.encode(graphs)
        assert np.array_equal(encoded.embedding, alone.embedding)
        assert list(encoded.terms) == ["distance", "counted.flows"]
        assert set(encoded.terms["counted.flows"]) == {len(graphs.flow_id)}

    def test_the_states_of_both_survive(self):
        graphs = windows(4)
        made = self.joined().fit([graphs], seed=0)
        again = self.joined().set_state(made.get_state()).encode(graphs)
        encoded = made.encode(graphs)
        assert np.array_equal(again.embedding, encoded.embedding)
        assert np.array_equal(again.terms["counted.flows"], encoded.terms["counted.flows"])

    def test_another_state_is_refused(self):
        with pytest.raises(BundleError, match="2 encoders side by side"):
            self.joined().set_state(State(values={"encoders": [{}]}))

    def test_each_is_watched_with_checkpoints_of_its_own(self, tmp_path):
        made = self.joined()
        assert isinstance(made, Watched)
        assert made.passes == 3  # `sigma` reports nothing
        made.watch(Watch(checkpoints=tmp_path))
        assert made.beside["counted"].watched.checkpoints == tmp_path / "1"


class TestJoinedPart:
    main = parts.Encoder(name="main", summary="Main.", make=fakes.Raw, accepts=("a", "b"))

    def test_it_can_do_what_all_can(self):
        other = parts.Encoder(
            name="other",
            summary="Other.",
            make=Counted,
            accepts=("b", "c"),
            emits=frozenset({"terms"}),
            passes="none",
            trusted_types=("x.Y",),
        )
        part = joined_part(self.main, [other])
        assert (part.name, part.accepts, part.passes) == ("main", ("b",), "many")
        assert (part.emits, part.trusted_types) == ({"embedding", "terms"}, ("x.Y",))

    def test_what_cannot_stand_together_is_refused(self):
        with pytest.raises(IncompatiblePartsError, match="no windows in common"):
            joined_part(self.main, [COUNTED])
        with pytest.raises(ConfigError, match="beside itself"):
            joined_part(self.main, [self.main])


class TestRun:
    def test_the_latest_train_flows_are_held_out(self, source, tmp_path):
        receipt = run(source, tmp_path / "run", train={"hold_out": 0.25})
        fitted, held, terms = Calibrated.seen
        assert terms == ("distance", "counted.flows")
        assert len(held) == round(0.25 * (len(fitted) + len(held)))
        assert max(fitted) < min(held)  # ids count the rows, which come in time order
        train = receipt.split.parts["train"]
        assert train.flows == len(fitted) + len(held)

    def test_what_is_cheap_to_fit_learns_the_held_out_flows_too(self, source, tmp_path):
        run(source, tmp_path / "run")
        fitted, held, _ = Calibrated.seen
        arrays = load_file(tmp_path / "run" / "bundle" / "encoder.safetensors")
        assert arrays["1.flows"].tolist() == [len(fitted) + len(held)]
        assert Counted.fits == (len(fitted), len(fitted) + len(held))

    def test_baselines_learn_from_the_whole_train_part(self, source, tmp_path):
        with_held_out = run(source, tmp_path / "a")
        without = run(source, tmp_path / "b", scorer={"name": "median-distance"})
        rows = [
            {
                m.method: m.metrics
                for m in receipt.evaluation.headline.methods
                if m.kind == "baseline"
            }
            for receipt in (with_held_out, without)
        ]
        assert rows[0] == rows[1]
        assert "raw + median-distance" in rows[0]

    def test_the_bundle_scores_as_the_run_did(self, source, tmp_path):
        run(source, tmp_path / "run")
        manifest = json.loads((tmp_path / "run" / "bundle" / "manifest.json").read_text())
        assert [room["name"] for room in manifest["rooms"]["encoder"]["beside"]] == ["counted"]
        runner.detect(
            tmp_path / "run" / "bundle", source, PLUGINS, out=tmp_path / "found", phases=Phases()
        )
        first, cut = read_scores(tmp_path / "run" / "scores.parquet")
        found, same_cut = read_scores(tmp_path / "found" / "scores.parquet")
        place = np.searchsorted(found.flow_id, first.flow_id)
        assert np.array_equal(found.score[place], first.score)
        assert cut == same_cut

    def test_too_few_train_flows_say_so(self, tmp_path):
        few = fakes.write_csv(tmp_path / "few.csv", fakes.traffic(5))
        with pytest.raises(RunError, match="held out, which is none"):
            run(few, tmp_path / "run", train={"hold_out": 0.01})

    def test_an_encoder_beside_must_emit_terms(self, source, tmp_path):
        with pytest.raises(IncompatiblePartsError, match="adds nothing beside another"):
            run(source, tmp_path / "run", encoder={"name": "sigma", "beside": ["silent"]})

    def test_labels_do_not_reach_it(self, source, tmp_path):
        run(source, tmp_path / "a")
        text = source.read_text("utf-8")
        assert ",flood\n" in text
        swapped = tmp_path / "b" / "a.csv"
        swapped.parent.mkdir()
        swapped.write_text(text.replace(",flood\n", ",benign\n"), "utf-8")
        run(swapped, tmp_path / "c")
        first, second = (read_scores(tmp_path / n / "scores.parquet")[0] for n in ("a", "c"))
        assert np.array_equal(first.score, second.score)
