"""Call a program in any language: a process that reads one request a line and answers each with one line of JSON.

A request, in ASCII (everything else is escaped, since some line readers split at U+2028 or U+0085)::

    {"id": 1, "system": "rig", "profile": "strict", "text": "..."}

An answer, in UTF-8, one line with the same id::

    {"id": 1, "annotations": [{"query": "...", "value": "...", "start": 0, "end": 42}]}     for rig
    {"id": 1, "queries": ["...", "..."]}                                                    for rag
    {"id": 1, "unsupported": "only the strict profile"}                                     a declared gap
    {"id": 1, "error": "..."}                                                               a failure

Offsets count code points unless the answer says ``"offsets": "utf8"`` or ``"utf16"``. A process that ends after
an answer is started again for the next request. Requests come one at a time. A text with a lone surrogate is not sent, and an
answer with one is an error. Standard error is read, and its last line is shown where the process fails.

Programs of the numeric systems get and answer arrays too (numeric_command.py): ``"bytes": N`` in a line says that N bytes
of safetensors follow its line end.

Nothing here can hang: reading and writing are multiplexed, every request has a limit of processor time, a process that waits
for ever is given up (conformance/engine/time_limit.py), and the whole group is killed at the end, after any failure, and when
this interpreter exits.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import IO, Any, NamedTuple

from conformance.engine.isolation import interrupts_held_back
from conformance.engine.parent_death import die_with_parent
from conformance.engine.time_limit import LOOK_S, NoAnswer, TimeLimitExceeded, Watch, ended, wait, watch_of_group
from impls.implementation import NotRun, PlugError, Unsupported

LONGEST_ANSWER = 64 * 2**20
"""Bytes. A longer line is an error."""

LARGEST_ARRAYS = 2**31
"""Bytes. An answer that announces more is an error."""

LONGEST_END = 10.0
"""Seconds of processor time that a process may take to end, once it has closed its standard output."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_GRACE = 0.5
"""Seconds between closing the input of a process and killing its group; no verdict depends on it."""


class CommandError(Exception):
    """The process broke the protocol. The message says how."""


class Command:
    """One command line. It is started at the first request, and again whenever it has ended.

    ``seconds`` is the processor time that it may take for each answer; ``setting`` is the variable that sets it.
    """

    def __init__(self, words: Sequence[str], seconds: float, setting: str = "GAUGEBLOCK_TEXT_SECONDS") -> None:
        self.words = list(words)
        self.seconds, self.setting = seconds, setting
        self._running: _Running | None = None
        self._next_id = 1

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to ``request`` (without its id).

        CommandError, Unsupported or PlugError where there is none; TimeLimitExceeded where it takes too much processor time,
        NoAnswer where it waits.
        """
        return self._exchange(_encode({"id": self._next_id, **request}), arrays=False, again=True)[0]

    def ask_with_arrays(
        self, request: Mapping[str, Any], arrays: bytes, *, goes_on: bool = False
    ) -> tuple[dict[str, Any], bytes]:
        """The answer to a request with safetensors, and the safetensors of the answer; errors as of `ask`.

        A request that ``goes_on`` needs what earlier ones left in the process: then it is not started again.
        """
        line = _encode({"id": self._next_id, **request, "bytes": len(arrays)})
        return self._exchange(line + arrays, arrays=True, again=not goes_on)

    def close(self) -> None:
        """End the process, if there is one."""
        # An interrupt must not come when nothing refers to it any more, and it has not ended yet.
        with interrupts_held_back():
            running, self._running = self._running, None
            if running is not None:
                running.end()

    def _exchange(self, message: bytes, *, arrays: bool, again: bool) -> tuple[dict[str, Any], bytes]:
        try:
            try:
                return self._ask(message, arrays, again)
            except _EndedQuietly:
                if not again:
                    raise
                # It answered before and then ended with code 0: a program that answers once per run.
                return self._ask(message, arrays, again)
        except _EndedQuietly as error:
            raise CommandError(str(error)) from None
        finally:
            self._next_id += 1

    def _ask(self, message: bytes, arrays: bool, again: bool) -> tuple[dict[str, Any], bytes]:
        if self._running is not None and not self._running.at_rest:
            self.close()  # an interrupt came between its fault and its end
        if self._running is None:
            if not again:
                raise CommandError("its process has ended, and with it what this request needs")
            self._running = _Running(self.words)
        self._running.at_rest = False
        answer = _Answer(self._next_id, arrays)
        try:
            self._running.exchange(message, answer, Watching(self.seconds, self.setting))
            self._running.at_rest = True
        except BaseException:
            # Whatever state it is in now, the next request must not see it.
            self.close()
            raise
        return answer.line, answer.arrays


class _EndedQuietly(CommandError):
    """The process had ended with code 0, after answering earlier requests, before this one."""


class Watching(NamedTuple):
    """The processor time that an answer may take, and the variable that sets it."""

    seconds: float
    setting: str


class _Answer:
    """What has been received of one answer: its line, and then the arrays that the line announces."""

    def __init__(self, expected_id: int, with_arrays: bool) -> None:
        self._id, self._with_arrays = expected_id, with_arrays
        self._searched = 0
        self._begin = self._end = -1
        self.line: dict[str, Any] = {}
        self.arrays = b""

    def is_complete(self, received: bytearray) -> bool:
        """Whether this is all of it, or more; CommandError as soon as it is no answer."""
        if self._begin < 0:
            end = received.find(b"\n", self._searched)
            self._searched = len(received)
            if end < 0:
                if len(received) > LONGEST_ANSWER:
                    raise CommandError(f"found {len(received)} bytes without a line end, expected an answer on one line")
                return False
            self.line = _decode(bytes(received[:end]), self._id)
            self._begin = end + 1
            self._end = self._begin + (self._announced() if self._with_arrays else 0)
        return len(received) >= self._end

    def finish(self, received: bytearray) -> None:
        """Take the arrays. CommandError where more has come. Checked last, so that the first fault is the one named."""
        self.arrays = bytes(received[self._begin : self._end])
        if len(received) <= self._end:
            return
        more = _shorten(bytes(received[self._end :]))
        if self._with_arrays:
            raise CommandError(
                f"found more than the {len(self.arrays)} bytes that its answer announced after the line end; they begin {more}"
            )
        raise CommandError(f"found more than one line for one request; the second begins {more}")

    def so_far(self, received: bytearray) -> str:
        """Where in the answer this is, for a message."""
        if self._begin >= 0:
            return f" after {len(received) - self._begin} of the {self._end - self._begin} bytes that its answer announced"
        return f" in the middle of the line {_shorten(bytes(received))}" if received else " without answering"

    def _announced(self) -> int:
        size = self.line.get("bytes", 0)
        if type(size) is not int or not 0 <= size <= LARGEST_ARRAYS:
            raise CommandError(
                f'found "bytes": {size!r} in its answer, expected the number of bytes of safetensors that follow the line, '
                f"at most {LARGEST_ARRAYS}"
            )
        return size


def _encode(request: Mapping[str, Any]) -> bytes:
    for value in request.values():
        if isinstance(value, str) and not _is_scalar(value):
            raise Unsupported("the text holds a lone surrogate, which JSON lines do not carry")
    return json.dumps(request).encode("ascii") + b"\n"


def _decode(line: bytes, expected_id: int) -> dict[str, Any]:
    try:
        answer = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"found {_shorten(line)} on standard output, expected one line of JSON ({type(error).__name__}: {error}); "
            f"send diagnostics to standard error"
        ) from None
    if not isinstance(answer, dict):
        raise CommandError(f"found {_shorten(line)}, expected a JSON object")
    if type(answer.get("id")) is not int or answer["id"] != expected_id:
        raise CommandError(f"found an answer with id {answer.get('id')!r}, expected id {expected_id}, that of the request")
    if not _is_scalar(json.dumps(answer, ensure_ascii=False)):
        raise CommandError(
            f"found a lone surrogate in the answer {_shorten(line)}; a string was perhaps cut inside a UTF-16 pair"
        )
    return answer


def _is_scalar(text: str) -> bool:
    return _SURROGATE.search(text) is None


def _shorten(line: bytes, limit: int = 120) -> str:
    text = repr(line.decode("utf-8", "backslashreplace"))
    return text if len(text) <= limit else f"{text[:limit]}... ({len(line)} bytes)"


class _Running:
    """One run of the process, with its three non-blocking pipes."""

    at_rest = True
    """Whether the last request was answered to its end."""

    def __init__(self, words: Sequence[str]) -> None:
        if os.name != "posix":
            raise NotRun("cmd: needs pipes that can be waited on together (Linux, macOS); on Windows run it under WSL")
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                preexec_fn=die_with_parent,  # a run that is killed ends nothing itself
            )
        except OSError as error:
            raise PlugError(
                f"found the command {words[0]!r}, which cannot be started ({error.strerror}, looked from {os.getcwd()}); "
                f"expected an executable file, by path or on PATH"
            ) from None
        # Runs at interpreter exit too; holds the process and not self.
        self.end = weakref.finalize(self, _end, self._process)
        self._stdin, self._stdout, self._stderr = pipes = _pipes_of(self._process)
        self._answered = 0
        self._received = bytearray()
        self._complaints = bytearray()
        for pipe in pipes:
            os.set_blocking(pipe.fileno(), False)

    def exchange(self, message: bytes, answer: _Answer, limit: Watching) -> None:
        """Write the message, and read until the answer is complete."""
        watch: Watch | None = None  # most answers come before the first look, which reads the times of all processes
        next_look = time.monotonic() + LOOK_S
        to_write = memoryview(message)
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            while not answer.is_complete(self._received):
                for key, _ in selector.select(LOOK_S):
                    if key.fileobj is self._stdin:
                        to_write = self._write(to_write)
                        if not to_write:
                            selector.unregister(self._stdin)
                    elif key.fileobj is self._stderr:
                        if not self._read_complaints():
                            selector.unregister(self._stderr)
                    elif not self._read_answer():
                        raise self._ended(answer)
                if time.monotonic() >= next_look:
                    watch = watch or watch_of_group(self._process.pid, limit.seconds, setting=limit.setting)
                    self._look(watch)
                    next_look = time.monotonic() + LOOK_S
        self._answered += 1
        answer.finish(self._received)
        self._received.clear()

    def _look(self, watch: Watch) -> None:
        try:
            watch.look()
        except (NoAnswer, TimeLimitExceeded) as error:
            raise type(error)(f"{error}{self._last_complaint()}") from None

    def _write(self, data: memoryview) -> memoryview:
        try:
            return data[os.write(self._stdin.fileno(), data[:65536]) :]
        except BlockingIOError:
            return data
        except BrokenPipeError:
            return data[:0]  # it reads no more, but may still answer

    def _read_answer(self) -> bool:
        chunk = _read(self._stdout.fileno())
        if chunk is None:
            return True
        self._received += chunk
        return bool(chunk)

    def _read_complaints(self) -> bool:
        chunk = _read(self._stderr.fileno())
        if chunk is None:
            return True
        self._complaints += chunk
        del self._complaints[:-4096]
        return bool(chunk)

    def _ended(self, answer: _Answer) -> CommandError:
        try:
            code: int | None = wait(self._process, LONGEST_END)
        except (NoAnswer, TimeLimitExceeded):
            code = None
        while _read(self._stderr.fileno(), self._complaints):
            pass
        if code == 0 and self._answered and not self._received:
            return _EndedQuietly("ended with exit code 0 twice without answering")
        if code is None:
            how = "closed its standard output"
        else:
            how = ended(code, "exit code")
        return CommandError(f"{how}{answer.so_far(self._received)}{self._last_complaint()}")

    def _last_complaint(self) -> str:
        lines = self._complaints.decode("utf-8", "replace").strip().splitlines()
        return f"; its standard error ends: {lines[-1]}" if lines else "; it wrote nothing to standard error"


def _read(descriptor: int, into: bytearray | None = None) -> bytes | None:
    """What can be read now: None where there is nothing yet, empty at the end."""
    try:
        chunk = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return None
    if into is not None:
        into += chunk
    return chunk


def _pipes_of(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("started without pipes")
    return process.stdin, process.stdout, process.stderr


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its input, give it a moment, kill the whole group, reap it, close the pipes."""
    stdin, stdout, stderr = _pipes_of(process)
    # It is ended once, here or never: an interrupt must not come between.
    with interrupts_held_back():
        with contextlib.suppress(OSError):
            stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        stdout.close()
        stderr.close()
