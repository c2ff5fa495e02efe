"""What one conversation of each service looks like: volumes, exchanges, pauses, failures.

Volumes are log-normal with a Pareto tail, as in measured traffic; the figures are chosen for
plausibility and overlap, not fitted to a capture. The hostile profiles lie next to benign ones on
purpose: a password guess beside a mistyped password, a beacon beside telemetry, a theft beside a
    cloud upload, a probe beside
the inventory scanner's, which is the very same profile.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TCP, UDP, ICMP = 6, 17, 1


class Profile(NamedTuple):
    """One kind of conversation.

    `up` and `down` are median payload bytes, `up_spread` and `down_spread` their log standard
    deviations,
    `tail` the share with a Pareto factor, `rounds` the mean number of exchanges, `think_s` the
    median pause between them, `rtt_ms` the median round trip, `speed` the median bytes per second;
    `silent`, `refused` and `reset` are probabilities; `tries` how many packets an unanswered opener
    sends.
    """

    name: str
    app: str
    port: int
    protocol: int = TCP
    up: float = 600
    up_spread: float = 0.7
    down: float = 4_000
    down_spread: float = 1.4
    tail: float = 0.02
    rounds: float = 2.0
    think_s: float = 0.3
    rtt_ms: float = 20.0
    speed: float = 4e6
    silent: float = 0.005
    refused: float = 0.003
    reset: float = 0.02
    tries: int = 4


PROFILES = (
    Profile("dns", "dns", 53, UDP, 42, 0.2, 130, 0.6, 0, 1.05, 0.01, 4, silent=0.01, tries=3),
    Profile("ntp", "ntp", 123, UDP, 48, 0.0, 48, 0.0, 0, 1, 0.0, 15, silent=0.01, tries=1),
    Profile("https", "tls", 443, TCP, 1_400, 0.8, 9_000, 1.6, 0.04, 3, 0.8, 22),
    Profile("http", "http", 80, TCP, 420, 0.5, 5_000, 1.6, 0.03, 1.8, 0.6, 22, reset=0.03),
    Profile("quic", "quic", 443, UDP, 3_000, 0.8, 16_000, 1.5, 0.04, 4, 0.5, 18, tries=3),
    Profile("intranet", "tls", 443, TCP, 1_200, 0.7, 7_000, 1.3, 0.02, 3, 1.2, 1.2, 3e7),
    Profile("imaps", "tls", 993, TCP, 900, 0.6, 3_500, 1.3, 0.03, 5, 2.5, 2.0, 2e7),
    Profile("smb", "smb", 445, TCP, 2_600, 1.2, 9_000, 2.0, 0.06, 9, 0.4, 0.8, 6e7),
    Profile("database", "postgres", 5432, TCP, 1_100, 1.0, 6_000, 1.8, 0.03, 8, 0.3, 0.7, 5e7),
    Profile("kerberos", "kerberos", 88, TCP, 1_500, 0.2, 1_600, 0.2, 0, 1.2, 0.02, 0.9, 5e7),
    Profile("ldap", "ldap", 389, TCP, 500, 0.5, 2_400, 1.0, 0.01, 3, 0.2, 0.9, 5e7),
    Profile("ssh", "ssh", 22, TCP, 5_500, 1.2, 7_500, 1.5, 0.06, 20, 1.5, 1.5, 2e7, reset=0.01),
    Profile(
        "ssh-mistyped", "ssh", 22, TCP, 1_900, 0.15, 2_300, 0.15, 0, 6, 1.6, 2.0, 2e7, reset=0.15
    ),
    Profile("print", "ipp", 631, TCP, 90_000, 1.5, 900, 0.5, 0.05, 4, 0.3, 1.5, 8e6),
    Profile("smtp", "smtp", 25, TCP, 9_000, 1.4, 700, 0.3, 0.04, 6, 0.3, 35, refused=0.03),
    Profile("upload", "tls", 443, TCP, 160_000, 1.9, 5_000, 0.8, 0.12, 5, 0.6, 22, 5e6),
    Profile("telemetry", "tls", 443, TCP, 1_150, 0.25, 900, 0.35, 0, 2, 0.1, 24),
    Profile("backup", "ssh", 22, TCP, 4e6, 1.6, 12_000, 0.7, 0.1, 8, 0.5, 0.7, 6e7),
    Profile("snmp", "snmp", 161, UDP, 60, 0.3, 160, 0.5, 0, 2, 0.02, 1.2, silent=0.02, tries=2),
    Profile("ping", "icmp", 0, ICMP, 56, 0.0, 56, 0.0, 0, 3, 1.0, 1.0, silent=0.01, tries=3),
    Profile("modbus", "modbus", 502, TCP, 120, 0.1, 240, 0.1, 0, 6, 0.1, 1.0, 2e7, reset=0.001),
    Profile("syslog", "syslog", 514, UDP, 190, 0.5, 0, 0.0, 0, 1, 0.0, 1.0, silent=1.0, tries=2),
    Profile(
        "probe",
        "unknown",
        0,
        TCP,
        220,
        0.4,
        500,
        0.8,
        0,
        1,
        0.02,
        3,
        silent=0.08,
        refused=0.8,
        tries=2,
    ),
    Profile(
        "syn",
        "unknown",
        443,
        TCP,
        200,
        0.5,
        300,
        0.5,
        0,
        1,
        0.02,
        30,
        silent=0.85,
        refused=0.1,
        tries=1,
    ),
    Profile(
        "http-get", "http", 80, TCP, 360, 0.3, 5_500, 1.2, 0.01, 1.3, 0.2, 30, 2e6, 0.08, 0.02, 0.12
    ),
    Profile(
        "ssh-guess", "ssh", 22, TCP, 1_750, 0.12, 2_250, 0.12, 0, 5, 0.9, 12, 1e7, 0.02, 0.02, 0.25
    ),
    Profile("http-guess", "http", 80, TCP, 560, 0.15, 2_600, 0.3, 0, 1.5, 0.2, 18, reset=0.06),
    Profile("command", "tls", 443, TCP, 1_050, 0.25, 760, 0.4, 0.01, 2, 0.15, 45),
    Profile("theft", "tls", 443, TCP, 1.6e6, 1.3, 7_000, 0.7, 0.1, 7, 0.3, 30, 5e6),
    Profile(
        "lateral", "smb", 445, TCP, 30_000, 1.3, 5_000, 1.0, 0.05, 12, 0.3, 0.8, 6e7, reset=0.05
    ),
)

INDEX = {profile.name: row for row, profile in enumerate(PROFILES)}


def column(name: str) -> NDArray[np.float32]:
    """Return one numeric field of every profile, float32 [profiles]."""
    return np.array([getattr(profile, name) for profile in PROFILES], np.float32)
