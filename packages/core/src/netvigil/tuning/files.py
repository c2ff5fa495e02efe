"""An experiment as its file would write it, and with a trial's settings laid over it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netvigil.config import Experiment, parse_experiment
from netvigil.layers import laid_over
from netvigil.overlays import resolve
from netvigil.pipeline import Assembly, Chosen, assemble
from netvigil.plugins import Plugins
from netvigil.tuning.spaces import Point


def file_values(experiment: Experiment, assembly: Assembly) -> dict[str, Any]:
    """Return what the file itself says, as JSON values with absolute paths, without `[tune]`.

    Defaults stay out because a preset lies under what a file says, but over what it does not say.
    """
    unsaid = {"tune", "tuned"}
    values = experiment.model_dump(
        mode="json", exclude=unsaid, exclude_unset=True, exclude_none=True
    )
    values["flows"] |= {k: str(path.absolute()) for k, path in experiment.flows.sources().items()}
    return movable({name: _section(section) for name, section in values.items()}, assembly)


def plan(
    values: Mapping[str, Any], point: Point, plugins: Plugins, *, base: Path, where: str
) -> tuple[Experiment, Assembly]:
    """Return the experiment of a file's values with a trial's settings, and its parts."""
    own = parse_experiment(with_settings(values, point), base=base, where=where)
    experiment = resolve(own, plugins)
    return experiment, assemble(experiment, plugins, base=base)


def with_settings(values: Mapping[str, Any], point: Point) -> dict[str, Any]:
    """Return a file's values with each `section.key` set; another part drops the file's settings.

    Example:
        >>> with_settings({"encoder": {"name": "raw"}}, {"scorer.weights.kl": 0.5})
        {'encoder': {'name': 'raw'}, 'scorer': {'weights': {'kl': 0.5}}}
    """
    nested: dict[str, Any] = {}
    for path, value in point.items():
        *way, last = path.split(".")
        place = nested
        for key in way:
            place = place.setdefault(key, {})
        place[last] = copy.deepcopy(value)
    return laid_over(values, nested)


def movable(values: Mapping[str, Any], assembly: Assembly) -> dict[str, Any]:
    """Return a file's values with absolute paths, so that the file can lie in any folder."""
    own = copy.deepcopy(dict(values))
    places: list[tuple[Any, Chosen | None]] = [
        (own.get("labels"), assembly.labeller),
        (own.get("graph"), assembly.builder),
        (own.get("encoder"), assembly.encoder),
        (own.get("scorer"), assembly.scorer),
        (own.get("threshold"), assembly.threshold),
        (own.get("alerts", {}).get("exporter"), assembly.exporter),
        *zip(own.get("features", {}).get("transforms", ()), assembly.transforms, strict=False),
        *zip(own.get("evaluate", {}).get("also", ()), assembly.also, strict=False),
    ]
    for section, chosen in places:
        if chosen is None or not isinstance(section, dict):
            continue
        for key, value in chosen.config:
            if isinstance(value, Path) and key in section:
                section[key] = str(value.absolute())
    return own


def _section(values: Any) -> Any:
    """Write a chosen part's settings beside its name, here and one level down, as files do."""
    if not isinstance(values, dict):
        return values
    options = values.get("options", {})
    own = {k: _choice(v) for k, v in values.items() if k != "options"}
    return own | options


def _choice(value: Any) -> Any:
    if isinstance(value, list):
        return [_choice(item) for item in value]
    if isinstance(value, dict) and isinstance(value.get("options"), dict):
        return {k: v for k, v in value.items() if k != "options"} | value["options"]
    return value
