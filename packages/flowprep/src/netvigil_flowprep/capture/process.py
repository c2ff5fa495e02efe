"""Child processes that meter captures: started once, fed file by file, replaced when one dies."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from netvigil.errors import PluginError, SourceError
from netvigil_flowprep.capture.columns import FRAME
from netvigil_flowprep.tally import escape

# -P: a file in the current folder must not pass for a module.
COMMAND = (sys.executable, "-P", "-m", "netvigil_flowprep.capture.worker")
_AHEAD = 2  # batches a meter may be ahead of its reader: it never waits, and memory stays small
_PARTING_S = 5.0  # a child that does not end by itself after its input ended is killed


class Meters:
    """`count` child processes that share the packets of each capture among them.

    Use as a context manager: no child outlives the `with` block. A child that says nothing for
    `stall_s` seconds (they give a sign of life for every second of captured time) is given up.
    """

    def __init__(self, count: int, *, stall_s: float) -> None:
        self.count, self.stall_s = count, stall_s
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def batches(self, path: Path, where: str, job: dict[str, Any]) -> Generator[pa.RecordBatch]:
        """Yield the flows of one capture in columns named like NFStream's attributes.

        `where` names the capture in errors, which may be a compressed file with a copy at `path`.

        With several meters their batches alternate in a fixed order, so that two reads agree.

        Raises:
            SourceError: NFStream refuses the file, or its process died or stalled over it.
            PluginError: NFStream does not start at all.
        """
        if not self._children:
            self._children = [_Child() for _ in range(self.count)]
        for meter, child in enumerate(self._children):
            child.submit({**job, "path": str(path), "n_meters": self.count, "meter": meter})
        turns = [child.batches(where, self.stall_s) for child in self._children]
        done = False
        try:
            while turns:
                for turn in list(turns):
                    batch = next(turn, None)
                    if batch is None:
                        turns.remove(turn)
                    else:
                        yield batch
            done = True
        finally:
            if not done:  # a later file needs children without leftovers of this one
                self._end()

    def _end(self) -> None:
        for child in self._children:
            child.end()
        self._children = []


class _Child:
    """One process, and the thread that reads its frames."""

    def __init__(self) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        self._frames: queue.Queue[tuple[bytes, bytes]] = queue.Queue(_AHEAD)
        self._ended = threading.Event()
        self._started = False
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def submit(self, job: dict[str, Any]) -> None:
        """Hand over a job; a dead child is noticed when its frames are read."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return

    def batches(self, where: str, stall_s: float) -> Iterator[pa.RecordBatch]:
        """Yield the batches of the job submitted last."""
        while True:
            try:
                kind, body = self._frames.get(timeout=stall_s)
            except queue.Empty:
                msg = f"NFStream made no progress for {stall_s:,.0f} s."
                raise SourceError(msg, where=where, do="Leave it out.") from None
            self._started = self._started or kind != b""
            if kind == b"B":
                yield pa.ipc.open_stream(body).read_next_batch()
            elif kind == b"D":
                return
            elif kind == b"E":
                reason = escape(body.decode(errors="replace"), 200)
                msg = f"NFStream cannot read this capture: {reason}."
                raise SourceError(msg, where=where, do="Leave it out.")
            elif kind == b"":
                raise self._death(where)

    def end(self) -> None:
        """Stop the process, whatever it is doing, and its thread."""
        assert self._process.stdin is not None
        self._ended.set()
        self._process.kill()
        self._process.wait(_PARTING_S)
        self._thread.join(_PARTING_S)
        with contextlib.suppress(OSError):  # unsent bytes of a job for a process that is gone
            self._process.stdin.close()
        self._stderr.close()

    def _receive(self) -> None:
        out = self._process.stdout
        assert out is not None
        with out:
            while True:
                head = out.read(FRAME.size)
                if len(head) < FRAME.size:
                    break
                kind, length = FRAME.unpack(head)
                body = out.read(length)
                if len(body) < length or not self._put(kind, body):
                    break
        self._put(b"", b"")

    def _put(self, kind: bytes, body: bytes) -> bool:
        while not self._ended.is_set():
            try:
                self._frames.put((kind, body), timeout=0.5)
            except queue.Full:
                continue
            return True
        return False

    def _death(self, where: str) -> SourceError | PluginError:
        code = self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        last = escape(lines[-1], 200) if lines else "nothing"
        if not self._started:
            return PluginError(
                "NFStream does not start.",
                where=f"It says: {last}",
                do="Install it again: pip install 'netvigil-flowprep[pcap]'",
            )
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        msg = f"NFStream died over this capture ({how})."
        return SourceError(msg, where=where, do=f"Leave it out. It said: {last}")
