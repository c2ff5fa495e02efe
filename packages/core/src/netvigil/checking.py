"""Plain values checked against a pydantic model; its report becomes one error with three lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from netvigil.errors import ConfigError, nearest


def checked(
    model: type[BaseModel], values: Mapping[str, Any], *, where: str, beside: Sequence[str] = ()
) -> Any:
    """Validate `values`; pydantic's report becomes one error that names the key and the nearest."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        if first["type"] == "extra_forbidden":
            raise _unknown_key(model, first["loc"], where, beside) from error
        what = (
            f"'{place}' is missing."
            if first["type"] == "missing"
            else f"'{place}': {first['msg']}."
        )
        got = (
            ""
            if first["type"] == "missing" or isinstance(first["input"], Mapping)
            else f"Found: {first['input']!r}."
        )
        raise ConfigError(what.replace("Value error, ", ""), where=where, do=got) from error


def _unknown_key(
    model: type[BaseModel], loc: tuple[int | str, ...], where: str, beside: Sequence[str]
) -> ConfigError:
    valid = list(model.model_fields)
    section = model
    for step in loc[:-1]:
        field = section.model_fields.get(str(step))
        inner = model_of(field.annotation) if field else None
        if inner is None:
            break
        section = inner
        valid = list(section.model_fields)
    key = str(loc[-1])
    valid += beside
    do = nearest(key, valid) or f"Valid keys: {', '.join(sorted(valid)) or 'none'}."
    return ConfigError(f"Unknown key '{'.'.join(map(str, loc))}'.", where=where, do=do)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation such as `Labels | None` names, if any."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
