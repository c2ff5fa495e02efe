"""Everything netvigil raises on purpose, as one tree.

    NetvigilError
      ConfigError              an experiment file or option is wrong (the call was wrong: exit 2)
      ContractError            a table that passes between rooms breaks its invariants
      NotFittedError           something that learns was used before `fit`
      SourceError              an input cannot be read as what it claims to be
      BundleError              a bundle is damaged, tampered with, or does not fit the source
      RunError                 a run cannot go on (an empty part of a split, a wrong resume)
        TrainingError          a loss that is not finite, or not enough memory on the device
      PluginError
        PluginLoadError        a plugin failed at import, registration or yielded junk
        PluginConflictError    two packages provide one name
        UnknownPartError       nobody provides that name
        IncompatiblePartsError a pipeline whose parts do not fit together

Every message has up to three lines: what happened, where, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NetvigilError(Exception):
    """The root of the tree; catch this to catch everything netvigil raises on purpose.

    Example:
        >>> print(NetvigilError("Nothing to read.", where="flows.csv", do="Check the path."))
        Nothing to read.
        flows.csv
        Check the path.
    """

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        self.what, self.where, self.do = what, where, do
        super().__init__("\n".join(line for line in (what, where, do) if line))


class ConfigError(NetvigilError):
    """An experiment file or a command line option is wrong."""


class ContractError(NetvigilError):
    """A table or array that passes between rooms breaks its invariants."""


class NotFittedError(NetvigilError):
    """Something that learns was used before `fit`."""


class SourceError(NetvigilError):
    """An input cannot be read as what it claims to be."""


class BundleError(NetvigilError):
    """A bundle is damaged, tampered with, or does not fit the source."""


class RunError(NetvigilError):
    """A run cannot go on."""


class TrainingError(RunError):
    """Training cannot go on: a loss that is not finite, or not enough memory on the device."""


class PluginError(NetvigilError):
    """Something about plugins or their parts is wrong."""


class PluginLoadError(PluginError):
    """A plugin failed at import or registration, or yielded something that is not a part."""


class PluginConflictError(PluginError):
    """Two packages provide the same name."""


class UnknownPartError(PluginError):
    """Nobody provides a part of that name."""


class IncompatiblePartsError(PluginError):
    """The parts of a pipeline do not fit together."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the valid name nearest to `name`, or an empty string.

    Example:
        >>> nearest("anomale", ["anomal-e", "autographad"])
        "Did you mean 'anomal-e'?"
    """
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else ""
