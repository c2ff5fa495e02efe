"""Pictures of training: the loss and its terms, epoch by epoch, for every seed."""

from __future__ import annotations

from matplotlib.figure import Figure

from netvigil.report.runs import ReportedRun
from netvigil.report.theme import INK, drawn, named, series

TOTAL = ("total", "loss")
COLUMNS = 3


def trained(run: ReportedRun) -> bool:
    """Say whether the run's encoder learnt in epochs."""
    return next(run.epochs(), None) is not None


@drawn
def training_loss(run: ReportedRun) -> Figure:
    """Draw each term of the loss over epochs: train solid, validation dashed, one line a seed."""
    curves = list(run.epochs())
    terms = sorted({term for _, _, term, *_ in curves}, key=lambda t: (t not in TOTAL, t))
    rows = -(-max(len(terms), 1) // COLUMNS)
    columns = min(max(len(terms), 1), COLUMNS)
    made = Figure(figsize=(2.9 * columns, 2.2 * rows + 0.3))
    axes = made.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    seeds = sorted({seed for seed, *_ in curves})
    for seed, part, term, epoch, value in curves:
        axes[terms.index(term)].plot(
            epoch,
            value,
            color=series(seeds.index(seed)),
            lw=1.1,
            ls="-" if part == "train" else (0, (3, 1.5)),
        )
    for place, each in enumerate(axes):
        if place >= len(terms):
            each.set_visible(False)
            continue
        each.set_title(named(terms[place]), size=9)
        if place + columns >= len(terms):
            each.set_xlabel("epoch")
            each.tick_params(labelbottom=True)
    if seeds:
        handles = [
            axes[0].plot([], [], color=series(k), label=f"seed {s}")[0] for k, s in enumerate(seeds)
        ]
        parts = {part for _, part, *_ in curves}
        if len(parts) > 1:
            handles += [
                axes[0].plot([], [], color=INK["soft"], label="train")[0],
                axes[0].plot([], [], color=INK["soft"], ls=(0, (3, 1.5)), label="validation")[0],
            ]
        made.legend(handles=handles, loc="outside lower left", ncols=8, handlelength=1.6)
    return made
