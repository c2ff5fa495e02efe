"""The `x_*` features of a statistical meter: packet sizes, inter-arrival times, flags.

Minimum, mean, maximum and deviation are possible ones: the deviation never exceeds what the other
three allow (Bhatia and Davis 2000), and gaps add up to the duration.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.testing.synthetic.counters import FINE, REFUSED, RESET, Counters
from netvigil.testing.synthetic.profiles import TCP

Floats = NDArray[np.float32]
FULL = np.float32(1_500)
FLAGS = ("syn", "ack", "psh", "rst", "fin")
FLAG_BITS = {"fin": 0x01, "syn": 0x02, "rst": 0x04, "psh": 0x08, "ack": 0x10}


class Sizes(NamedTuple):
    """Packet sizes of one direction, float32 [flows] each; zeros where there is no packet."""

    packets: Floats
    bytes: Floats
    low: Floats
    mean: Floats
    deviation: Floats
    high: Floats


def sizes(counters: Counters, direction: str, rng: np.random.Generator) -> Sizes:
    """Describe the packet sizes of direction "up" or "down"."""
    payload: Floats = getattr(counters, direction)
    data: Floats = getattr(counters, f"{direction}_data")
    control: Floats = getattr(counters, f"{direction}_control")
    packets = data + control
    body = payload / np.maximum(data, 1) + counters.header
    # Packets of one payload differ in size, unless there is only one.
    room = np.where(data > 1, rng.random(len(data), np.float32), 0)
    high = np.where(data > 0, np.rint(body + room * np.maximum(FULL - body, 0)), counters.header)
    low = np.where(
        control > 0, counters.header, np.floor(body - 0.5 * room * (body - counters.header))
    )
    total = payload + packets * counters.header
    mean = total / np.maximum(packets, 1)
    share = data / np.maximum(packets, 1)
    spread = share * (1 - share) * (body - counters.header) ** 2 + share * ((high - body) / 2) ** 2
    return Sizes(packets, total, *_settle(packets, low, mean, np.sqrt(spread), high))


def both(up: Sizes, down: Sizes) -> Sizes:
    """Describe the packet sizes of the whole conversation."""
    packets = up.packets + down.packets
    total = up.bytes + down.bytes
    mean = total / np.maximum(packets, 1)
    low = np.where(down.packets > 0, np.minimum(up.low, down.low), up.low)
    high = np.maximum(up.high, down.high)
    spread = sum(
        side.packets * (side.deviation**2 + np.where(side.packets > 0, side.mean - mean, 0) ** 2)
        for side in (up, down)
    )
    deviation = np.sqrt(spread / np.maximum(packets, 1))
    return Sizes(packets, total, *_settle(packets, low, mean, deviation, high))


def _settle(
    packets: Floats, low: Floats, mean: Floats, deviation: Floats, high: Floats
) -> list[Floats]:
    some, several = packets > 0, packets > 1
    low, high = np.minimum(low, mean), np.maximum(high, mean)
    most = np.sqrt((high - mean) * (mean - low))
    deviation = np.where(several, np.minimum(deviation, most), 0)
    return [np.where(some, values, 0).astype(np.float32) for values in (low, mean, deviation, high)]


def gaps(packets: Floats, duration_ms: Floats, rng: np.random.Generator) -> list[Floats]:
    """Return minimum, mean, deviation and maximum gap between packets in ms, float32 [flows]."""
    mean = duration_ms / np.maximum(packets - 1, 1)
    many = packets > 2
    # One gap may take up a share `pause` of what is free; squared, since most conversations are
    # even.
    pause = np.where(many, rng.random(len(mean), np.float32) ** 2, 0)
    high = mean + (duration_ms - mean) * pause
    evenness = np.where(packets == 3, 1, rng.random(len(mean), np.float32))
    low = np.where(many, mean * (1 - pause) * evenness, mean)
    bend = np.float32(0.3) + np.float32(0.6) * rng.random(len(mean), np.float32)
    deviation = np.where(many, bend * np.sqrt((high - mean) * (mean - low)), 0)
    alone = packets < 2
    return [
        np.where(alone, 0, values).astype(np.float32) for values in (low, mean, deviation, high)
    ]


def flags(counters: Counters) -> dict[str, dict[str, Floats]]:
    """Count TCP flags: flag -> direction -> float32 [flows], zero for other protocols."""
    tcp = (counters.protocol == TCP).astype(np.float32)
    answered = tcp * (counters.outcome >= RESET)
    fine = tcp * (counters.outcome == FINE)
    up = tcp * (counters.up_data + counters.up_control)
    down = tcp * (counters.down_data + counters.down_control)
    counted = {
        "syn": (tcp * counters.openers, answered),
        "ack": (answered * (up - 1), down),
        "psh": (
            answered * np.minimum(counters.rounds, counters.up_data),
            answered * np.minimum(counters.rounds, counters.down_data),
        ),
        "rst": (
            np.zeros_like(tcp),
            tcp * ((counters.outcome == REFUSED) | (counters.outcome == RESET)),
        ),
        "fin": (fine, fine),
    }
    return {
        flag: {
            "bidirectional": (forth + back).astype(np.float32),
            "src2dst": forth.astype(np.float32),
            "dst2src": back.astype(np.float32),
        }
        for flag, (forth, back) in counted.items()
    }
