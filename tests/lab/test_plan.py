"""The plan: the same for a seed, bounded, inside the lab's own addresses, exact in its labels."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest

from tests.lab.attacks import CATEGORIES, FULL_S
from tests.lab.clients import BENIGN
from tests.lab.hostile import HOSTILE
from tests.lab.hosts import HOSTS, SUBNETS, address
from tests.lab.plan import GUARD_S, Action, Event, Plan, make_plan, without_conflicts

QUICK = 0.25  # minutes


@pytest.fixture(scope="module")
def full() -> Plan:
    return make_plan(seed=0, minutes=14)


@pytest.fixture(scope="module", params=["quick", "full"])
def plan(request: pytest.FixtureRequest, full: Plan) -> Plan:
    return full if request.param == "full" else make_plan(seed=0, minutes=QUICK)


def test_a_plan_follows_from_its_seed() -> None:
    assert make_plan(seed=3, minutes=QUICK) == make_plan(seed=3, minutes=QUICK)
    assert make_plan(seed=3, minutes=QUICK) != make_plan(seed=4, minutes=QUICK)


def test_there_are_hosts_enough_in_three_subnets() -> None:
    assert len(HOSTS) >= 12
    assert {host.subnet.name for host in HOSTS.values()} == {subnet.name for subnet in SUBNETS}
    assert len({host.ip for host in HOSTS.values()}) == len(HOSTS)


def test_every_address_is_the_labs_own(plan: Plan) -> None:
    networks = [net for subnet in SUBNETS for net in (subnet.v4, subnet.v6)]
    assert all(net.is_private for net in networks)
    named = {action.target for action in plan.actions} | {event.source for event in plan.events}
    named |= {event.target for event in plan.events}
    for action in plan.actions:
        named |= set(action.options.get("addresses", ()))
    named -= {"224.0.0.251"}  # multicast of one segment
    for name in named:
        assert any(ipaddress.ip_address(address(name)) in net for net in networks), name


def test_every_action_is_known_and_lies_within_the_time(plan: Plan) -> None:
    for action in plan.actions:
        assert action.kind in (HOSTILE if action.event else BENIGN)
        assert action.host in HOSTS
        assert 0 <= action.at < plan.duration_s
    assert len(plan.actions) < 12 * plan.duration_s  # two cores carry that


def test_attacks_are_bounded_in_count_and_time(plan: Plan) -> None:
    hostile = [action for action in plan.actions if action.event]
    assert len({action.event for action in hostile}) == len(hostile)
    assert sum(action.options["count"] for action in hostile) < 2_000
    for action in hostile:
        assert 3.5 < action.lasts_s <= FULL_S
        assert action.at + action.lasts_s < plan.duration_s


def test_a_full_scenario_has_every_category_late_and_a_clean_past(full: Plan) -> None:
    assert {event.category for event in full.events} == set(CATEGORIES)
    early = [event for event in full.events if event.start < 0.7 * full.duration_s]
    assert [event.attack for event in early] == ["probe"]


def test_most_attacked_pairs_have_talked_before(full: Plan) -> None:
    for attack in ("beacon", "tunnel", "lateral-db", "exfiltration", "ssh-guess", "http-guess"):
        event = next(event for event in full.events if event.attack == attack)
        before = [
            action
            for action in full.actions
            if not action.event
            and action.at < 0.5 * full.duration_s
            and event.pair == {address(action.host), address(action.target)}
        ]
        assert len(before) > 5, attack


def test_no_benign_action_is_near_an_event_of_its_pair(plan: Plan) -> None:
    events: dict[frozenset[str], list[Event]] = {}
    for event in plan.events:
        events.setdefault(event.pair, []).append(event)
    for action in plan.actions:
        if action.event:
            continue
        for event in events.get(frozenset((address(action.host), address(action.target))), ()):
            same_port = not event.port or not action.port or event.port == action.port
            ends = action.at + action.lasts_s
            near = ends > event.start - GUARD_S and action.at < event.end + GUARD_S
            suffers = event.suffered and event.start < action.at and ends < event.end
            assert suffers or not (same_port and near), (action, event)


def test_the_victim_of_the_spoofing_goes_on_printing(full: Plan) -> None:
    (event,) = [event for event in full.events if event.suffered]
    during = [
        action
        for action in full.actions
        if (action.host, action.target) == (event.source, event.target)
        and event.start < action.at < event.end
    ]
    assert len(during) >= 5


def test_events_of_one_pair_and_port_never_overlap(plan: Plan) -> None:
    for one, other in combinations(plan.events, 2):
        if one.pair == other.pair and (not one.port or not other.port or one.port == other.port):
            assert one.end < other.start or other.end < one.start, (one, other)


@pytest.mark.parametrize(
    ("at", "port", "kept"),
    [(10.0, 22, True), (95.0, 22, False), (95.0, 80, True), (110.0, 22, False), (130.0, 22, True)],
)
def test_what_an_event_hinders(at: float, port: int, kept: bool) -> None:
    event = Event("a", "ssh_guess", "attacker", "web", 100.0, 120.0, 22)
    action = Action(at, "attacker", "connect", "web", 1.0, port)
    assert (without_conflicts([action], [event]) == [action]) is kept
    other = Action(at, "partner", "connect", "web", 1.0, port)
    assert without_conflicts([other], [event]) == [other]
