"""Hold the place of a record file while its run goes on, so that a run that dies never looks like one that ended.

The file is claimed before anything is tested: an earlier run's file moves aside, and what cannot be written is found out. Each
record is appended as it comes. A run that ends replaces all this by the whole, sealed file. A run that dies leaves what was
recorded until then, without a footer: `conformance.records.io.read` refuses it, and reads it as a part where it is asked to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from conformance.records import io
from conformance.records.fields import Record, RecordError
from conformance.records.schema import FooterRecord, HeaderRecord

PREVIOUS = ".previous"
"""Added to the name of an earlier run's file while a new run goes on."""
CUT_SHORT = ".cut-short"
"""Added to the name of what a run left that died, where there is an earlier whole one."""


class ClaimedFile:
    """One record file of a run that goes on. OSError where it cannot be written."""

    def __init__(self, path: str | Path, header: Callable[[], HeaderRecord]) -> None:
        # A link stays one: what it leads to is written.
        self.target = Path(os.path.realpath(path))
        self.previous = self.target.with_name(self._with(PREVIOUS))
        self._header = header
        self._file: IO[bytes] | None = None
        self.appended = 0
        self.trouble = ""
        """Why a record could not be appended; empty where all were."""
        io.check_replaceable(self.target)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        if self.target.exists():
            # Where the last run died too, what it left must not take the place of the last whole run.
            twice = self.previous.exists() and not _is_sealed(self.target)
            os.replace(self.target, self.target.with_name(self._with(CUT_SHORT)) if twice else self.previous)
        try:
            self._file = self.target.open("xb")
        except OSError:
            self._put_back()
            raise

    def append(self, record: Record) -> None:
        """Add a record, and the header before the first. A failure is kept in ``trouble``: the run goes on."""
        if self._file is None or self.trouble:
            return
        try:
            lines = [record.to_json()] if self.appended else [self._header().to_json(), record.to_json()]
            self._file.write(b"".join(io.encoded(line) for line in lines))
            self._file.flush()
            self.appended += 1
        except OSError as error:
            self.trouble = str(error)

    def seal(self, records: Iterable[Record], footer: FooterRecord) -> None:
        """Replace the file by the whole one. OSError where that fails; then what was appended stays."""
        self._close()
        if self.target.is_symlink():  # it was none when it was claimed, and might lead to anybody's file
            raise OSError(f"{self.target} was replaced by a link while the run went on")
        io.write(self.target, self._header(), records, footer)
        self.previous.unlink(missing_ok=True)

    def give_up(self) -> None:
        """End a run that was cut short: what was appended stays; where nothing was, the earlier file is put back."""
        self._close()
        if not self.appended:
            self._put_back()

    def _with(self, ending: str) -> str:
        return self.target.name[: 255 - len(ending)] + ending

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()  # which writes once more what a full disk has refused
            except OSError as error:
                self.trouble = self.trouble or str(error)

    def _put_back(self) -> None:
        self.target.unlink(missing_ok=True)
        if self.previous.exists():
            os.replace(self.previous, self.target)


def _is_sealed(file: Path) -> bool:
    try:
        io.read(file)
    except RecordError:
        return False
    return True
