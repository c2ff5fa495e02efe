"""What an explainer owes: one explanation per flow, of things that exist, the same every time."""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil import parts
from netvigil.contracts import Explanation, WindowGraphs
from netvigil.errors import IncompatiblePartsError
from netvigil.protocols import Scoring
from netvigil.testing.conformance.rules import Subject, checks
from netvigil.testing.synthetic.windows import windows as synthetic

ROWS = np.array([1, 40, 41, 77])  # the first and third window of the synthetic ones, and on


class Errors:
    """Stands for an encoder whose error is the square of each feature."""

    def feature_errors(self, windows: WindowGraphs) -> NDArray[np.float32]:
        """Return the squares."""
        return np.square(windows.flow_x)


def one_explanation_per_flow(subject: Subject) -> None:
    """`explain` returns one explanation per row, in order, and counts each."""
    counted: list[int] = []
    found = _explain(subject, ROWS, advance=counted.append)
    subject.require(
        len(found) == len(ROWS), "`explain` returns one explanation per row.", found=str(len(found))
    )
    subject.require(
        sum(counted) == len(ROWS),
        "`explain` tells `scoring.advance` of each flow.",
        found=f"{sum(counted)} of {len(ROWS)}.",
    )
    for row in range(len(ROWS)):
        alone = _explain(subject, ROWS[row : row + 1])[0]
        subject.require(
            _close(alone, found[row]),
            "a flow's explanation does not depend on the flows explained beside it.",
            mend="Draw random numbers from the scoring's seed and the flow's id alone.",
        )


def names_what_exists(subject: Subject) -> None:
    """It names features of the pipeline or, by its `about`, other flows of the same window."""
    windows = _windows()
    numbers = windows.window_of_flow()
    for row, each in zip(ROWS.tolist(), _explain(subject, ROWS), strict=True):
        for part in each.contributions:
            about = "features" if part.kind in {"feature", "rest"} else "neighbours"
            subject.require(
                about == _about(subject), "its part says what it is about.", found=part.kind
            )
            subject.require(
                part.kind != "feature" or part.name in GROUPS,
                "a feature is a name of `scoring.groups`.",
                found=part.name,
            )
            subject.require(
                row not in part.rows and set(numbers[part.rows]) <= {numbers[row]},
                "flows around a flow are others, of its own window.",
                found=f"rows {part.rows.tolist()} for row {row}.",
            )


def twice_gives_the_same(subject: Subject) -> None:
    """The same flows give the same explanations."""
    first, second = (_explain(subject, ROWS) for _ in range(2))
    subject.require(
        all(map(_equal, first, second)),
        "the same flows give the same explanations.",
        mend="Seed every generator from `scoring.seed`.",
    )


def inputs_are_unchanged(subject: Subject) -> None:
    """Neither windows nor background change."""
    scoring, windows = _scoring(), _windows()
    before = copy.deepcopy((windows, scoring.background, scoring.median))
    _made(subject).explain(scoring, windows, ROWS)
    after = (windows, scoring.background, scoring.median)
    same = all(
        np.array_equal(getattr(before[0], f.name), getattr(windows, f.name))
        for f in fields(windows)
    )
    same &= all(map(np.array_equal, before[1:], after[1:]))
    subject.require(same, "windows and background stay as they are.", mend="Copy before writing.")


def what_it_cannot_explain_is_refused(subject: Subject) -> None:
    """Windows without hosts are explained, or refused by `IncompatiblePartsError`."""
    windows = synthetic(4, seed=1, schema="flows-only")
    made = _made(subject)
    try:
        made.check(_scoring(), windows)
    except IncompatiblePartsError:
        return
    except Exception as error:  # noqa: BLE001 - a stranger's exception is the finding
        subject.require(
            fine=False,
            rule="`check` refuses by IncompatiblePartsError alone.",
            found=f"It raises {type(error).__name__}: {error}",
        )
    found = made.explain(_scoring(), windows, ROWS)
    subject.require(len(found) == len(ROWS), "what `check` accepts, `explain` explains.")


GROUPS = {"x_0": (0,), "x_1": (1,), "category": (2, 3), "x_4": (4,)}


def _windows() -> WindowGraphs:
    return synthetic(4, seed=1)


def _score(windows: WindowGraphs) -> NDArray[np.float64]:
    """Score flows by their features and, where there are hosts, by how many share their source."""
    score: NDArray[np.float64] = np.abs(windows.flow_x).sum(axis=1, dtype=np.float64)
    if windows.has_nodes and len(score):
        rows, _ = windows.node_rows()
        score += 0.1 * np.bincount(rows)[rows]
    return score


def _scoring(**changes: Any) -> Scoring:
    background = synthetic(4, seed=2).flow_x[:20]
    values = {
        "score": _score,
        "encoder": Errors(),
        "groups": GROUPS,
        "background": background,
        "median": np.median(background, axis=0),
        "seed": 3,
    }
    return Scoring(**{**values, **changes})


def _made(subject: Subject) -> Any:
    return subject.make()


def _about(subject: Subject) -> str:
    assert isinstance(subject.part, parts.Explainer)
    return subject.part.about


def _explain(subject: Subject, rows: NDArray[np.int64], **changes: Any) -> list[Explanation]:
    found: list[Explanation] = _made(subject).explain(_scoring(**changes), _windows(), rows)
    return found


def _equal(first: Explanation, second: Explanation) -> bool:
    pairs = zip(first.contributions, second.contributions, strict=False)
    same = all(
        a.kind == b.kind
        and a.name == b.name
        and a.amount == b.amount
        and np.array_equal(a.rows, b.rows)
        for a, b in pairs
    )
    return (
        same
        and len(first.contributions) == len(second.contributions)
        and first.faithfulness == second.faithfulness
        and first.remarks == second.remarks
    )


def _close(first: Explanation, second: Explanation) -> bool:
    """Compare but for float noise, which may swap equal amounts."""

    def amounts(found: Explanation) -> list[tuple[str, bytes, float]]:
        return sorted((p.kind + p.name, p.rows.tobytes(), p.amount) for p in found.contributions)

    ours, theirs = amounts(first), amounts(second)
    return [a[:2] for a in ours] == [b[:2] for b in theirs] and np.allclose(
        [a[2] for a in ours], [b[2] for b in theirs], rtol=1e-4, atol=1e-6
    )


CHECKS = checks(
    parts.Explainer,
    one_explanation_per_flow,
    names_what_exists,
    twice_gives_the_same,
    inputs_are_unchanged,
    what_it_cannot_explain_is_refused,
)
