"""Small servers that run inside a host's agent: SMTP, Modbus/TCP, IPP and the tunnel's DNS."""

from __future__ import annotations

import base64
import hashlib
import http.server
import socket
import socketserver
import struct
import threading

MODBUS = struct.Struct(">HHHBB")
"""A Modbus/TCP header: transaction, protocol 0, length that follows, unit, function."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


class _Smtp(socketserver.StreamRequestHandler):
    """Takes any mail and forgets it."""

    timeout = 20

    def handle(self) -> None:
        self.wfile.write(b"220 lab ESMTP\r\n")
        while line := self.rfile.readline(2_000):
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline(2_000) not in (b".\r\n", b""):
                    pass
                self.wfile.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


class _Modbus(socketserver.StreamRequestHandler):
    """Answers every request to read registers; their values follow from address and count."""

    timeout = 20

    def handle(self) -> None:
        while len(head := self.rfile.read(MODBUS.size)) == MODBUS.size:
            number, _, length, unit, function = MODBUS.unpack(head)
            body = self.rfile.read(length - 2)
            if function != 3:  # anything but "read holding registers" is refused
                self.wfile.write(MODBUS.pack(number, 0, 3, unit, function | 0x80) + b"\x01")
                continue
            _, registers = struct.unpack(">HH", body)
            values = hashlib.sha256(body).digest() * 8
            values = values[: 2 * min(registers, 100)]
            answer = MODBUS.pack(number, 0, 3 + len(values), unit, function)
            self.wfile.write(answer + bytes([len(values)]) + values)


class _Ipp(http.server.BaseHTTPRequestHandler):
    """Takes what is to be printed and says that it is idle."""

    timeout = 20
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one segment for head and body

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = b"\x02\x00\x00\x00\x00\x00\x00\x01" + b"idle" * 20
        self.send_response(200)
        self.send_header("Content-Type", "application/ipp")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Refuse(http.server.BaseHTTPRequestHandler):
    """A page on an unusual port that exists but is not for everyone."""

    timeout = 20

    def do_GET(self) -> None:
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_TCP = {
    "mail": ((25, _Smtp),),
    "partner": ((25, _Smtp),),
    "plc": ((502, _Modbus),),
    "plc2": ((502, _Modbus),),
    "printer": ((631, _Ipp),),
    "cloud": ((8443, _Refuse),),
}


def respond(host: str) -> None:
    """Start the small servers of a host, in threads that end with the process."""
    for port, handler in _TCP.get(host, ()):
        server = _Server(("0.0.0.0", port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    if host == "attacker":
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.bind(("0.0.0.0", 53))
        threading.Thread(target=_tunnel, args=(listening,), daemon=True).start()


def _tunnel(listening: socket.socket) -> None:
    """Answer every question of the tunnel with a TXT record that carries the next command."""
    while True:
        question, client = listening.recvfrom(2_000)
        end = question.index(b"\0", 12) + 5
        command = base64.b32encode(hashlib.sha512(question[12:end]).digest()).strip(b"=")
        text = bytes([len(command)]) + command
        record = struct.pack(">HHHIH", 0xC00C, 16, 1, 0, len(text)) + text
        head = question[:2] + struct.pack(">HHHHH", 0x8580, 1, 1, 0, 0)
        listening.sendto(head + question[12:end] + record, client)
