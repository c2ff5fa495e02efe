"""Suites: one file that stands for many experiments, made by what it varies.

A suite is an experiment file with `[[suite.vary]]` axes. Each value of an axis is a table of
sections laid over the file (see `netvigil.layers`), later axes over earlier ones:

    [suite]
    [[suite.vary]]
    axis = "data"
    [suite.vary.values.unsw]
    flows = {source = "unsw.csv"}
    [suite.vary.values.westermo]
    extends = "westermo.toml"

Every combination is run; with `mode = "one-at-a-time"` in `[suite]` each value is run alone
instead, beside the first values of the other axes (see `netvigil.sweeps`). `crossed = true` keeps
an axis out of that: every choice is then run with each of its values.

A value may extend another experiment file. What the suite file says itself, in its shared sections
and in its values, goes before what it takes over from other files.
"""

from __future__ import annotations

import errno
import json
import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from netvigil.checking import checked
from netvigil.config import Experiment, Section, parse_experiment
from netvigil.errors import ConfigError, IncompatiblePartsError, NetvigilError, RunError, nearest
from netvigil.layers import folder_of, inherited, laid_over, read_file
from netvigil.sweeps import Mode, Swept, base_of, picks

if TYPE_CHECKING:
    from netvigil.phases import Phases
    from netvigil.plugins import Plugins

NOTE = "suite.json"
FAILURES = "failures.txt"
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of values become names of folders, on every file system."""
TAKEN = (NOTE, FAILURES, "comparison.html", "comparison.csv", "comparison.md")

State = Literal["finished", "found", "failed"]


class Axis(Section):
    """`[[suite.vary]]`: what is varied, and by the name of each value the sections it lays over.

    `crossed` has every other choice run with each of the values, also one at a time.
    """

    axis: str
    values: dict[str, dict[str, Any]]
    crossed: bool = False


class Varied(Section):
    """`[suite]`: the axes, the first one outermost, and what is run of their values."""

    vary: tuple[Axis, ...]
    mode: Mode = "grid"


@dataclass(frozen=True)
class Combination:
    """One experiment of a suite; `at` names its value on each axis."""

    at: Mapping[str, str]
    experiment: Experiment
    name: str
    """Its folder within the suite's folder."""


@dataclass(frozen=True)
class Suite:
    """A suite file, checked: every combination is a valid experiment.

    `order` names all combinations, also where `only` has left some out. `base` is the value that an
    axis stays at while another one moves; empty where all are combined.
    """

    path: Path
    axes: Mapping[str, tuple[str, ...]]
    combinations: tuple[Combination, ...]
    order: tuple[str, ...]
    base: Mapping[str, str]

    def only(self, chosen: Sequence[str]) -> Suite:
        """Keep the combinations that `axis=value` texts choose; commas separate several.

        Raises:
            ConfigError: An axis or a value that the suite does not have.
        """
        wanted: dict[str, set[str]] = {}
        for text in (part for each in chosen for part in each.split(",")):
            axis, equals, value = (word.strip() for word in text.partition("="))
            if not equals:
                msg = f"'{text}' chooses nothing."
                raise ConfigError(msg, where="--only", do="Write --only axis=value.")
            _require(axis, self.axes, "axis")
            _require(value, self.axes[axis], f"value of axis '{axis}'")
            wanted.setdefault(axis, set()).add(value)
        kept = tuple(
            c for c in self.combinations if all(c.at[axis] in wanted[axis] for axis in wanted)
        )
        return replace(self, combinations=kept)


@dataclass(frozen=True)
class Outcome:
    """What became of one combination: run now, found finished, or failed for a reason."""

    name: str
    folder: Path
    state: State
    reason: str = ""


class Begun(BaseModel):
    """What the note says about one combination: where it stands and what it is."""

    model_config = ConfigDict(extra="ignore")

    at: dict[str, str]
    experiment: dict[str, Any]


class SuiteNote(BaseModel):
    """`suite.json` in a suite's folder: which run folders belong to it, and what they are.

    `base` is what an axis stays at while another one moves, where that is how the suite was run.
    """

    model_config = ConfigDict(extra="ignore")

    schema_version: Literal["netvigil.suite/1"] = "netvigil.suite/1"
    combinations: dict[str, Begun] = {}
    base: dict[str, str] = {}

    @staticmethod
    def read(folder: Path) -> SuiteNote | None:
        """Read the note of a folder; None where there is none.

        Raises:
            RunError: It is damaged, or of another version.
        """
        path = folder / NOTE
        if not path.is_file():
            return None
        try:
            return SuiteNote.model_validate_json(path.read_bytes())
        except ValidationError as error:
            msg = "The note of the suite is damaged."
            raise RunError(
                msg, where=str(path), do="Remove the folder, and run it again."
            ) from error


def is_suite(path: Path) -> bool:
    """Say whether an experiment file is a suite."""
    return "suite" in read_file(path)[0]


def load_suite(path: Path, overrides: Sequence[str] = ()) -> Suite:
    """Read a suite file and check every combination of its values.

    `overrides` are `section.key=value` texts, as `--set` takes them; they hold for every one.

    Raises:
        ConfigError: As `load_experiment`, with the combination named; axes or values without a
            name that a folder can have; two combinations of one folder; two axes that name
            different sources.
    """
    own, base = read_file(path)
    varied: Varied = checked(Varied, own.pop("suite", {}), where=f"{path} [suite]")
    _require_names(varied, path)
    layers = {
        axis.axis: {name: _layer(value, path) for name, value in axis.values.items()}
        for axis in varied.vary
    }
    axes = [Swept(axis.axis, tuple(axis.values), axis.crossed) for axis in varied.vary]
    combinations = []
    for pick in picks(axes, varied.mode):
        where = f"{path}: {pick.name}"
        picked = {axis: layers[axis][value] for axis, value in pick.at.items()}
        _require_one_source(own, picked, where)
        values: dict[str, Any] = base
        taken, said = ([getattr(p, which) for p in picked.values()] for which in ("taken", "said"))
        for over in (*taken, own, *said):
            values = laid_over(values, over)
        experiment = parse_experiment(values, base=path.parent, overrides=overrides, where=where)
        combinations.append(Combination(pick.at, experiment, pick.name))
    _require_folders(combinations, path)
    return Suite(
        path,
        {axis.name: axis.values for axis in axes},
        tuple(combinations),
        tuple(combination.name for combination in combinations),
        base_of(axes, varied.mode),
    )


def run_suite(
    suite: Suite,
    plugins: Plugins,
    *,
    out: Path,
    make_phases: Callable[[], Phases],
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Run every combination, each into a run folder `out/<value>/<value>/...`.

    One that fails does not stop the others. `resume` skips finished run folders of the same
    experiments and goes on with unfinished ones. `say` is told each step in words.

    Raises:
        ConfigError, PluginError: A combination names a part or a setting that does not exist;
            nothing is run.
        RunError: `out` exists and `resume` was not asked for, or there is nothing to resume.
    """
    _require_folder(out, resume=resume)
    impossible = _assemble_all(suite, plugins)
    out.mkdir(parents=True, exist_ok=True)
    before = SuiteNote.read(out) or SuiteNote()
    (out / FAILURES).unlink(missing_ok=True)
    outcomes = []
    note = before.combinations
    for number, combination in enumerate(suite.combinations, start=1):
        name, folder = combination.name, out / combination.name
        say(f"Combination {number} of {len(suite.combinations)}: {name}")
        if name in impossible:
            outcome = Outcome(name, folder, "failed", impossible[name])
        elif folder.exists():
            outcome = _found(combination, folder, note.get(name))
        else:
            note = _noted(suite, note, combination)
            written = SuiteNote(combinations=note, base=dict(suite.base))
            _write(out / NOTE, written.model_dump(mode="json"))
            outcome = _run_one(suite, combination, plugins, out, make_phases())
        if outcome.state != "finished":
            say({"found": "  finished earlier"}.get(outcome.state, f"  failed: {outcome.reason}"))
        outcomes.append(outcome)
    return outcomes


@dataclass(frozen=True)
class _Layer:
    """One value of an axis: what it says itself, and what it takes over from another file."""

    said: dict[str, Any]
    taken: dict[str, Any]


def _layer(value: Mapping[str, Any], path: Path) -> _Layer:
    said = dict(value)
    taken = inherited(said, path)
    return _Layer(said, taken)


def _require_names(varied: Varied, path: Path) -> None:
    axes = [axis.axis for axis in varied.vary]
    if not axes or any(not axis.values for axis in varied.vary):
        msg = "A suite varies something, and each axis has values."
        do = 'Write [[suite.vary]] with axis = "data", then [suite.vary.values.NAME] tables.'
        raise ConfigError(msg, where=str(path), do=do)
    for kind, names in (("axis", axes), *(("value", list(a.values)) for a in varied.vary)):
        folded = [name.casefold() for name in names]
        for name in names:
            unsafe = not SAFE.fullmatch(name) or name.endswith((".", ".partial")) or name in TAKEN
            if unsafe:
                msg = (
                    f"'{name}' cannot be the name of an {kind}."
                    if kind == "axis"
                    else (f"'{name}' cannot be the name of a value: a folder gets that name.")
                )
                do = "Use letters, digits, hyphens, underscores and dots."
                raise ConfigError(msg, where=f"{path} [suite]", do=do)
            if folded.count(name.casefold()) > 1:
                msg = f"Two of the suite's {kind} names are '{name}', letter case aside."
                raise ConfigError(msg, where=f"{path} [suite]")


def _require_folders(combinations: Sequence[Combination], path: Path) -> None:
    """Refuse two combinations of one folder: axis `a`, value `b-c` and axis `a-b`, value `c`."""
    seen: set[str] = set()
    for combination in combinations:
        folder = combination.name.casefold()
        if folder in seen:
            msg = f"Two combinations would have the folder '{combination.name}'."
            raise ConfigError(msg, where=f"{path} [suite]", do="Rename an axis or a value.")
        seen.add(folder)


def _require_one_source(own: Mapping[str, Any], picked: Mapping[str, _Layer], where: str) -> None:
    """Refuse two axes that name different sources: a folder's name would be a lie."""
    said = {axis: _source(layer.said) for axis, layer in picked.items()}
    if not any(said.values()):
        if _source(own):
            return
        said = {axis: _source(layer.taken) for axis, layer in picked.items()}
    named = {axis: source for axis, source in said.items() if source is not None}
    if len(set(named.values())) > 1:
        msg = f"The axes {' and '.join(named)} name different sources."
        do = "Let one axis name flows.source."
        raise ConfigError(msg, where=where, do=do)


def _source(values: Mapping[str, Any]) -> Path | None:
    flows = values.get("flows")
    source = flows.get("source") if isinstance(flows, Mapping) else None
    return folder_of(source, Path()) / source if isinstance(source, str) else None


def _require(name: str, valid: Iterable[str], what: str) -> None:
    valid = list(valid)
    if name not in valid:
        msg = f"The suite has no {what} '{name}'."
        do = nearest(name, valid) or f"It has: {', '.join(valid)}."
        raise ConfigError(msg, where="--only", do=do)


def _require_folder(out: Path, *, resume: bool) -> None:
    exists = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if exists and not resume:
        msg = "There is something of that name already."
        do = "Go on with --resume, or choose another --out."
        raise RunError(msg, where=str(out), do=do)
    if resume and not (out / NOTE).is_file():
        msg = "There is no suite to resume."
        raise RunError(msg, where=str(out), do="Start it without --resume.")


def _assemble_all(suite: Suite, plugins: Plugins) -> dict[str, str]:
    """Refuse wrong names and settings before anything runs; return the pipelines that cannot be."""
    from netvigil.overlays import resolve
    from netvigil.pipeline import assemble

    impossible = {}
    for combination in suite.combinations:
        try:
            assemble(resolve(combination.experiment, plugins), plugins, base=suite.path.parent)
        except IncompatiblePartsError as error:
            impossible[combination.name] = _line(error)
        except NetvigilError as error:
            where = f"{combination.name}: {error.where}" if error.where else combination.name
            raise type(error)(error.what, where=where, do=error.do) from error
    return impossible


def _found(combination: Combination, folder: Path, begun: Begun | None) -> Outcome:
    """Say whether a finished run folder is this combination's."""
    wanted = _identity(combination)
    found = begun.experiment if begun else {}
    differ = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
    if not differ:
        return Outcome(combination.name, folder, "found")
    reason = f"the finished run differs in: {', '.join(differ)}; remove it to run it again"
    return Outcome(combination.name, folder, "failed", reason)


def _run_one(
    suite: Suite, combination: Combination, plugins: Plugins, out: Path, phases: Phases
) -> Outcome:
    from netvigil import runner
    from netvigil.runfolder import RunFolder

    name, folder = combination.name, out / combination.name
    try:
        runner.run(
            combination.experiment,
            plugins,
            base=suite.path.parent,
            out=folder,
            phases=phases,
            resume=RunFolder(folder).partial.exists(),
        )
    except NetvigilError as error:
        return Outcome(name, folder, "failed", _line(error))
    except Exception as error:
        # Whatever stops one must not stop a night's work; a full disk stops them all.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        with (out / FAILURES).open("a", encoding="utf-8") as file:
            file.write(f"{name}\n{traceback.format_exc()}\n")
        reason = f"{type(error).__name__}: {error} (see {FAILURES})"
        return Outcome(name, folder, "failed", reason)
    return Outcome(name, folder, "finished")


def _line(error: NetvigilError) -> str:
    return " ".join(line for line in (error.what, error.where, error.do) if line)


def _noted(suite: Suite, before: Mapping[str, Begun], combination: Combination) -> dict[str, Begun]:
    """Add a combination to what the note says, in the order of the suite."""
    begun = Begun(at=dict(combination.at), experiment=_identity(combination))
    noted = {**before, combination.name: begun}
    names = [name for name in suite.order if name in noted]
    return {name: noted[name] for name in (*names, *(n for n in noted if n not in suite.order))}


def _identity(combination: Combination) -> dict[str, Any]:
    """Return the experiment as JSON; the sources by name only, as run folders travel."""
    values = combination.experiment.model_dump(mode="json", exclude_none=True)
    values["flows"] |= combination.experiment.flows.names()
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def _write(path: Path, value: object) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
    partial.replace(path)
