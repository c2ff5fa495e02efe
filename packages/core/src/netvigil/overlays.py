"""Published settings laid under an experiment: an encoder's or a classifier's preset and parity.

What the file says goes before parity, parity before the preset, the preset before the defaults. A
section that names another part than the overlay takes none of the overlay's settings for it. Parity
takes over leaks as well, so what needs it is refused without it, and every receipt says in capitals
which of its choices are in force. A method without an official pipeline lays nothing under the
file: there parity only permits, and the file switches each leak on by name. A classifier learns
from labels anyway: what reads the train part's labels beside it needs no parity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netvigil import parts
from netvigil.checking import checked
from netvigil.config import ChoosingSection, Experiment, Section
from netvigil.errors import ConfigError, nearest
from netvigil.layers import laid_over
from netvigil.plugins import Plugins

NOTES = "notes"
"""The one key of a parity overlay that is no section: what a receipt says about its choices."""
READS_LABELS = "paper-stratified"
Method = parts.Encoder | parts.Classifier
FIT_ON = "[features] fit_on"


def resolve(experiment: Experiment, plugins: Plugins) -> Experiment:
    """Lay the method's preset and parity choices under what an experiment says itself.

    Resolving twice changes nothing, so a resolved experiment that was written down runs as it is.

    Raises:
        UnknownPartError: There is no such encoder or classifier.
        ConfigError: No such preset, or settings that do not go together.
    """
    chosen = experiment.classifier or experiment.encoder
    preset, parity = chosen.preset, experiment.run.parity
    if preset is None and not parity:
        return experiment
    part: Method
    if experiment.classifier is None:
        part = plugins.get(parts.Encoder, chosen.name).part
    else:
        part = plugins.get(parts.Classifier, chosen.name).part
    under: Mapping[str, Any] = {}
    words = []
    if preset is not None:
        under = _named(part, _preset(part, preset))
        words.append(f"preset '{preset}'")
    if parity and part.parity:
        official = {section: values for section, values in part.parity.items() if section != NOTES}
        under = laid_over(under, _named(part, official))
        words.append("parity")
    if not words:
        return experiment
    where = f"the experiment laid over {' and '.join(words)} of {part.kind} '{part.name}'"
    resolved: Experiment = checked(Experiment, laid_over(under, said(experiment)), where=where)
    return resolved


def said(experiment: Experiment) -> dict[str, Any]:
    """Return what an experiment says itself, section by section, without any default."""
    values = {name: getattr(experiment, name) for name in experiment.model_fields_set}
    return {name: _said(value) for name, value in values.items() if value is not None}


def _said(section: Any) -> Any:
    if not isinstance(section, Section):
        return section
    own = {name: getattr(section, name) for name in section.model_fields_set}
    if isinstance(section, ChoosingSection):
        own.pop("options", None)
        return own | section.options
    return own


def require_parity(experiment: Experiment, transforms: Iterable[parts.Part[Any]]) -> None:
    """Refuse what lets labels or test flows into training, unless `run.parity` is on.

    Beside a classifier the labels of the train part are no secret.

    Raises:
        ConfigError: A stratified split or a supervised transform without parity, or without labels;
            transforms fitted on all flows without parity.
    """
    readers = {f"transform '{p.name}'": "[features] transforms" for p in supervised(transforms)}
    if experiment.split.protocol == READS_LABELS:
        readers[f"split protocol '{READS_LABELS}'"] = "[split] protocol"
    leaks = {
        f"The {what} reads labels, which no model here may see.": where
        for what, where in readers.items()
        if experiment.classifier is None
    }
    if experiment.features.fit_on == "all":
        leaks["Transforms fitted on all flows learn from those they are tested on."] = FIT_ON
    for msg, where in leaks.items():
        if not experiment.run.parity:
            do = "Set run.parity = true to reproduce a published pipeline; the receipt will say so."
            raise ConfigError(msg, where=where, do=do)
    for what, where in readers.items():
        if experiment.labels is None:
            msg = f"The {what} reads labels, but nothing labels the flows."
            raise ConfigError(msg, where=where, do="Add a [labels] section.")


def supervised(transforms: Iterable[parts.Part[Any]]) -> list[parts.FlowTransform]:
    """Return the transforms that learn from labels."""
    return [p for p in transforms if isinstance(p, parts.FlowTransform) and p.supervised]


def parity_notes(
    experiment: Experiment, method: parts.Part[Any], transforms: Iterable[parts.Part[Any]]
) -> tuple[str, ...]:
    """Say in capitals which leaks and official choices are in force; empty without parity."""
    if not experiment.run.parity:
        return ()
    notes = []
    if experiment.split.protocol == READS_LABELS:
        notes.append("RANDOM STRATIFIED SPLIT")
    if experiment.split.protocol == "paper-shuffled":
        notes.append("SHUFFLED SPLIT")
    if experiment.split.duplicates == "count":
        notes.append("DUPLICATES KEPT")
    if experiment.features.fit_on == "all":
        notes.append("TRANSFORMS FITTED ON ALL FLOWS")
    if experiment.features.allow_shortcuts:
        notes.append(f"SHORTCUT FEATURES {' '.join(experiment.features.allow_shortcuts)}".upper())
    notes += [f"LABEL-FITTED {p.name.replace('-', ' ')}".upper() for p in supervised(transforms)]
    if isinstance(method, Method):
        notes += _notes_of(experiment, method)
    return tuple(dict.fromkeys(notes)) or ("NONE OF THE OFFICIAL CHOICES IS IN FORCE",)


def _notes_of(experiment: Experiment, method: Method) -> list[str]:
    """Return the overlay's own notes: `text` always, `section.key` where its value is in force."""
    notes: list[str] = []
    now = said(experiment)
    for key, text in method.parity.get(NOTES, {}).items():
        section, _, name = key.partition(".")
        taken = method.parity.get(section, {}).get(name)
        if not name or now.get(section, {}).get(name) == taken:
            notes += [text] if isinstance(text, str) else list(text)
    return [note.upper() for note in notes]


def _preset(part: Method, name: str) -> parts.Overlay:
    if name in part.presets:
        return part.presets[name]
    where = f"[{part.kind}] preset"
    if not part.presets:
        msg = f"{part.kind.capitalize()} '{part.name}' publishes no presets."
        raise ConfigError(msg, where=where, do="Take the line out.")
    msg = f"{part.kind.capitalize()} '{part.name}' has no preset '{name}'."
    listed = f"Its presets: {', '.join(part.presets)}."
    raise ConfigError(msg, where=where, do=f"{nearest(name, part.presets)} {listed}".strip())


def _named(part: Method, overlay: parts.Overlay) -> dict[str, Any]:
    """Give the overlay's settings of the method its name; refuse what it may not decide."""
    own = part.kind
    for section, key in (("run", "parity"), (own, "label"), (own, "options"), (own, "preset")):
        if key in overlay.get(section, {}):
            msg = f"An overlay of {own} '{part.name}' sets {section}.{key}."
            raise ConfigError(msg, do="Only an experiment file may; mend the package.")
    return {**overlay, own: {**overlay.get(own, {}), "name": part.name}}
