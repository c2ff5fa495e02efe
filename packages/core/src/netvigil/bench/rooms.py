"""Core's own micro-benchmarks: evaluation, explanation, audit, report, and the start of a command.

The rooms that plugins fill bring theirs with `netvigil_benchmarks`, as these do.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.audit import audit
from netvigil.bench.finished import Logs, Middle, finish_run
from netvigil.bench.limits import Needs
from netvigil.bench.scratch import Scratch
from netvigil.contracts import FlowTable, WindowGraphs
from netvigil.evaluation import FPR_LIMITS, Ranking, Resampler, auprc, auroc, tpr_at_fpr
from netvigil.explaining.config import PermutationConfig
from netvigil.explaining.permutation import Permutation
from netvigil.parts import NoConfig
from netvigil.protocols import Scoring
from netvigil.report.runs import open_runs
from netvigil.report.write import write_page
from netvigil.testing.synthetic import Traffic, traffic, windows
from netvigil.testing.synthetic.windows import windows_of

ATTACKS = 0.04  # the attack share of UNSW-NB15 as NetFlow version 2
RESAMPLES = 20
WINDOW, FEATURES = 50, 20  # flows of a window whose flows are explained
BATCH_ROWS = 131_072  # what stores are walked through by


class Scores(NamedTuple):
    """Scores and the truth about them.

    Shapes:
        score: float64 [flows]; truth: bool [flows]
    """

    score: NDArray[np.float64]
    truth: NDArray[np.bool_]


class EvaluateScores:
    """Metrics of random scores, and their intervals."""

    def setup(self, flows: int, *, seed: int) -> Scores:
        """Draw scores, those of attacks higher."""
        rng = np.random.default_rng(seed)
        truth = rng.random(flows) < ATTACKS
        return Scores(rng.normal(size=flows) + 1.5 * truth, truth)

    def run(self, prepared: Scores) -> int:
        """Rank them once, and resample them."""
        score, truth = prepared
        ranking = Ranking.of(score, truth)
        auroc(ranking), auprc(ranking)
        for limit in FPR_LIMITS:
            tpr_at_fpr(ranking, limit)
        Resampler(len(score), resamples=RESAMPLES).figures(ranking, truth)
        return len(score)

    def needs(self, prepared: Scores) -> Needs:
        """Count scores and truth twice, read as they come and written as they rank, and a sort.

        Every resample draws as many flows as there are, and counts up where each of them ranks.
        """
        drawn = RESAMPLES * len(prepared.score)
        return Needs(
            moved=2 * (prepared.score.nbytes + prepared.truth.nbytes),
            sorted=len(prepared.score),
            drawn=drawn,
            lookups=drawn,
        )


class Explained(NamedTuple):
    """A fitted method, and the windows whose flows are explained."""

    scoring: Scoring
    graphs: WindowGraphs


class ExplainPermutation:
    """Explanations of all flows of some windows, by what each of 20 features does."""

    def setup(self, flows: int, *, seed: int) -> Explained:
        """Fit a small method and make the windows."""
        encoder, scorer = Logs(NoConfig()), Middle(NoConfig())
        train = windows(3, seed=seed, flows=1_000, features=FEATURES, schema="flows-only")
        scorer.fit(encoder.encode(train), seed=seed)
        graphs = windows_of(
            flows, per_window=WINDOW, seed=seed, nodes=12, features=FEATURES, schema="flows-only"
        )
        scoring = Scoring(
            score=lambda asked: scorer.score(encoder.encode(asked)).score,
            encoder=encoder,
            groups={name: (n,) for n, name in enumerate(graphs.feature_names)},
            background=train.flow_x[:100],
            median=np.median(train.flow_x, axis=0).astype(np.float32),
        )
        return Explained(scoring, graphs)

    def run(self, prepared: Explained) -> int:
        """Explain each."""
        rows = np.arange(len(prepared.graphs.flow_id))
        made = Permutation(PermutationConfig())
        return len(made.explain(prepared.scoring, prepared.graphs, rows))


class AuditFlows:
    """What gives the labels of synthetic traffic away."""

    def setup(self, flows: int, *, seed: int) -> Traffic:
        """Make flows and labels."""
        return traffic(flows, seed=seed)

    def run(self, prepared: Traffic) -> int:
        """Examine them, batch by batch."""
        flows, labels = prepared
        starts = range(0, len(flows), BATCH_ROWS)
        batches: list[FlowTable] = [flows.slice(first, BATCH_ROWS) for first in starts]
        return audit(batches, labels).flows


class Finished(NamedTuple):
    """A run folder, and the folder that holds it for as long as this does."""

    run: Path
    folder: Scratch


class ReportRun:
    """The page of a finished run, read from its folder."""

    def setup(self, flows: int, *, seed: int) -> Finished:
        """Run an experiment on so many flows."""
        folder = Scratch()
        return Finished(finish_run(folder.path, flows, seed=seed), folder)

    def run(self, prepared: Finished) -> int:
        """Write the page; returns 1."""
        runs, notes = open_runs([prepared.run])
        write_page(runs, prepared.run / "report.html", notes=notes)
        return 1


class StartHelp:
    """A new process that loads the command line, says how it is used, and ends."""

    def setup(self, flows: int, *, seed: int) -> tuple[str, ...]:
        """Return the command, whatever the size."""
        del flows, seed
        return sys.executable, "-c", "from netvigil.cli import main; main()", "--help"

    def run(self, prepared: tuple[str, ...]) -> int:
        """Start it; returns 1."""
        subprocess.run(prepared, check=True, capture_output=True)
        return 1
