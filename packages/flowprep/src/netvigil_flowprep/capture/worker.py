"""The child process that runs NFStream: `python -P -m netvigil_flowprep.capture.worker`.

It reads one JSON job per line from standard input, each naming a capture and NFStream's settings,
and writes frames to standard output: a kind (one byte), a length (eight bytes), that many bytes.

    B  an Arrow IPC stream with one record batch of flows
    A  alive: nothing to send yet, but the capture advances
    E  the job failed; the message
    D  the job is done

Why a process of our own: NFStream's C engine parses hostile packets and may die; its own iterator
forks a process that may hold other libraries' threads, pins the *calling* process to two CPU cores,
waits for ever for a meter that died, and pickles each flow through a pipe, which costs more than
metering it. Here the meter's flows become columns where they arise.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import signal
import sys
import time
from operator import attrgetter
from typing import Any, BinaryIO

import pyarrow as pa

from netvigil_flowprep.capture.columns import FRAME, schema

_ALIVE_S = 1.0  # a sign of life per second is plenty for a limit of minutes


class Channel:
    """What NFStream's meter takes for its queue: gathers flows and writes them as columns."""

    def __init__(self, out: BinaryIO, names: list[str], batch_rows: int) -> None:
        self.error = ""
        self._out, self._batch_rows = out, batch_rows
        self._schema = schema(names)
        self._values = attrgetter(*names)
        self._rows: list[tuple[Any, ...]] = []
        self._last = time.monotonic()

    def put(self, flow: Any) -> None:
        """Take a flow, or one of the meter's messages: the end, its state, an error."""
        try:
            self._rows.append(self._values(flow))
        except AttributeError:
            if hasattr(flow, "src_ip"):  # a flow of another NFStream, which must not vanish
                raise
            self.error = getattr(flow, "message", "") or self.error
            return
        if len(self._rows) >= self._batch_rows:
            self.flush()

    def flush(self) -> None:
        """Write the flows gathered so far; an empty batch still says its columns."""
        columns = zip(*self._rows, strict=True) if self._rows else ([] for _ in self._schema)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
        self._rows = []
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as stream:
            stream.write_batch(pa.record_batch(arrays, schema=self._schema))
        self.send(b"B", sink.getvalue())

    def send(self, kind: bytes, body: Any = b"") -> None:
        """Write one frame."""
        self._out.write(FRAME.pack(kind, len(body)))
        self._out.write(body)
        self._out.flush()

    def alive(self) -> None:
        """Tell the parent that packets are being read, at most once a second."""
        if time.monotonic() - self._last > _ALIVE_S:
            self._last = time.monotonic()
            self.send(b"A")


class _Tracker:
    """One of the meter's shared counters, which it sets for every second of the capture's time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def value(self) -> int:
        return 0

    @value.setter
    def value(self, _count: int) -> None:
        self._channel.alive()


class _Unlocked:
    """Meters of one file start when they start; nothing is shared between them."""

    def acquire(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


def meter(job: dict[str, Any], channel: Channel) -> None:
    """Run one job; flows and errors go to `channel`."""
    from nfstream.meter import meter_workflow

    arguments = {
        "source": job["path"],
        "snaplen": job["snapshot_length"],
        "decode_tunnels": job["decode_tunnels"],
        "bpf_filter": None,
        "promisc": True,
        "n_roots": job["n_meters"],
        "root_idx": job["meter"],
        "mode": 0,  # NFMode.SINGLE_FILE
        "idle_timeout": job["idle_timeout"] * 1000,
        "active_timeout": job["active_timeout"] * 1000,
        "accounting_mode": job["accounting_mode"],
        "udps": (),
        "n_dissections": job["n_dissections"],
        "statistics": job["statistical_analysis"],
        "splt": 0,
        "channel": channel,
        "tracker": [_Tracker(channel) for _ in range(3)],
        "lock": _Unlocked(),
        "group_id": 0,
        "system_visibility_mode": 0,
        "socket_buffer_size": 0,
    }
    expected = inspect.signature(meter_workflow).parameters
    if expected.keys() <= arguments.keys():
        meter_workflow(**{name: arguments[name] for name in expected})
    else:
        # The meter is no documented interface; the iterator is, and gives the same flows, slower.
        stream(job, channel)


def stream(job: dict[str, Any], channel: Channel) -> None:
    """Run one job through NFStream's documented iterator; one meter: more have no fixed order."""
    from nfstream import NFStreamer

    if job["meter"]:
        return
    same = [name for name in inspect.signature(NFStreamer).parameters if name in job]
    settings = {name: job[name] for name in same} | {"n_meters": 1}
    streamer = NFStreamer(source=job["path"], **settings)
    for flow in streamer:
        channel.put(flow)


def main() -> None:
    """Serve jobs until standard input ends."""
    # Ctrl-C reaches the whole process group; the parent decides what becomes of this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # NFStream prints warnings on standard output, which carries the frames here.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import nfstream  # noqa: F401 - a broken installation shows before the first sign of life

    # Flows hold no cycles, and the collector's passes over tens of thousands of live flows took a
    # third of the metering time (14,700 against 21,400 flows/s).
    gc.disable()
    out.write(FRAME.pack(b"A", 0))
    out.flush()
    for line in sys.stdin:
        job = json.loads(line)
        channel = Channel(out, job["columns"], job["batch_rows"])
        try:
            meter(job, channel)
        except ValueError as error:  # what NFStreamer raises for a source it cannot open
            channel.error = channel.error or str(error)
        channel.flush()
        channel.send(b"E" if channel.error else b"D", channel.error.encode())


if __name__ == "__main__":
    main()
