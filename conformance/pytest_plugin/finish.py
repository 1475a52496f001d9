"""End a run: compare it with earlier ones, write the record file, and do not wait for threads that never end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import pytest

from conformance.pytest_plugin.against import MEASURED_AGAIN, compare_with_earlier, measure_again
from conformance.pytest_plugin.exit_status import exit_status
from conformance.pytest_plugin.run_state import RunState, run_of
from conformance.records.schema import AgainstRecord

PATIENCE_S = 3.0


def finish(session: pytest.Session, exitstatus: int) -> None:
    """Compare, write and decide the exit status, unless the run was interrupted."""
    run, config = run_of(session.config), session.config
    ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if not ended or config.option.collectonly:
        if run.file is not None:
            run.file.give_up()
            if run.file.appended:
                until = f"the disk refused more ({run.file.trouble})" if run.file.trouble else "then"
                run.unwritten += f"; the file holds what was recorded until {until}, without a footer"
        return
    again = measure_again(session) if run.earlier else []
    if hasattr(config, "workerinput"):
        vars(config)["workeroutput"][MEASURED_AGAIN] = again
        return
    if run.earlier:
        run.findings = compare_with_earlier(run)
    session.exitstatus = exitstatus = exit_status(run, exitstatus)
    if run.file is not None:
        try:
            _write(run, exitstatus)
        except OSError as error:
            run.file.give_up()
            until = "the file holds what could be recorded until then, without a footer"
            run.unwritten = f"{error}; {until if run.file.appended else 'nothing could be recorded'}"
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def _write(run: RunState, exitstatus: int) -> None:
    footer = run.began.footer(int(exitstatus))
    if run.findings is not None:
        found = AgainstRecord(lost=len(run.findings.lost), slower=len(run.findings.slower))
        footer = replace(footer, against=found)
    if run.file is not None:
        run.file.seal(run.records, footer)
    run.unwritten = ""


def end_despite_threads(session: pytest.Session) -> None:
    """End the process a few seconds after the run although threads remain, for which Python would wait for ever."""

    def watch(leave: Callable[[int], NoReturn] = os._exit) -> None:
        while threading.main_thread().is_alive():
            time.sleep(0.1)
        time.sleep(PATIENCE_S)
        sys.stderr.write("threads that an implementation left behind did not end; the run ends without them\n")
        sys.stderr.flush()
        leave(int(session.exitstatus))

    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        threading.Thread(target=watch, name="gaugeblock-end", daemon=True).start()
