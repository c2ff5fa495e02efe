"""Which explainers explain a pipeline: those asked for by name, or the best of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netvigil import parts, protocols
from netvigil.config import Choice
from netvigil.contracts import WindowGraphs
from netvigil.errors import ConfigError, IncompatiblePartsError, UnknownPartError, nearest
from netvigil.overrides import toml_value
from netvigil.pipeline import Chosen, choose
from netvigil.plugins import Plugins
from netvigil.protocols import Scoring

Made = tuple[Chosen, protocols.Explainer]


def by_name(
    names: Sequence[str], settings: Sequence[str], plugins: Plugins, *, base: Path
) -> list[Chosen]:
    """Return the explainers asked for, with `name.key=value` settings, or all that there are.

    Without names they come in the order in which they are tried: by what they are about, then rank.

    Raises:
        UnknownPartError: Nobody provides one.
        IncompatiblePartsError: One that was named lacks what it needs.
        ConfigError: A setting is wrong, or of an explainer that was not asked for.
    """
    given = [_setting(text) for text in settings]
    wanted = list(dict.fromkeys(names)) or _ranked(plugins)
    stray = next((name for name, _, _ in given if name not in wanted), None)
    if stray is not None:
        msg = f"A setting is for '{stray}', which is not asked to explain."
        raise ConfigError(
            msg, where="--set", do=nearest(stray, wanted) or "Name it with --explainer."
        )
    found = []
    for name in wanted:
        options = {key: value for of, key, value in given if of == name}
        choice = Choice(name=name, options=options)
        chosen = choose(plugins, parts.Explainer, choice, section="explainer", base=base)
        if names:
            chosen.make()  # one that lacks its library is refused before a byte is read
        found.append(chosen)
    return found


def fitting(
    asked: Sequence[Chosen], scoring: Scoring, windows: WindowGraphs, *, named: bool
) -> list[Made]:
    """Return explainers made and checked: all that were `named`, or of each kind the first fit.

    Raises:
        IncompatiblePartsError: One that was named cannot explain this pipeline, or none can.
    """
    found: dict[str, Made] = {}
    refusals = []
    for chosen in asked:
        assert isinstance(chosen.part, parts.Explainer)
        key = chosen.name if named else chosen.part.about
        if key in found:
            continue
        try:
            made: protocols.Explainer = chosen.make()
            made.check(scoring, windows)
        except IncompatiblePartsError as error:
            if named:
                raise
            refusals.append(f"{chosen.name}: {error.what}")
            continue
        found[key] = (chosen, made)
    if not found:
        msg = "No installed explainer can explain this pipeline."
        raise IncompatiblePartsError(msg, where=" ".join(refusals))
    return list(found.values())


def _ranked(plugins: Plugins) -> list[str]:
    explainers = [each.part for each in plugins.of(parts.Explainer)]
    if not explainers:
        msg = "No installed package brings an explainer."
        raise UnknownPartError(msg, do="See `netvigil plugins doctor`.")
    ranked = sorted(explainers, key=lambda part: (part.about, part.rank, part.name))
    return list(dict.fromkeys(part.name for part in ranked))


def _setting(text: str) -> tuple[str, str, object]:
    """Read `name.key=value`; the value is TOML where it can be, else text."""
    path, equals, value = text.partition("=")
    name, dot, key = path.partition(".")
    if not equals or not dot or not key:
        msg = f"'{text}' is no setting of an explainer."
        raise ConfigError(msg, where="--set", do="Write --set occlusion.pairs=20.")
    return name, key, toml_value(value)
