"""A state's way through a bundle, in memory: safetensors, JSON, skops with listed types."""

from __future__ import annotations

import json

import numpy as np

from netvigil.protocols import State
from netvigil.testing.conformance.rules import Subject


def revived(subject: Subject, state: State) -> State:
    """Return the state as a bundle would give it back; what it cannot carry breaks a rule."""
    from safetensors.numpy import load, save

    for name, array in state.arrays.items():
        subject.require(
            isinstance(array, np.ndarray) and array.dtype.kind in "biuf",
            "`State.arrays` holds arrays of numbers or truth values.",
            found=f"'{name}' is {getattr(array, 'dtype', type(array).__name__)}.",
            mend="Put text and settings into `State.values`, fitted models into "
            "`State.estimators`.",
        )
    arrays = load(save({k: np.ascontiguousarray(a) for k, a in state.arrays.items()}))
    return State(arrays, _json(subject, state), _estimators(subject, state))


def _json(subject: Subject, state: State) -> dict[str, object]:
    rule = "`State.values` is plain JSON."
    mend = (
        "Use str, int, float, bool, None, lists and dicts with string keys; arrays go to `arrays`."
    )
    try:
        back = json.loads(json.dumps(dict(state.values)))
    except (TypeError, ValueError) as error:
        subject.require(fine=False, rule=rule, found=str(error), mend=mend)
    subject.require(
        back == dict(state.values), rule, found=f"{state.values} came back as {back}.", mend=mend
    )
    return dict(back)


def _estimators(subject: Subject, state: State) -> dict[str, object]:
    if not state.estimators:
        return {}
    import skops.io

    trusted = list(getattr(subject.part, "trusted_types", ()))
    back = {}
    for name, estimator in state.estimators.items():
        data = skops.io.dumps(estimator)
        unlisted = sorted(set(skops.io.get_untrusted_types(data=data)) - set(trusted))
        subject.require(
            not unlisted,
            "every type in its skops files is listed in the part's `trusted_types`.",
            found=f"Estimator '{name}' holds {', '.join(unlisted)}.",
            mend="List them if loading them is harmless, or keep their arrays in `State.arrays`.",
        )
        back[name] = skops.io.loads(data, trusted=trusted)
    return back
