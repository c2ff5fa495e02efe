"""What the sections of an experiment file must be together; `config` checks each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netvigil.errors import ConfigError

if TYPE_CHECKING:
    from netvigil.config import Experiment


def require_sense(experiment: Experiment) -> None:
    """Refuse sections that contradict each other; give the split the shares that are meant.

    Raises:
        ConfigError: Says which sections do not go together, and what to take out.
    """
    _require_one_method(experiment)
    _divide(experiment)


def _require_one_method(experiment: Experiment) -> None:
    """Refuse what does not go together with a classifier."""
    if experiment.classifier is None:
        if experiment.train.augment is not None:
            msg = "Generated flows are added to what a classifier learns, and there is none."
            do = "Add a [classifier] section, or take the line out."
            raise ConfigError(msg, where="[train] augment", do=do)
        return
    beside = [name for name in ("encoder", "scorer") if name in experiment.model_fields_set]
    if beside:
        msg = f"A classifier stands in the place of encoder and scorer, but [{beside[0]}] is there."
        raise ConfigError(msg, where="[classifier]", do="Take one of them out.")
    if experiment.train.drop_attacks:
        msg = "A classifier learns what attacks look like; drop_attacks leaves it none."
        raise ConfigError(msg, where="[train] drop_attacks", do="Take the line out.")
    if experiment.labels is None:
        msg = "A classifier learns from labels, but nothing labels the flows."
        raise ConfigError(msg, where="[classifier]", do="Add a [labels] section.")


def _divide(experiment: Experiment) -> None:
    """Check the shares of the split; a test source leaves all of `source` to the other two parts.

    They are set here, so that what is written down says what was done.
    """
    split = experiment.split
    if experiment.flows.test_source is None:
        if split.protocol != "ranges" and split.train + split.calibrate >= 1:
            msg = "'split': train + calibrate must leave something to test."
            raise ConfigError(msg, where="[split]", do="Or name a flows.test_source.")
        return
    if split.protocol == "ranges":
        msg = "Ranges name the test part, and flows.test_source is one already."
        raise ConfigError(msg, where="[split] protocol", do="Choose another protocol.")
    rest = round(1 - split.calibrate, 12)
    if "train" in split.model_fields_set and abs(split.train - rest) > 1e-9:
        msg = f"With a test source, train + calibrate must be 1, not {split.train} + "
        msg += f"{split.calibrate}."
        raise ConfigError(msg, where="[split]", do="Leave split.train out; calibrate decides.")
    object.__setattr__(experiment, "split", split.model_copy(update={"train": rest}))
