"""Confine the processes of what is tested: what ``--confine`` adds to the limits that all of them have.

``folder``       they start in an empty folder, which is removed at the end
``environment``  they see a few variables only (`KEPT`, and those of the suite)
``user``         they run as the user nobody, which root alone can arrange
``namespace``    they see no other process, no network, nothing of the reference and the records, and can write to their folder
                 alone. This takes Linux, with unshare, mount and setpriv of util-linux

Each implementation has a folder of its own, which the variables HOME and TMPDIR name, so that caches can be written.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

KINDS = ("folder", "environment", "user", "namespace")
KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONHASHSEED", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "TRITON_INTERPRET")
"""The variables that a confined process sees, beside GAUGEBLOCK_* and numbers of threads."""
NOBODY = "nobody"
NEEDED = ("unshare", "mount", "setpriv")
SHOWN = ("__init__.py", "ademamix/hyperparameters.py", "rig/grammar.py", "rig/events.py", "rag/profiles.py")
"""The files of the reference that calling an implementation takes: they describe inputs and grammars, and compute nothing."""
_SYSTEM = ("/proc", "/sys", "/dev")
_START_S = 60.0


@dataclass(frozen=True)
class Confinement:
    """Some of `KINDS`; ``hidden`` are files that a namespace hides beside the reference."""

    kinds: frozenset[str] = frozenset()
    hidden: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def obstacle(self) -> str:
        """Why this machine cannot do it, in one line; "" where it can."""
        if "user" in self.kinds and os.geteuid() != 0:
            return "user: found a run that is not root's, who alone may start processes as another user; leave 'user' out"
        missing = [name for name in NEEDED if shutil.which(name) is None] if "namespace" in self.kinds else []
        if missing:
            return f"namespace: found no {', '.join(missing)}, expected Linux with util-linux; leave 'namespace' out"
        program = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import conformance.engine.serving"
        for kind in sorted(self.kinds & {"user", "namespace"}):
            said = replace(self, kinds=frozenset({kind}))._complaint(
                [sys.executable, "-c", program, json.dumps(path_from_anywhere())]
            )
            if said:
                return f"{kind}: no Python can be started so: {said}; leave {kind!r} out, or see docs/plugging-in.md"
        return ""

    def _complaint(self, words: Sequence[str]) -> str:
        """What a command that fails in here says last; "" where it does not fail."""
        try:
            process, folder = self.start(words, stderr=subprocess.PIPE)
        except OSError as error:
            return str(error)
        try:
            said = process.communicate(timeout=_START_S)[1].decode("utf-8", "replace").strip() or "no reason given"
            return said.splitlines()[-1] if process.returncode else ""
        finally:
            remove(folder)

    def start(
        self, words: Sequence[str], descriptor: int | None = None, stderr: int | None = None
    ) -> tuple[subprocess.Popen[bytes], str]:
        """Start a command in here, with this descriptor open; return it and the folder that was made for it, if one was."""
        folder = tempfile.mkdtemp(prefix="gaugeblock-") if self else ""
        other: dict[str, Any] = {}
        if "user" in self.kinds:
            shutil.chown(folder, NOBODY, _group_of(NOBODY))
            other = {"user": NOBODY, "group": _group_of(NOBODY), "extra_groups": []}
        if "namespace" in self.kinds:
            words, other = _in_namespace(words, folder, self._to_hide(), bool(other)), {}
        process = subprocess.Popen(
            words,
            pass_fds=[] if descriptor is None else [descriptor],
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            cwd=folder if "folder" in self.kinds else None,
            env=self._variables(folder) if self else None,
            **other,
        )
        return process, folder

    def _variables(self, folder: str) -> Mapping[str, str]:
        own = {"HOME": folder, "TMPDIR": folder}
        if "environment" not in self.kinds:
            return {**os.environ, **own}
        return {
            **{
                name: value
                for name, value in os.environ.items()
                if name in KEPT or name.startswith("GAUGEBLOCK_") or name.endswith("_NUM_THREADS")
            },
            **own,
        }

    def _to_hide(self) -> list[str]:
        """Every file of the reference but those `SHOWN`, what Python keeps of them, and the files that were named."""
        spec = importlib.util.find_spec("reference")
        root = Path(spec.origin).parent if spec is not None and spec.origin else None
        found = [] if root is None else [*root.rglob("*.py"), *root.rglob("__pycache__")]
        shown = {root / name for name in SHOWN} if root is not None else set()
        return [str(each) for each in (*found, *self.hidden) if each.exists() and each not in shown]


UNCONFINED = Confinement()


def path_from_anywhere() -> list[str]:
    """Where modules are looked for, from wherever a process starts."""
    return [os.path.abspath(folder) for folder in sys.path]


def remove(folder: str) -> None:
    """Remove the folder that was made for a process, if one was."""
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _group_of(user: str) -> int:
    import pwd  # which Windows has not

    return pwd.getpwnam(user).pw_gid


def _in_namespace(words: Sequence[str], folder: str, hidden: Sequence[str], as_nobody: bool) -> list[str]:
    """The command, in namespaces of its own, without any privilege."""
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    # Without capabilities nothing that is mounted here can be taken away again, whoever the user is.
    setpriv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    if as_nobody:
        setpriv += [f"--reuid={NOBODY}", f"--regid={_group_of(NOBODY)}", "--clear-groups"]
    program = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
        "from conformance.engine.confinement import close_off; close_off(*json.loads(sys.argv[2]))"
    )
    arguments = json.dumps([folder, list(hidden), [*setpriv, *words]])
    return [*unshare, sys.executable, "-c", program, json.dumps(path_from_anywhere()), arguments]


def close_off(folder: str, hidden: Sequence[str], words: Sequence[str]) -> None:
    """In new namespaces, hide these files, leave nothing but the folder to be written, and become the command."""
    _loopback()
    for path in hidden:
        what = ["-t", "tmpfs", "none"] if os.path.isdir(path) else ["--bind", os.devnull]
        _mount(*what, path)
    _mount("--bind", folder, folder)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        _, _, _, _, target, options, *_ = line.split(" ")
        target = target.encode().decode("unicode_escape")  # a space is written \040
        if target != folder and not any(target == each or target.startswith(f"{each}/") for each in _SYSTEM):
            flags = [each for each in options.split(",") if each.startswith("no")]
            _mount("-o", ",".join(["remount", "bind", "ro", *flags]), target)
    os.execvp(words[0], list(words))


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mount {' '.join(words)}: {done.stderr.strip()}")


def _loopback() -> None:
    """Bring up the loopback device, through which processes of one machine talk."""
    import fcntl  # which Windows has not

    name, up = b"lo", 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, contextlib.suppress(OSError):
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", name, up))  # SIOCSIFFLAGS
