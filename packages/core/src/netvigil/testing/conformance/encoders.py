"""What an encoder owes: each flow once, whatever the order, the batch or the hour."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil import parts
from netvigil.contracts import EncodedFlows, WindowGraphs
from netvigil.errors import ContractError
from netvigil.testing.conformance.learners import Lesson, Results, learner_checks
from netvigil.testing.conformance.rules import Subject, checks
from netvigil.testing.synthetic.windows import windows

CLOSE = 1e-4  # of the spread: float32 sums over neighbours, taken in another order


def every_flow_in_order(subject: Subject) -> None:
    """Each flow is encoded once, in the order of the windows, with the start of its window."""
    probe = _probe(subject)
    result = _fitted(subject).encode(probe)
    subject.require(isinstance(result, EncodedFlows), "`encode` returns EncodedFlows.")
    subject.require(
        np.array_equal(result.flow_id, probe.flow_id),
        "the encoding has the flows of the windows, each once, in order.",
        found=f"{len(result):,} rows for {len(probe.flow_id):,} flows.",
        mend="Reverse edges and virtual nodes must not add rows; pass windows.flow_id on.",
    )
    subject.require(
        np.array_equal(result.window_start, probe.window_start[probe.window_of_flow()]),
        "`window_start` is that of each flow's window.",
        mend="Use windows.window_start[windows.window_of_flow()].",
    )


def emits_what_it_says(subject: Subject) -> None:
    """The encoding carries what the part's `emits` declares, and nothing else."""
    result = _fitted(subject).encode(_probe(subject))
    has = {"embedding"} if result.embedding is not None else set()
    has |= {"terms"} if result.terms else set()
    declared = set(getattr(subject.part, "emits", ()))
    subject.require(
        has == declared,
        "`emits` is true.",
        found=f"Declared {sorted(declared)}, emitted {sorted(has)}.",
    )


def order_of_flows_is_irrelevant(subject: Subject) -> None:
    """Shuffling the flows of a window shuffles the encoding, to float tolerance."""
    made, probe = _fitted(subject), _probe(subject)
    rows = shuffled_within_windows(probe)
    require_alike(
        subject,
        made.encode(probe).take(rows),
        made.encode(reordered(probe, rows)),
        "shuffling the flows of a window shuffles their encodings.",
        "Nothing but features and links may count, not the row number.",
    )


def batches_of_windows_are_irrelevant(subject: Subject) -> None:
    """A window is encoded alike alone and among others: no flow of another window shows."""
    made, probe = _fitted(subject), _probe(subject)
    alone = [made.encode(probe[i : i + 1]) for i in range(len(probe)) if np.diff(probe.flow_ptr)[i]]
    require_alike(
        subject,
        made.encode(probe),
        EncodedFlows.concat(alone),
        "a window's encoding does not depend on the windows beside it.",
        "Keep windows apart (flow_ptr, node_ptr); no batch norm in train mode, no shared host "
        "state.",
    )


def odd_windows(subject: Subject) -> None:
    """Windows without flows, with one flow, with a self-loop, and no window at all are fine."""
    made, probe = _fitted(subject), windows(3, seed=8, schema=_schema(subject))
    one_self_loop, empty = probe[0:1], probe[1:2]
    subject.require(
        len(made.encode(one_self_loop)) == 1, "one flow of a host with itself is encoded."
    )
    for words, none in (("a window without flows", empty), ("no window", probe[0:0])):
        subject.require(len(made.encode(none)) == 0, f"{words} gives an encoding of no flows.")


def one_shot_iterator_is_refused(subject: Subject) -> None:
    """An encoder that passes over its windows many times refuses a one-shot iterator."""
    if getattr(subject.part, "passes", "many") != "many":
        return
    try:
        subject.make().fit(iter([_probe(subject)]), seed=0)
    except ContractError:
        return
    subject.require(
        fine=False,
        rule="a one-shot iterator of windows is refused.",
        found="`fit` accepts iter([...]), and would see no windows after the first epoch.",
        mend="Start `fit` with netvigil.contracts.require_reiterable(windows).",
    )


def torch_is_left_tidy(subject: Subject) -> None:
    """After use, networks are in eval mode and the global gradient switch is as before."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    before = torch.is_grad_enabled()
    made = _fitted(subject)
    made.encode(_probe(subject))
    require_tidy(subject, made, grad=before)


def require_tidy(subject: Subject, made: Any, *, grad: bool) -> None:
    """Require networks in eval mode, no gradient graph, and the gradient switch as it was."""
    torch = sys.modules["torch"]
    subject.require(torch.is_grad_enabled() == grad, "the global gradient switch is as before.")
    for name, value in vars(made).items():
        subject.require(
            not (isinstance(value, torch.nn.Module) and value.training),
            "networks are in eval mode after use.",
            found=f"'{name}' is in train mode.",
            mend="Call .eval() at the end of `fit` and at the start of `encode`.",
        )
        subject.require(
            not (isinstance(value, torch.Tensor) and value.grad_fn is not None),
            "no gradient graph is kept.",
            found=f"'{name}' has a grad_fn.",
            mend="Encode under torch.no_grad() and detach what is kept.",
        )


def _schema(subject: Subject) -> str:
    return str(getattr(subject.part, "accepts", ("flow-host",))[0])


def _probe(subject: Subject, seed: int = 2) -> WindowGraphs:
    return frozen(windows(5, seed=seed, flows=30, schema=_schema(subject)))


def frozen(graphs: WindowGraphs) -> WindowGraphs:
    """Make the arrays read-only, as those in memory-mapped files are."""
    for field in fields(graphs):
        array = getattr(graphs, field.name)
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return graphs


def shuffled_within_windows(graphs: WindowGraphs) -> NDArray[np.int64]:
    """Return row numbers that shuffle flows, each within its window, int64 [flows]."""
    dice = np.random.default_rng(41).random(len(graphs.flow_id))
    return np.lexsort((dice, graphs.window_of_flow()))


def reordered(graphs: WindowGraphs, rows: NDArray[np.int64]) -> WindowGraphs:
    """Return the same windows with their flows in another order."""
    ends = rows if graphs.has_nodes else np.empty(0, np.int64)
    return replace(
        graphs,
        flow_id=graphs.flow_id[rows],
        flow_x=np.ascontiguousarray(graphs.flow_x[rows]),
        flow_src=graphs.flow_src[ends],
        flow_dst=graphs.flow_dst[ends],
        flow_service=None if graphs.flow_service is None else graphs.flow_service[rows],
    )


def _arrays(result: EncodedFlows) -> dict[str, NDArray[Any]]:
    embedding = result.per_flow()
    own = {} if embedding is None else {"embedding": embedding}
    return {**own, **result.terms}


def require_alike(
    subject: Subject, left: EncodedFlows, right: EncodedFlows, rule: str, mend: str
) -> None:
    """Require two encodings of the same flows to agree, to float tolerance."""
    subject.require(
        np.array_equal(left.flow_id, right.flow_id), rule, found="The flows differ.", mend=mend
    )
    for name, array in _arrays(left).items():
        spread = float(np.ptp(array)) or 1.0
        off = float(np.abs(array - _arrays(right)[name]).max(initial=0.0)) / spread
        found = f"'{name}' moves by {off:.2g} of its spread."
        subject.require(off <= CLOSE, rule, found=found, mend=mend)


def _fitted(subject: Subject) -> Any:
    return subject.make().fit([_probe(subject, seed=1)], seed=0)


def _lesson(subject: Subject) -> Lesson:
    def answers(made: Any) -> Results:
        return _arrays(made.encode(_probe(subject)))

    learns = getattr(subject.part, "passes", "many") != "none"
    train, other = [_probe(subject, seed=1)], [_probe(subject, seed=5)]
    return Lesson(train, other, answers, optional=not learns)


CHECKS = (
    *checks(
        parts.Encoder,
        every_flow_in_order,
        emits_what_it_says,
        order_of_flows_is_irrelevant,
        batches_of_windows_are_irrelevant,
        odd_windows,
        one_shot_iterator_is_refused,
        torch_is_left_tidy,
    ),
    *learner_checks(parts.Encoder, _lesson),
)
