"""Experiment files laid over one another: `extends = "base.toml"`, and the values of a suite.

Tables are merged key by key; anything else, lists included, is replaced. A section that names
another part than the one below takes nothing over from it, as those were the other part's settings;
`[flows]` keeps its sources, and a classifier takes the place of encoder and scorer. Relative paths
count from the folder of the file that says them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netvigil.errors import ConfigError

NAMED_BY: Mapping[str, tuple[str, str]] = {
    "flows": ("reader", "auto"),
    "labels": ("labeller", "inline"),
    "graph": ("builder", "none"),
    "encoder": ("name", "raw"),
    "scorer": ("name", "pca"),
    "classifier": ("name", ""),
    "threshold": ("name", "quantile"),
}
"""Section -> the key that names its part, and the name where the key is absent."""


class Said(str):
    """Text of an experiment file that remembers its folder, for what turns out to be a path."""

    __slots__ = ("folder",)
    folder: Path

    @staticmethod
    def of(text: str, folder: Path) -> Said:
        """Return the same text with the folder of the file that says it."""
        said = Said(text)
        said.folder = folder
        return said


def folder_of(value: object, otherwise: Path) -> Path:
    """Return the folder that a relative path in a setting counts from."""
    return getattr(value, "folder", otherwise)


def read_layers(path: Path) -> dict[str, Any]:
    """Read an experiment file laid over the ones it extends, as plain values without `extends`.

    Raises:
        ConfigError: No such file, broken TOML, files that extend each other in a circle, or one
            that extends a suite.
    """
    values, base = read_file(path)
    return laid_over(base, values)


def read_file(path: Path, above: tuple[Path, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what one file says itself, and what it takes over from the files it extends."""
    values = said_in(_toml(path), path.parent)
    return values, inherited(values, path, above)


def inherited(values: dict[str, Any], path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Take `extends` out of `values` and return what that file says, whole; `path` says so."""
    name = values.pop("extends", None)
    if name is None:
        return {}
    if not isinstance(name, str):
        msg = "'extends' takes the name of one experiment file."
        raise ConfigError(msg, where=str(path), do=f"Found: {name!r}.")
    target = path.parent / name
    chain = (*above, path.resolve())
    if target.resolve() in chain:
        msg = "Experiment files extend each other in a circle."
        raise ConfigError(msg, where=" -> ".join(p.name for p in (*chain, target)))
    if not target.exists():
        msg = f"'extends' names a file that does not exist: {name}."
        raise ConfigError(msg, where=str(path), do="It is relative to the file that says it.")
    own, base = read_file(target, chain)
    if "suite" in own:
        msg = f"'extends' names a suite: {name}."
        raise ConfigError(msg, where=str(path), do="Name one experiment instead.")
    return laid_over(base, own)


def laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two experiments; `over` goes first.

    Example:
        >>> laid_over({"run": {"seeds": [0, 1], "device": "cpu"}}, {"run": {"seeds": [7]}})
        {'run': {'seeds': [7], 'device': 'cpu'}}
        >>> laid_over({"scorer": {"name": "knn", "k": 5}}, {"scorer": {"name": "hbos"}})
        {'scorer': {'name': 'hbos'}}
    """
    merged = _without_rivals(under, over)
    for section, value in over.items():
        below = merged.get(section)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            key, otherwise = NAMED_BY.get(section, ("", ""))
            if key in value and value[key] != below.get(key, otherwise):
                below = {k: v for k, v in below.items() if (section, k) in _KEPT}
            merged[section] = _merged(below, value)
        else:
            merged[section] = value
    return merged


def _without_rivals(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Take out the encoder and scorer that a classifier above replaces, and the other way round."""
    for above, below in ((_LABELLED, _UNLABELLED), (_UNLABELLED, _LABELLED)):
        if above & set(over) and not below & set(over):
            return {name: value for name, value in under.items() if name not in below}
    return dict(under)


_LABELLED, _UNLABELLED = {"classifier"}, {"encoder", "scorer"}
_KEPT = {("flows", "source"), ("flows", "test_source")}


def said_in(value: Any, folder: Path) -> Any:
    """Return plain values whose texts remember the folder of their file."""
    if isinstance(value, str):
        return Said.of(value, folder)
    if isinstance(value, list):
        return [said_in(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: said_in(item, folder) for key, item in value.items()}
    return value


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        msg = "There is no such experiment file."
        raise ConfigError(msg, where=str(path)) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = "The experiment file is not readable TOML."
        raise ConfigError(msg, where=f"{path}: {error}") from error
