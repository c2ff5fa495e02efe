"""Names of link layers in capture files, and which of them NFStream can decode."""

from __future__ import annotations

SUPPORTED = {
    0: "BSD loopback",
    1: "Ethernet",
    9: "PPP",
    12: "raw IP",
    50: "PPP in HDLC-like framing",
    101: "raw IP",
    104: "Cisco HDLC",
    113: "Linux cooked capture v1",
    127: "IEEE 802.11 radiotap",
    228: "raw IPv4",
    229: "raw IPv6",
}
"""Link types of NFStream's packet decoder; of any other it drops every packet without a word."""

_OTHERS = {
    6: "Token Ring", 7: "ARCNET", 8: "SLIP", 10: "FDDI", 51: "PPPoE", 105: "IEEE 802.11",
    107: "Frame Relay", 108: "OpenBSD loopback", 114: "LocalTalk", 117: "OpenBSD pflog",
    119: "IEEE 802.11 Prism", 122: "IP over Fibre Channel", 138: "IP over IEEE 1394",
    143: "DOCSIS", 147: "user-defined 0", 163: "IEEE 802.11 AVS", 187: "Bluetooth HCI",
    189: "Linux USB", 192: "Per-Packet Information", 195: "IEEE 802.15.4", 203: "LAPD",
    220: "Linux USB, padded", 226: "Solaris IPNET", 227: "SocketCAN", 239: "Linux netfilter log",
    249: "USBPcap", 251: "Bluetooth LE", 253: "Linux netlink", 276: "Linux cooked capture v2",
}  # fmt: skip


def describe(link_type: int) -> str:
    """Name a link type for people.

    Example:
        >>> describe(127), describe(9999)
        ('link type 127 (IEEE 802.11 radiotap)', 'link type 9999')
    """
    name = SUPPORTED.get(link_type) or _OTHERS.get(link_type)
    return f"link type {link_type} ({name})" if name else f"link type {link_type}"
