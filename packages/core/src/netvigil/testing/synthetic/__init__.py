"""Seeded synthetic traffic with planted attacks, whole or piece by piece, and test inputs.

What is in it
    Clients with favourite sites, own mixes of services, usual servers and a working day; servers,
    printers, industrial controllers that poll by the clock, devices that phone home; name look-ups,
    retries, refused and reset connections, heavy-tailed volumes. Harmless novelty: new sites, other
    servers than usual, laptops that arrive late, visitors seen once, an administrator's scanner.
    Attacks: `scenario.KINDS`.

What a detector can and cannot see
    A single flow tells little: a probe is what the administrator's scanner sends, a password guess
    is near a mistyped password, a beacon near telemetry, a theft near a cloud upload, a request of
    an HTTP flood near any request. Scans, floods and guessing show in how many there are of one
    source or to one target within a window; slow scans hardly do. Half of the attackers are clients
    that were harmless before, so a new source is no proof, and more new pairs are harmless than
    hostile. Lateral movement uses pairs that talked before: only its volumes differ, a little.
    Beacons show in their regularity across windows, which telemetry shares, and in a rare
    destination. Half of the thefts go to a site the victim uses anyway.

What is not in it
    Payload, name indications, IPv6, one-sided records, packet loss, address translation, clock
    faults. It is for tests, demonstrations and speed: how a detector ranks here says nothing about
    a real network.
"""

from __future__ import annotations

from netvigil.testing.synthetic.capture import Traffic, stream, traffic
from netvigil.testing.synthetic.encodings import Planted, encoded
from netvigil.testing.synthetic.scenario import KINDS, Scenario
from netvigil.testing.synthetic.windows import windows

__all__ = ["KINDS", "Planted", "Scenario", "Traffic", "encoded", "stream", "traffic", "windows"]
