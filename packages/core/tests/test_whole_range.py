"""One window over a whole part of the split, and flows that share encodings, from end to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvigil import hookimpl, parts, runner
from netvigil.outputs import read_scores
from netvigil.phases import Phases

from . import fakes

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it


class Whole(fakes.FlowHost):
    """One window of everything there is, of which features need not wait."""

    links = ("flow_id", "start", "src_ip", "dst_ip")

    def window_of(self, flows, *, first_row):
        return np.zeros(len(flows), np.int64)


class PairMeans(fakes.Sigma):
    """Encodes a flow as its host pair's mean, held once or written out."""

    shared = True

    def encode(self, windows):
        own = super().encode(windows)
        source, target = windows.node_rows()
        pairs, row = np.unique(np.stack([source, target]), axis=1, return_inverse=True)
        row = row.reshape(-1)
        sums = np.zeros((pairs.shape[1], own.embedding.shape[1]))
        np.add.at(sums, row, own.embedding)
        count = np.bincount(row, minlength=pairs.shape[1])
        means = (sums / np.maximum(count, 1)[:, None]).astype(np.float32)
        if not self.shared:
            return replace(own, embedding=means[row], terms={})
        return replace(own, embedding=means, row=row, terms={})


class WrittenOut(PairMeans):
    shared = False


class Plugin:
    @hookimpl
    def netvigil_graph_builders(self):
        yield parts.GraphBuilder(
            name="whole", summary="One window.", config=fakes.WindowConfig, make=Whole
        )

    @hookimpl
    def netvigil_encoders(self):
        for name, make in (("shared", PairMeans), ("written-out", WrittenOut)):
            yield parts.Encoder(
                name=name, summary="Pair means.", config=fakes.SigmaConfig, make=make
            )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return fakes.write_csv(tmp_path_factory.mktemp("whole") / "a.csv", fakes.traffic(400))


def run(source, out, encoder, builder, **sections):
    experiment = fakes.experiment(
        source,
        encoder={"name": encoder},
        graph={"builder": builder, "window_s": 5},
        scorer={"name": "forest"},
        run={"seeds": [0]},
        **sections,
    )
    return runner.run(
        experiment, fakes.plugins(Plugin()), base=source.parent, out=out, phases=Phases()
    )


@pytest.mark.parametrize("builder", ["whole", "flow-host"])
@pytest.mark.parametrize("fit_flows", [100, 1_000_000])
def test_shared_encodings_score_as_written_out(source, tmp_path, builder, fit_flows):
    found = []
    for encoder in ("shared", "written-out"):
        features = {"transforms": ["center"], "fit_flows": fit_flows}
        run(source, tmp_path / encoder, encoder, builder, features=features)
        scores, cut = read_scores(tmp_path / encoder / "scores.parquet")
        found.append((scores.score.tobytes(), cut))
    assert found[0] == found[1]


def test_one_window_is_judged_by_flows(source, tmp_path):
    receipt = run(source, tmp_path / "run", "shared", "whole")
    assert receipt.evaluation.headline.bootstrap.by == "flow"
    scores, _ = read_scores(tmp_path / "run" / "scores.parquet")
    assert not scores.window_start.any()
    windowed = run(source, tmp_path / "windowed", "shared", "flow-host")
    assert windowed.evaluation.headline.bootstrap.by == "window"


def test_a_bundle_of_one_window_detects(source, tmp_path):
    run(source, tmp_path / "run", "shared", "whole")
    found = runner.detect(
        tmp_path / "run" / "bundle",
        source,
        fakes.plugins(Plugin()),
        out=tmp_path / "out",
        phases=Phases(),
    )
    assert found.flows == 400
