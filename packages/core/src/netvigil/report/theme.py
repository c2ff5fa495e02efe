"""How pictures look: one palette for paper, screen and dark screen, and Matplotlib held by it.

A figure is drawn once. Saved as PNG it has the light colours; inside a page each colour of the
palette becomes a CSS variable, so that the page decides. Text from traffic is drawn as it is: no
mathematics in it is obeyed, and what the font lacks is replaced.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netvigil.evaluation import printable

# Names of CSS variables -> the light colours; `base.css` has the dark ones. Every colour differs,
# as a page finds a variable by its colour.
INK = {
    "ink": "#1c2024",
    "soft": "#5b636b",
    "line": "#d9dde1",
    "benign": "#7b8794",
    "attack": "#c2260c",
    "alert": "#d97706",
    "own": "#1f66c1",
    "shade": "#f3c6bd",
}
# After Okabe and Ito (2008), told apart by colour-blind readers; darker where white is behind.
SERIES = {
    "s0": "#0072b2",
    "s1": "#d55e00",
    "s2": "#009e73",
    "s3": "#cc79a7",
    "s4": "#9a6f00",
    "s5": "#56b4e9",
    "s6": "#6f4fa3",
    "s7": "#5f6b2d",
    "s8": "#b5485d",
    "s9": "#3d7a85",
}
PALETTE = INK | SERIES
LONGEST = 36
"""Characters of a name in a picture; a longer one is cut, as hosts and classes may have any length.
"""

_STYLE: dict[str, Any] = {
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK["line"],
    "axes.labelcolor": INK["soft"],
    "axes.titlecolor": INK["ink"],
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": False,
    "grid.color": INK["line"],
    "grid.linewidth": 0.6,
    "text.color": INK["ink"],
    "text.parse_math": False,
    "xtick.color": INK["soft"],
    "ytick.color": INK["soft"],
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "font.family": ["DejaVu Sans"],
    "svg.fonttype": "none",
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
}
_IDS = re.compile(
    r' id="(?:figure|axes|patch|line2d|text|matplotlib|legend|xtick|ytick|\w*Collection)[._]?\w*"'
)
_PROLOGUE = re.compile(r"^.*?(?=<svg )", re.DOTALL)
_NOTES = re.compile(r"<metadata>.*?</metadata>\s*|<style .*?</style>", re.DOTALL)
_SIZE = re.compile(r'(<svg [^>]*?) width="[\d.]+pt"| height="[\d.]+pt"')


def series(place: int) -> str:
    """Return the colour of the n-th of several equals; they repeat after ten."""
    return SERIES[f"s{place % len(SERIES)}"]


def named(text: object, *, longest: int = LONGEST) -> str:
    """Return a name fit for a picture: no control characters, no unknown glyphs, not too long.

    Example:
        >>> named("x" * 50, longest=5)
        'xxxx…'
    """
    shown = "".join(
        c if _drawable(c) else "\N{REPLACEMENT CHARACTER}" for c in printable(str(text))
    )
    if len(shown) > longest:
        shown = f"{shown[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
    # Matplotlib leaves out of a legend whatever begins with an underscore.
    return f"\N{ZERO WIDTH SPACE}{shown}" if shown.startswith("_") else shown


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save inside this, and nothing of the user's own Matplotlib settings interferes."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast("Any", _STYLE))
        yield


def figure(width: float = 5.6, height: float = 3.4) -> tuple[Figure, Axes]:
    """Return an empty figure of some inches with one pair of axes; call it inside `styled`."""
    made = Figure(figsize=(width, height))
    return made, made.subplots()


def drawn(make: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run a function that makes a figure inside `styled`."""

    def styled_make(*args: Any, **kwargs: Any) -> Figure:
        with styled():
            return make(*args, **kwargs)

    styled_make.__doc__, styled_make.__name__ = make.__doc__, make.__name__
    return styled_make


def to_svg(made: Figure, *, name: str, words: str) -> str:
    """Return a figure as an SVG element for a page, coloured by the page's own variables.

    `name` is unique within the page, as clip paths and markers are called after it; `words` is what
    a screen reader says instead of the picture.
    """
    file = io.StringIO()
    with styled():
        mpl.rcParams["svg.hashsalt"] = name
        made.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = _NOTES.sub("", _PROLOGUE.sub("", file.getvalue(), count=1))
    svg = _SIZE.sub(r"\1", svg, count=2)
    svg = _IDS.sub("", svg)
    for variable, colour in PALETTE.items():
        svg = svg.replace(colour, f"var(--{variable})")
    # White is the page behind the picture: rims of points, boxes under text.
    svg = svg.replace("#ffffff", "var(--card)").replace("'DejaVu Sans'", "inherit")
    label = _attribute(words)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" data-figure="{name}" ', 1)


def to_png(made: Figure, *, dpi: int = 200) -> bytes:
    """Return a figure as PNG on white, sharp enough for a column of a paper."""
    file = io.BytesIO()
    with styled():
        made.savefig(file, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return file.getvalue()


def _attribute(text: str) -> str:
    from markupsafe import escape

    return str(escape(printable(text)))


@lru_cache(maxsize=4096)
def _drawable(character: str) -> bool:
    path = font_manager.findfont("DejaVu Sans")
    return bool(font_manager.get_font(path).get_char_index(ord(character)))
