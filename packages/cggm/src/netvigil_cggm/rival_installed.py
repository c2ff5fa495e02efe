"""`InstalledCtgan`: the CTGAN of the package `ctgan`, for who has installed it.

Its licence (Business Source Licence 1.1) is not a free one, so nothing here depends on it; our own
is in `rival_tabular.py`. Rows are asked for with their class as the condition, and keep the class
that was asked for, whichever one the package's own class column holds.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from netvigil.errors import ConfigError
from netvigil_cggm.rival_rows import RowRival, RowSettings
from netvigil_cggm.rivals import Rows

PACKAGE = "ctgan"
CLASS = "class"


def installed() -> bool:
    """Say whether the package is there, without loading it."""
    return PACKAGE in sys.modules or importlib.util.find_spec(PACKAGE) is not None


class InstalledCtgan(RowRival):
    """Rows of an installed CTGAN, and links at random, as many as a train snapshot has.

    `epochs` is how often the package walks through the rows. It repeats itself for a seed if the
    package lets a seed be set (`set_random_state`).

    Raises:
        ConfigError: The package is not there.
    """

    def __init__(self, epochs: int = 150) -> None:
        super().__init__(RowSettings())
        if not installed():
            msg = f"The package '{PACKAGE}' is not installed."
            do = f"Install '{PACKAGE}' if its licence suits you, or take our own: `Ctgan`."
            raise ConfigError(msg, do=do)
        self.epochs = epochs
        self.model_: Any = None

    def _learn(self, x: Rows, label: NDArray[np.int64], classes: int, seed: int) -> None:
        import pandas as pd

        del classes
        table = pd.DataFrame(x, columns=_names(x.shape[1]))
        table[CLASS] = [str(number) for number in label]
        self.model_ = importlib.import_module(PACKAGE).CTGAN(epochs=self.epochs)
        self._seed(seed)
        self.model_.fit(table, [CLASS])

    def _give(self, label: Tensor, dice: Any) -> Rows:
        self._seed(int(dice.initial_seed()) % 2**32)
        number = label.cpu().numpy()
        columns = int(self.moving_.sum())
        x = np.empty((len(number), columns), np.float32)
        for one in np.unique(number).tolist():
            here = number == one
            made = self.model_.sample(
                int(here.sum()), condition_column=CLASS, condition_value=str(one)
            )
            x[here] = made[_names(columns)].to_numpy(np.float32)
        return x

    def _seed(self, seed: int) -> None:
        if hasattr(self.model_, "set_random_state"):
            self.model_.set_random_state(seed)


def _names(columns: int) -> list[str]:
    """Return names of columns; those of features may clash with that of the class."""
    return [f"feature {number}" for number in range(columns)]
