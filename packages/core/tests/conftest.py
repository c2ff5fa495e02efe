"""Without the extra `netvigil[torch]` there is no training loop to test; points are plain."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from netvigil.report import projections

collect_ignore_glob = [] if find_spec("torch") else ["test_torch_run.py", "torch/test_torch_*.py"]


@pytest.fixture(scope="session", autouse=True)
def plain_points():
    """Put PCA in the place of t-SNE, which takes most of the time that a page takes.

    What t-SNE gives is the matter of `test_report_figures.py`, which takes it back.
    """
    real = projections._projected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            projections, "_projected", lambda raw, shape, _, dims: real(raw, shape, "pca", dims)
        )
        yield
