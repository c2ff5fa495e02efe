"""Explanations as lines of text, the same on the command line and in a report."""

from __future__ import annotations

from collections.abc import Iterator

from netvigil.explaining.results import ExplainedFlow, FeaturePart, FlowsPart, Told
from netvigil.explaining.words import PROTOCOLS, counted, number, one_flow

SHOWN = 5  # features, and groups of flows, listed of each flow; the file has all
SINGLE = 2  # flows listed one by one, as groups say more


def who(flow: ExplainedFlow) -> str:
    """Say between whom a flow went, over what."""
    ends = {"src_ip": flow.src, "src_port": flow.src_port}
    ends |= {"dst_ip": flow.dst, "dst_port": flow.dst_port}
    protocol = "" if flow.protocol is None else f" {PROTOCOLS.get(flow.protocol, flow.protocol)}"
    return f"{one_flow(ends)}{protocol}"


def facts(flow: ExplainedFlow) -> str:
    """Say when a flow was, how large, and how it scored."""
    when = "" if flow.when is None else f"{flow.when[:19].replace('T', ' ')} UTC, "
    long = "" if flow.seconds is None else f", {flow.seconds:.3g} s"
    much = ""
    if flow.packets is not None:
        much = f", {counted(flow.packets, 'packet')}, {counted(flow.bytes or 0, 'byte')}"
    verdict = "alert" if flow.alert else "no alert"
    return f"{when}flow {flow.flow_id}{long}{much}; score {number(flow.score)} ({verdict})"


def heading(told: Told) -> str:
    """Say who explains what, and whether what it names matters."""
    what = "Features" if told.about == "features" else "Flows around it"
    unit = "" if told.unit == "score" else f", parts of the {told.unit}"
    said = f"{what} ({told.explainer}{unit})"
    if told.check is None:
        return said
    leading = counted(told.check.things, "feature" if told.about == "features" else "flow")
    weak = "" if told.check.named > told.check.random else "; so this says little"
    return (
        f"{said}: without the leading {leading} the score {_moves(told.check.named)}, "
        f"without as many random ones it {_moves(told.check.random)}{weak}"
    )


def parts(told: Told) -> Iterator[tuple[str, str]]:
    """Yield the largest amounts that raise the score, with their words.

    Where no flow around one does, the largest groups of them are told all the same: a reader wants
    to know in what company a flow was.
    """
    left: dict[str, int] = {"flow": SINGLE}
    every: list[FeaturePart | FlowsPart] = [*told.features, *told.neighbours]
    raising = [each for each in every if each.amount > 0]
    for each in raising[: 2 * SHOWN]:
        left[each.kind] = left.get(each.kind, SHOWN) - 1
        if left[each.kind] >= 0:
            yield signed(each.amount), each.words
    if not raising:
        groups = sorted(told.neighbours, key=lambda each: -each.flows)[:SINGLE]
        yield "", "nothing raises the score" + ("; the largest groups are:" if groups else "")
        yield from ((signed(each.amount), each.words) for each in groups)


def signed(amount: float) -> str:
    """Return an amount with its sign, in three digits.

    Example:
        >>> signed(23712.4), signed(-0.01234)
        ('+23,712', '-0.0123')
    """
    return f"{amount:+,.0f}" if abs(amount) >= 1000 else f"{amount:+.3g}"


def _moves(fall: float) -> str:
    return f"{'falls' if fall >= 0 else 'rises'} by {signed(abs(fall))[1:]}"
