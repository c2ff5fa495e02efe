"""Flows as points in two or three dimensions: PCA and t-SNE of features or of embeddings.

Projections show a sample (`netvigil.evidence.sample`): attacks are over-represented, and the page
says how much. Distances in a t-SNE picture mean little (van der Maaten and Hinton 2008): it shows
which flows are neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from netvigil.evidence.tables import BENIGN, UNKNOWN
from netvigil.report.runs import ReportedRun
from netvigil.report.theme import INK, drawn, named, series

Space = Literal["features", "embedding"]
Method = Literal["pca", "t-sne"]
FEWEST = 10  # flows below which a projection is no picture
ITERATIONS = 400
PERPLEXITY = 30.0
CLASSES = 9


def spaces(run: ReportedRun) -> list[Space]:
    """Return what can be projected."""
    sample = run.evidence.sample
    if sample.num_rows < FEWEST:
        return []
    return ["features"] if sample["embedding"].null_count else ["features", "embedding"]


def points(run: ReportedRun, space: Space, method: Method, dims: int) -> NDArray[np.float64]:
    """Project the run's sample; float64 [sample, dims], each axis scaled to [-1, 1].

    Columns are standardised over the sample. The same sample gives the same picture.
    """
    column = run.evidence.sample[space].combine_chunks()
    width = len(column.values) // max(len(column), 1)
    raw = column.values.to_numpy(zero_copy_only=False).reshape(len(column), width)
    return _projected(raw.astype(np.float32).tobytes(), raw.shape, method, dims).copy()


@lru_cache(maxsize=32)
def _projected(
    raw: bytes, shape: tuple[int, int], method: Method, dims: int
) -> NDArray[np.float64]:
    x = np.frombuffer(raw, np.float32).reshape(shape).astype(np.float64)
    deviation = x.std(axis=0)
    x = x[:, deviation > 0]
    x = np.clip((x - x.mean(axis=0)) / deviation[deviation > 0], -10, 10)
    if not x.shape[1]:
        return np.zeros((len(x), dims))
    # Components of a plain SVD; the sign of each is fixed so that it does not depend on LAPACK.
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    components = u[:, :50] * s[:50]
    components *= np.sign(
        components[np.abs(components).argmax(axis=0), np.arange(components.shape[1])]
    )
    if components.shape[1] < dims:
        components = np.pad(components, ((0, 0), (0, dims - components.shape[1])))
    if method == "pca":
        return _scaled(components[:, :dims])
    from sklearn.manifold import TSNE

    start = components[:, :dims] / (components[:, 0].std() or 1.0) * 1e-4
    made = TSNE(
        dims,
        init=start,
        perplexity=min(PERPLEXITY, (len(x) - 1) / 3),
        max_iter=ITERATIONS,
        learning_rate="auto",
        random_state=0,
    )
    # One thread: for so few points the threads of a busy machine only wait for one another.
    with threadpool_limits(1):
        return _scaled(np.asarray(made.fit_transform(components), np.float64))


def _scaled(x: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = (x.max(axis=0) + x.min(axis=0)) / 2
    reach = float(np.abs(x - middle).max()) or 1.0
    scaled: NDArray[np.float64] = (x - middle) / reach
    return scaled


@drawn
def projection(
    run: ReportedRun,
    space: Space = "features",
    method: Method = "pca",
    dims: int = 2,
    colour: Literal["class", "score"] = "class",
) -> Figure:
    """Draw the sample as points, coloured by class or by rank of score."""
    x = points(run, space, method, dims)
    names = run.evidence.sample["attack"].to_pylist()
    if colour == "class":
        return _by_name(x, names, classes(run), words(space, method))
    made, axes = _empty(dims, words(space, method))
    rank = np.argsort(np.argsort(run.evidence.sample["score"].to_numpy()))
    dots = axes.scatter(*x.T, c=rank / max(len(rank) - 1, 1), s=9, cmap="viridis", lw=0)
    made.colorbar(dots, ax=axes, label="rank of the score within the sample", shrink=0.7)
    return made


@drawn
def populations(
    groups: Mapping[str, NDArray[np.float32]],
    method: Method = "t-sne",
    dims: int = 2,
    *,
    most: int = 400,
    seed: int = 0,
) -> Figure:
    """Draw rows of several matrices of the same columns together, such as real and synthetic flows.

    Of each at most `most` rows are drawn, by `seed`; the legend says of how many.

    Shapes:
        groups: name -> float32 [rows, columns], finite

    Raises:
        ValueError: Matrices of other widths, or fewer than 10 rows in all.
    """
    rng = np.random.default_rng(seed)
    kept = [rows[np.sort(rng.permutation(len(rows))[:most])] for rows in groups.values()]
    if len({rows.shape[1:] for rows in kept}) != 1 or sum(map(len, kept)) < FEWEST:
        shapes = ", ".join(f"{named(name)}: {rows.shape}" for name, rows in groups.items())
        msg = f"Matrices of the same columns and {FEWEST} rows are needed, not {shapes}."
        raise ValueError(msg)
    whole = np.concatenate(kept).astype(np.float32)
    x = _projected(whole.tobytes(), whole.shape, method, dims)
    labels = [f"{name}, of {len(rows):,}" for name, rows in groups.items()]
    names = [label for label, rows in zip(labels, kept, strict=True) for _ in rows]
    return _by_name(x, names, labels, "t-SNE" if method == "t-sne" else "PCA")


def _empty(dims: int, title: str) -> tuple[Figure, Any]:
    made = Figure(figsize=(5.0, 4.6))
    axes: Any = made.add_subplot(projection="3d" if dims == 3 else None)
    for name in "xyz"[:dims]:
        getattr(axes, f"set_{name}ticks")([])
    axes.set_title(title, size=9)
    return made, axes


def _by_name(
    x: NDArray[np.float64], names: Sequence[str], order: Sequence[str], title: str
) -> Figure:
    """Draw points in a colour for each name; what is no attack is grey and lies below the rest."""
    made, axes = _empty(x.shape[1], title)
    of = np.array(names)
    for place, name in enumerate(order):
        rows = of == name
        calm = name in {BENIGN, UNKNOWN}
        axes.scatter(
            *x[rows].T,
            s=7 if calm else 11,
            lw=0,
            alpha=0.5 if calm else 0.9,
            color=INK["benign"] if calm else series(place),
            label=f"{named(name, longest=28)} ({int(rows.sum()):,})",
        )
    made.legend(loc="outside lower left", ncols=3, markerscale=1.6, handlelength=0.8)
    return made


def words(space: Space, method: Method) -> str:
    """Say what a projection shows."""
    of = "features" if space == "features" else "embeddings"
    return f"{'t-SNE' if method == 't-sne' else 'PCA'} of {of}"


def classes(run: ReportedRun) -> list[str]:
    """Return the sample's classes: attacks by size, then what is no attack, drawn below them."""
    names, counts = np.unique(run.evidence.sample["attack"].to_pylist(), return_counts=True)
    order = sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda each: -each[1])
    attacks = [name for name, _ in order if name not in {BENIGN, UNKNOWN}]
    return [*attacks, *(name for name, _ in order if name in {BENIGN, UNKNOWN})]
