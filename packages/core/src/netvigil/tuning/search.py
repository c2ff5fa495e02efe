"""`tune`: prepare once, run the trials, write the winner down. Readable top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from netvigil import __version__, parts
from netvigil.config import Experiment, Tune, Tuned
from netvigil.errors import ConfigError, RunError
from netvigil.evaluation.receipt import versions
from netvigil.overlays import resolve
from netvigil.phases import Phases
from netvigil.pipeline import Assembly, assemble
from netvigil.plugins import Plugins, load_plugins
from netvigil.runfolder import RunFolder
from netvigil.sources import digest, require_source
from netvigil.tuning.files import file_values, movable, plan, with_settings
from netvigil.tuning.material import Material
from netvigil.tuning.objectives import GOALS, Goal
from netvigil.tuning.results import Tuning, optuna_version, ranked, trials_csv
from netvigil.tuning.spaces import Point, Space, resolve_space, trials_of
from netvigil.tuning.study import Study, Trial, require_optuna
from netvigil.tuning.trials import check_space, no_loss, random_parts
from netvigil.tuning.workers import Recipe, run_trials

TOP = 10  # trials in the printed table
EXAMPLES = 64  # points tried out before a byte is read; each takes about a millisecond


def tune(
    experiment: Experiment,
    *,
    base: Path,
    out: Path,
    phases: Phases,
    load: Callable[[], Plugins] = load_plugins,
    resume: bool = False,
    jobs: int = 1,
) -> Tuning:
    """Search the settings of `[tune]` and write the winner and all trials to the folder `out`.

    The folder holds `best.toml`, `tuning.json`, `trials.csv`, `study.journal` and `log.jsonl`. It
    is worked on under `<name>.partial`, from which a stopped search is resumed. `load` is called
    once here and once in each worker process, so it must be a function of an importable module.

    Raises:
        ConfigError: Optuna is absent; the space, the objective and the experiment do not fit.
        RunError: `out` exists, nothing (or something else) to resume, or every trial failed.
    """
    require_optuna()
    if experiment.tuned is not None:
        msg = "The settings of this file were themselves chosen by a search."
        do = "Tune the file it began from, or remove [tuned] if labels had no part in it."
        raise ConfigError(msg, where="[tuned]", do=do)
    settings = experiment.tune or Tune()
    goal = GOALS[settings.objective]
    plugins = load()
    task = _task(experiment, settings, goal, plugins, base=base)
    require_source(experiment.flows.source)
    sha256 = digest(experiment.flows.source)
    folder = RunFolder(out)
    flows = {**task.values["flows"], **experiment.flows.names()}
    plain = {**task.values, "flows": flows}
    identity = {"experiment": plain, "tune": settings.model_dump(mode="json"), "source": sha256}
    folder.begin(identity, resume=resume)
    phases.log = folder.partial / "log.jsonl"
    material = folder.work / "material"
    if not Material.exists(material):
        Material.make(task.experiment, task.assembly, plugins, goal, folder=material, phases=phases)
    journal = folder.partial / "study.journal"
    study = Study(journal, task.space, goal, settings, trials=task.trials)
    recipe = Recipe(task.values, base, goal.name, material, folder.work, phases.log, load)
    with phases.phase("trials", task.trials) as advance:
        advance(len(study.finished()))
        run_trials(study, recipe, advance, jobs=jobs)
    done = study.finished()
    folder.write("trials.csv", trials_csv(done, list(task.space.describe())))
    _require_value(done)
    report = _report(task, goal, done, sha256=sha256, material=material, settings=settings)
    _write_best(folder, task.values, report, plugins, base=base)
    folder.write("tuning.json", report.to_json())
    folder.finish()
    return report


@dataclass(frozen=True)
class _Task:
    """What is searched: the file's values, what they resolve to, and the points to try."""

    values: dict[str, Any]
    experiment: Experiment
    assembly: Assembly
    space: Space
    trials: int


def _task(
    experiment: Experiment, settings: Tune, goal: Goal, plugins: Plugins, *, base: Path
) -> _Task:
    """Check everything that can be checked before a byte is read."""
    if experiment.classifier is not None:
        msg = "`netvigil tune` searches encoders and scorers; a classifier is neither."
        do = "Write its settings as a suite ([[suite.vary]]) and compare the runs."
        raise ConfigError(msg, where="[classifier]", do=do)
    found = assemble(resolve(experiment, plugins), plugins, base=base)
    values = file_values(experiment, found)
    resolved, assembly = plan(values, {}, plugins, base=base, where="experiment")
    encoder = assembly.encoder.part
    assert isinstance(encoder, parts.Encoder)
    space = resolve_space(settings, encoder, goal)
    trials = trials_of(settings, space)
    _check(resolved, assembly, goal)

    def attempt(point: Point) -> object:
        return plan(values, point, plugins, base=base, where="a point of the space")

    check_space(space.examples(EXAMPLES), attempt, where="[tune] space")
    return _Task(values, resolved, assembly, space, trials)


def _check(experiment: Experiment, assembly: Assembly, goal: Goal) -> None:
    """Refuse an objective that this experiment cannot be judged by."""
    where, encoder = f"objective '{goal.name}'", assembly.encoder.part
    assert isinstance(encoder, parts.Encoder)
    if goal.labels and assembly.labeller is None:
        msg = "The objective reads labels, but nothing labels the flows."
        do = "Add a [labels] section, or choose a label-free objective."
        raise ConfigError(msg, where=where, do=do)
    if goal.name == "validation-loss" and encoder.passes == "none":
        raise no_loss(assembly.encoder.name)
    if goal.name != "seed-agreement":
        return
    if len(experiment.run.seeds) < 2:
        msg = "Agreement between seeds needs at least two."
        raise ConfigError(msg, where=where, do="Set run.seeds = [0, 1, 2].")
    if not random_parts(assembly):
        msg = (
            f"Nothing is random in encoder '{assembly.encoder.name}' and scorer "
            f"'{assembly.scorer.name}', so all seeds agree."
        )
        raise ConfigError(msg, where=where, do="Choose another objective.")


def _require_value(trials: list[Trial]) -> None:
    if not any(trial.outcome.value is not None for trial in trials):
        reason = trials[0].outcome.reason if trials else "no trial was run"
        msg = f"All {len(trials):,} trials failed. The first one:"
        raise RunError(msg, where=reason)


def _report(
    task: _Task,
    goal: Goal,
    trials: list[Trial],
    *,
    sha256: str,
    material: Path,
    settings: Tune,
) -> Tuning:
    experiment, space = task.experiment, task.space
    best = ranked(trials, goal)
    failures = [trial.outcome.reason for trial in trials if trial.outcome.value is None]
    return Tuning(
        source=experiment.flows.source.name,
        sha256=sha256,
        flows=Material.open(material).flows,
        objective=goal.name,
        direction=goal.direction,
        judged_by=goal.words,
        reads_labels=goal.labels,
        train_filter=experiment.train.uses_labels,
        space=space.name,
        axes=space.describe(),
        left_out=space.idle,
        points=space.size,
        sampler=settings.sampler,
        seed=settings.seed,
        seeds=experiment.run.seeds,
        trials=len(trials),
        failed=len(failures),
        best=best[0],
        top=tuple(best[:TOP]),
        first_failure=failures[0] if failures else None,
        seconds=round(math.fsum(trial.outcome.seconds for trial in trials), 3),
        versions=versions() | optuna_version(),
        code_version=__version__,
    )


def _write_best(
    folder: RunFolder, values: dict[str, Any], report: Tuning, plugins: Plugins, *, base: Path
) -> None:
    """Write the experiment file of the winner, which `netvigil run` takes as it is."""
    point = report.best.settings
    _, assembly = plan(values, point, plugins, base=base, where="the best trial")
    tuned = Tuned(
        objective=report.objective,
        trials=report.trials,
        value=report.best.value,
        space=report.space if report.space != "table" else ", ".join(report.axes),
    )
    written = movable(with_settings(values, point), assembly) | {"tuned": tuned.model_dump()}
    folder.write("best.toml", tomli_w.dumps(written))
