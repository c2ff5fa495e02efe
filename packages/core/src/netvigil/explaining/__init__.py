"""Why a flow scored as it did: what explainers share, core's own explainers, and `explain`.

They live in core because they need NumPy and a score function over windows, and nothing of any
method: whoever installs one encoder and one scorer can ask for reasons. SHAP, which needs a
library, is the extra `netvigil[shap]`. An explainer more is one file and one line in `builtins`.
"""

from __future__ import annotations
