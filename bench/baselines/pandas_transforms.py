"""The usual preprocessing: pandas frames, scikit-learn's scaler, `get_dummies` by frequency."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.preprocessing import RobustScaler

NORMAL_IQR = 1.349


class Preprocessing:
    """The same result as the default transforms, column frames all the way."""

    def fit(self, numbers: pd.DataFrame, texts: pd.DataFrame) -> Self:
        """Learn medians, quartiles and frequencies."""
        self._scaler = RobustScaler().fit(self._logged(numbers))
        self._shares = {name: texts[name].value_counts(normalize=True) for name in texts}
        return self

    def transform(self, numbers: pd.DataFrame, texts: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return the numeric columns, then one-hot and frequency columns of each text column."""
        scaled = (self._scaler.transform(self._logged(numbers)) * NORMAL_IQR).clip(-10, 10)
        parts = [pd.DataFrame(scaled, columns=numbers.columns)]
        for name, shares in self._shares.items():
            levels = shares[shares >= 0.005].index[:20].astype(str)
            known = texts[name].where(texts[name].isin(levels), "rare")
            dummies = pd.get_dummies(pd.Categorical(known, [*levels, "rare"]), prefix=str(name))
            rarity = -np.log10(texts[name].map(shares).astype(float).fillna(1e-6).to_numpy())
            parts += [dummies.astype(np.float32), pd.DataFrame({f"{name}:rarity": rarity})]
        return pd.concat(parts, axis=1).to_numpy(np.float32)

    def _logged(self, numbers: pd.DataFrame) -> pd.DataFrame:
        filled = numbers.replace([np.inf, -np.inf], np.nan).fillna(0)
        values = filled.to_numpy()
        return pd.DataFrame(np.sign(values) * np.log1p(np.abs(values)), columns=filled.columns)
