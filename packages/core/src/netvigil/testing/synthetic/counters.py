"""From conversations to counters that agree: outcome, payload, packets, bytes, duration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvigil.testing.synthetic.events import Events
from netvigil.testing.synthetic.profiles import TCP, UDP, column

Floats = NDArray[np.float32]
P = {
    name: column(name)
    for name in (
        *("up", "up_spread", "down", "down_spread", "tail", "rounds", "think_s", "rtt_ms", "speed"),
        *("silent", "refused", "reset", "tries"),
    )
}
PROTOCOL = column("protocol").astype(np.uint8)
SEGMENT = 1_400.0  # payload bytes of a full packet, TCP or QUIC
HEADER_TCP, HEADER_UDP = 40.0, 28.0  # IP and transport
LONGEST_S = 1_800.0  # NFStream's active timeout would cut a longer flow
LARGEST = np.float32(4e9)  # payload bytes of one direction
SILENT, REFUSED, RESET, FINE = 0, 1, 2, 3


@dataclass(frozen=True)
class Counters:
    """What a meter counts. Data packets carry payload; control packets only a header.

    Shapes:
        outcome: int8 [flows], SILENT, REFUSED, RESET or FINE; protocol: uint8 [flows]
        up, down: float32 [flows], payload bytes; up_data, down_data, up_control, down_control:
            packets
        header: float32 [flows], bytes per packet; openers: packets that open the conversation
        rounds: float32 [flows]; duration: float64 [flows], seconds
    """

    outcome: NDArray[np.int8]
    protocol: NDArray[np.uint8]
    up: Floats
    down: Floats
    up_data: Floats
    down_data: Floats
    up_control: Floats
    down_control: Floats
    header: Floats
    openers: Floats
    rounds: Floats
    duration: NDArray[np.float64]


def count(events: Events, dark: NDArray[np.bool_], rng: np.random.Generator) -> Counters:
    """Decide the volumes of conversations; `dark` says which hosts never answer."""
    profile = events.profile
    protocol = PROTOCOL[profile]
    outcome = _outcome(events, dark, rng)
    tcp = protocol == TCP
    answered = outcome >= RESET
    # A reset cuts the conversation somewhere in the middle.
    done = np.where(outcome == RESET, rng.random(len(profile), np.float32), np.float32(1))
    up, down = (volume * done for volume in _volumes(profile, rng))
    rounds = np.floor(1 + rng.exponential(P["rounds"][profile] - 0.999) * done).astype(np.float32)
    rounds[protocol != TCP] = P["rounds"][profile][protocol != TCP].round()
    openers = np.floor(1 + rng.random(len(profile), np.float32) * P["tries"][profile])
    openers = np.where(answered | (outcome == REFUSED), np.float32(1), openers)
    carries = answered | ~tcp  # an unanswered datagram still carries its payload
    up = np.where(carries, np.maximum(np.rint(up), 1), 0)
    up_data = np.where(carries, np.maximum(rounds, np.ceil(up / SEGMENT)), 0)
    up_data = np.where(~tcp & ~answered, openers, up_data)
    up = np.where(~tcp & ~answered, np.minimum(up, SEGMENT) * openers, np.maximum(up, up_data))
    down = np.where(answered, np.maximum(np.rint(down), 1), 0)
    down_data = np.where(answered, np.maximum(rounds, np.ceil(down / SEGMENT)), 0)
    down = np.maximum(down, down_data)
    # Delayed acknowledgements: one for two packets; then the handshake and the end.
    up_control = np.where(tcp, np.where(answered, np.ceil(down_data / 2) + 3, openers), 0)
    down_control = np.where(
        tcp, np.where(answered, np.ceil(up_data / 2) + 2, outcome == REFUSED), 0
    )
    header = np.where(tcp, np.float32(HEADER_TCP), np.float32(HEADER_UDP))
    duration = _duration(profile, outcome, rounds, up + down, openers, rng)
    packets = up_data + down_data + up_control + down_control
    duration = np.where(packets > 1, np.maximum(duration, 2e-6 * packets), 0.0)
    return Counters(
        outcome=outcome,
        protocol=protocol,
        up=up.astype(np.float32),
        down=down.astype(np.float32),
        up_data=up_data.astype(np.float32),
        down_data=down_data.astype(np.float32),
        up_control=up_control.astype(np.float32),
        down_control=down_control.astype(np.float32),
        header=header,
        openers=openers,
        rounds=rounds,
        duration=np.minimum(duration, LONGEST_S),
    )


def _outcome(events: Events, dark: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
    profile, dice = events.profile, rng.random(len(events), np.float32)
    silent = P["silent"][profile]
    refused = silent + np.where(PROTOCOL[profile] == TCP, P["refused"][profile], 0)
    reset = refused + np.where(PROTOCOL[profile] == TCP, P["reset"][profile], 0)
    outcome = (dice >= silent).astype(np.int8) + (dice >= refused) + (dice >= reset)
    outcome[events.failed & (outcome > REFUSED)] = REFUSED
    outcome[(events.failed & (dice < 0.6)) | dark[events.dst]] = SILENT
    outcome[(outcome == REFUSED) & (PROTOCOL[profile] != TCP)] = SILENT
    return outcome.astype(np.int8)


def _volumes(profile: NDArray[np.int16], rng: np.random.Generator) -> tuple[Floats, Floats]:
    n = len(profile)
    common = rng.standard_normal(n, np.float32)
    own = rng.standard_normal(n, np.float32)
    # Pareto with index 1.3: finite mean, infinite variance, as measured for transfers; cut at 3,000
    # times.
    dice = rng.random(n, np.float32) / np.maximum(P["tail"][profile], np.float32(1e-9))
    heavy = np.minimum(np.where(dice < 1, np.maximum(dice, 1e-9), 1) ** np.float32(-1 / 1.3), 3_000)
    up = P["up"][profile] * np.exp(P["up_spread"][profile] * common) * heavy
    mixed = np.float32(0.5) * common + np.float32(0.866) * own
    down = P["down"][profile] * np.exp(P["down_spread"][profile] * mixed) * heavy
    return np.minimum(up, LARGEST), np.minimum(down, LARGEST)


def _duration(
    profile: NDArray[np.int16],
    outcome: NDArray[np.int8],
    rounds: Floats,
    volume: NDArray[np.floating],
    openers: Floats,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    n = len(profile)
    rtt = P["rtt_ms"][profile] / 1e3 * np.exp(np.float32(0.4) * rng.standard_normal(n, np.float32))
    pauses = np.maximum(rounds - 1, 0) * P["think_s"][profile]
    pauses *= np.exp(np.float32(0.7) * rng.standard_normal(n, np.float32))
    setup = np.where(PROTOCOL[profile] == UDP, 0, 1)
    talk = rtt * (rounds + setup) + pauses + volume / P["speed"][profile]
    # Openers without an answer come after 1, 3, 7 ... seconds.
    waiting = (np.exp2(openers - 1) - 1) * np.where(openers > 1, 1 + 0.01 * rtt, 0)
    took = np.where(outcome >= RESET, talk, np.where(outcome == REFUSED, rtt, waiting))
    return took.astype(np.float64)
