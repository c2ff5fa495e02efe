"""What every trained encoder asks of windows and of a state."""

from __future__ import annotations

from netvigil.contracts import WindowGraphs
from netvigil.errors import BundleError, ContractError


def require_hosts(windows: WindowGraphs, *, encoder: str) -> None:
    """Refuse windows of another schema than flows between hosts."""
    if windows.schema != "flow-host":
        msg = f"'{encoder}' needs windows of flows and hosts, not '{windows.schema}'."
        raise ContractError(msg, do='Use [graph] builder = "flow-host".')


def require_features(windows: WindowGraphs, features: tuple[str, ...], *, encoder: str) -> None:
    """Refuse windows with other features than in training; says which are missing or new."""
    if windows.feature_names == features:
        return
    missing = [name for name in features if name not in windows.feature_names]
    new = [name for name in windows.feature_names if name not in features]
    found = [
        f"{word}: {', '.join(names)}"
        for word, names in (("Missing", missing), ("New", new))
        if names
    ]
    msg = f"These windows have other features than those that '{encoder}' was trained on."
    where = ". ".join(found) or "The same names, in another order"
    raise ContractError(msg, where=f"{where}.", do="Prepare them with the pipeline of the bundle.")


def not_a_state_of(encoder: str) -> BundleError:
    """Return the error for a state that belongs to something else."""
    msg = f"This is not a state of '{encoder}' with these settings."
    return BundleError(msg, do="Fit the pipeline again and save a new bundle.")
