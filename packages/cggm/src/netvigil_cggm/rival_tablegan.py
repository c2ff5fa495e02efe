"""`TableGan` (Park et al. 2018, arXiv 1806.03384): a convolutional GAN on rows laid out as squares.

| paper | here |
|---|---|
| networks on square matrices | `Painter`, `Judge`; cells that hold no feature are 0 |
| information loss | `information_loss`, without a margin: that is for privacy |
| classification loss | cross entropy of a classifier taught on real rows |

It learns single rows: no links, and no neighbours (see `rival_rows.py`).

Differences from the paper: it is conditional. There the class is one more cell that the generator
fills; here it is given to the generator beside the noise and to the discriminator as planes, and
the classification loss asks that the classifier finds it in the row. Means and deviations of the
information loss are those of a batch, with the same classes on either side, and not running ones.
Classes may be more than two. Squares are of 4, 8, 16 ... cells a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, leaky_relu, one_hot

from netvigil.torch.generators import build, generator
from netvigil_cggm import losses
from netvigil_cggm.rival_rows import Classes, RowRival, RowSettings
from netvigil_cggm.rivals import Rows
from netvigil_cggm.steps import Norm2d, descend, normal, play


@dataclass(frozen=True)
class TableGanSettings(RowSettings):
    """How `TableGan` learns; `width` is the channels beside the square, doubled with each layer."""

    noise: int = 100
    width: int = 32
    learning_rate: float = 2e-4


class Square(NamedTuple):
    """Rows as images of one channel."""

    columns: int
    side: int

    @staticmethod
    def of(columns: int) -> Square:
        """Choose the smallest square of 4, 8, 16 ... cells a side.

        Example:
            >>> Square.of(52)
            Square(columns=52, side=8)
        """
        side = 4
        while side * side < columns:
            side *= 2
        return Square(columns, side)

    @property
    def layers(self) -> int:
        """How often the side is halved until it is 2."""
        return self.side.bit_length() - 2

    def lay(self, rows: Tensor) -> Tensor:
        """Lead [rows, columns] to [rows, 1, side, side]."""
        empty = self.side**2 - self.columns
        return nn.functional.pad(rows, (0, empty)).view(-1, 1, self.side, self.side)

    def take(self, image: Tensor) -> Tensor:
        """Undo `lay`."""
        return image.flatten(1)[:, : self.columns]


class Shrink(nn.Conv2d):
    """Halves the sides; starts from small normal weights, as DCGAN does."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 4, stride=2, padding=1)

    def initialise(self, rng: torch.Generator) -> None:
        """Draw weights."""
        _small(self, rng)


class Grow(nn.ConvTranspose2d):
    """Doubles the sides; starts from small normal weights, as DCGAN does."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 4, stride=2, padding=1)

    def initialise(self, rng: torch.Generator) -> None:
        """Draw weights."""
        _small(self, rng)


def _small(layer: nn.Conv2d | nn.ConvTranspose2d, rng: torch.Generator) -> None:
    layer.weight.normal_(0, 0.02, generator=rng)
    assert layer.bias is not None
    layer.bias.zero_()


class Painter(nn.Module):
    """The generator: noise and a class to a row within [-1, 1]."""

    def __init__(self, settings: TableGanSettings, classes: int, square: Square) -> None:
        super().__init__()
        self.square, self.classes = square, classes
        widths = [settings.width * 2**n for n in range(square.layers - 1, -1, -1)]
        self.widest = widths[0]
        self.first = nn.Linear(settings.noise + classes, 4 * self.widest)
        self.norms = nn.ModuleList(Norm2d(width) for width in widths)
        self.grown = nn.ModuleList(
            Grow(*pair) for pair in zip(widths, [*widths[1:], 1], strict=True)
        )

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        """Make rows [rows, columns], `label` one-hot [rows, classes]."""
        h = self.first(torch.cat([noise, label], 1)).view(-1, self.widest, 2, 2)
        for norm, grow in zip(self.norms, self.grown, strict=True):
            h = grow(norm(h).relu())
        row: Tensor = self.square.take(h).tanh()
        return row


class Judge(nn.Module):
    """Discriminator or classifier: a row, and classes as planes if it sees them, to numbers."""

    def __init__(self, settings: TableGanSettings, planes: int, out: int, square: Square) -> None:
        super().__init__()
        self.square = square
        widths = [settings.width * 2**n for n in range(square.layers)]
        self.shrunk = nn.ModuleList(
            Shrink(*pair) for pair in zip([1 + planes, *widths[:-1]], widths, strict=True)
        )
        self.norms = nn.ModuleList(Norm2d(width) for width in widths[1:])
        self.last = nn.Linear(4 * widths[-1], out)

    def features(self, rows: Tensor, label: Tensor | None = None) -> Tensor:
        """Return what the last layer sees, [rows, features]."""
        h = self.square.lay(rows)
        if label is not None:
            planes = label[:, :, None, None].expand(-1, -1, *h.shape[2:])
            h = torch.cat([h, planes], 1)
        for number, shrink in enumerate(self.shrunk):
            h = shrink(h)
            h = leaky_relu(self.norms[number - 1](h) if number else h, 0.2)
        return h.flatten(1)

    def forward(self, rows: Tensor, label: Tensor | None = None) -> Tensor:
        """Judge rows, [rows, out]."""
        judged: Tensor = self.last(self.features(rows, label))
        return judged


def information_loss(real: Tensor, fake: Tensor, margin: float = 0.0) -> Tensor:
    """Return how far means and deviations of features lie apart, beyond a margin each.

    Shapes:
        real, fake: [rows, features]

    Example:
        >>> real = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
        >>> information_loss(real, real + torch.tensor([3.0, 4.0]), margin=1.0)
        tensor(4.)
    """
    mean = (real.mean(0) - fake.mean(0)).norm()
    deviation = (real.std(0) - fake.std(0)).norm()
    beyond: Tensor = (mean - margin).relu() + (deviation - margin).relu()
    return beyond


class TableGan(RowRival):
    """A conditional DCGAN of rows with information and classification losses."""

    def __init__(self, settings: TableGanSettings | None = None) -> None:
        self.settings = settings or TableGanSettings()
        super().__init__(self.settings)
        self.network_: Painter | None = None

    def _learn(self, x: Rows, label: NDArray[np.int64], classes: int, seed: int) -> None:
        game = Contest(
            torch.tensor(2 * x - 1, device=self._device),
            torch.tensor(label, device=self._device),
            Classes(label, self._device),
            classes,
            self.settings,
            seed=seed,
        )
        play(game.step, self.settings.steps, name="tablegan", seed=seed, watch=self._watch)
        self.network_ = game.painter.eval()

    def _give(self, label: Tensor, dice: torch.Generator) -> Rows:
        assert self.network_ is not None
        noise = normal((len(label), self.settings.noise), dice)
        made = self.network_(noise, one_hot(label, self.network_.classes).float())
        return np.asarray((made.cpu().numpy() + 1) / 2, np.float32)


class Contest:
    """TableGAN's three networks; `step` moves each once."""

    def __init__(
        self,
        x: Tensor,
        label: Tensor,
        draw: Classes,
        classes: int,
        settings: TableGanSettings,
        *,
        seed: int,
    ) -> None:
        s, square, rng = settings, Square.of(x.shape[1]), generator(seed, 0)
        self.painter = build(lambda: Painter(s, classes, square), rng, x.device)
        self.judge = build(lambda: Judge(s, classes, 1, square), rng, x.device)
        self.classifier = build(lambda: Judge(s, 0, classes, square), rng, x.device)
        self._x, self._label, self._draw, self._settings = x, label, draw, s
        self._dice = generator(seed, 1, device=x.device)
        self._move = {
            name: torch.optim.Adam(part.parameters(), lr=s.learning_rate, betas=(0.5, 0.999))
            for name, part in (
                ("painter", self.painter),
                ("judge", self.judge),
                ("classifier", self.classifier),
            )
        }

    def step(self) -> dict[str, float]:
        """Teach the discriminator and the classifier, then the generator."""
        rows = self._draw.rows(self._settings.batch, self._dice)
        real, label = self._x[rows], self._label[rows]
        known = one_hot(label, self.painter.classes).float()
        noise = normal((len(rows), self._settings.noise), self._dice)
        fake = self.painter(noise, known)
        scores = self.judge(real, known), self.judge(fake.detach(), known)
        found = {
            "judge": descend(losses.critic_loss(*scores, "bce"), self._move["judge"]),
            "classifier": descend(
                cross_entropy(self.classifier(real), label), self._move["classifier"]
            ),
        }
        seen = self.judge.features(fake, known)
        with torch.no_grad():
            wanted = self.judge.features(real, known)
        parts = {
            "adversarial": losses.generator_loss(self.judge.last(seen), "bce"),
            "information": information_loss(wanted, seen),
            "class": cross_entropy(self.classifier(fake), label),
        }
        descend(torch.stack(list(parts.values())).sum(), self._move["painter"])
        return found | {name: float(loss.detach()) for name, loss in parts.items()}
