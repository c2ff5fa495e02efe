"""Without the extra `netvigil[torch]` there is no training loop to test."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["test_torch_run.py", "torch/test_torch_*.py"]
