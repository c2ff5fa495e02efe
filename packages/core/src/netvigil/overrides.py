"""`section.key=value` texts, as `--set` takes them, laid over an experiment file's plain values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from netvigil.errors import ConfigError

SOURCES = ("source", "test_source")
"""The keys of `[flows]` that name a source."""


def toml_value(text: str) -> Any:
    """Read what was typed for a setting as TOML, or as text where it is none.

    Example:
        >>> toml_value("0.5"), toml_value("cblof")
        (0.5, 'cblof')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def override(values: dict[str, Any], text: str) -> None:
    """Set one key; a value that is no TOML is taken as text.

    Raises:
        ConfigError: This is no override, or it sets a key inside something that is no section.
    """
    path, equals, raw = text.partition("=")
    keys = path.strip().split(".")
    if not equals or len(keys) < 2 or not all(keys):
        msg = f"'{text}' is not an override."
        raise ConfigError(
            msg,
            where="--set",
            do="Write --set section.key=value, for example --set scorer.name=hbos.",
        )
    value = toml_value(raw)
    if keys[0] == "flows" and keys[1:] in ([key] for key in SOURCES):
        value = str(Path.cwd() / str(value))  # what is typed is relative to where it is typed
    place = values
    for key in keys[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            msg = f"'{text}' sets a key inside '{key}', which is no section."
            raise ConfigError(msg, where="--set", do="Override the whole value instead.")
    place[keys[-1]] = value
