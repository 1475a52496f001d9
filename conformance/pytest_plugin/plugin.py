"""The pytest hooks and fixtures of the suite; each calls the module that does the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.benchmark.workload import BenchmarkCase
from conformance.engine.mutation import Mutant
from conformance.engine.runner import RuledOut, TestCase
from conformance.pytest_plugin import against, finish, measuring, options, outcomes, supervisor, workers
from conformance.pytest_plugin.failure_blocks import few_blocks, hide_from_list
from conformance.pytest_plugin.gatherer import NAME, Gatherer
from conformance.pytest_plugin.items import drop_empty, generate, ignores, take_turns
from conformance.pytest_plugin.list_impls import list_implementations
from conformance.pytest_plugin.measuring import Measuring
from conformance.pytest_plugin.run_state import check_implementations, run_of, start_run
from conformance.pytest_plugin.terminal_summary import look_for_causes, summarise, write_speeds
from impls.triton_support import interpret_without


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if config.getoption("--list-impls"):
        print(list_implementations(config.getoption("--impl")))
        return 0
    workers.check(config, options.options_of(config).devices, options.measures_only(config))
    workers.outlive_crashes(config)
    return supervisor.supervise(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    return workers.automatic(options.options_of(config).devices, options.measures_only(config))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    workers.assign(node.config, node)


def pytest_configure(config: pytest.Config) -> None:
    workers.take_device(config)
    interpret_without(config.getoption("--device"))
    if hasattr(config, "workerinput") and not options.measures_only(config):
        # Workers already share the cores, so torch gets one thread in each. NumPy, loaded earlier, keeps its number of
        # threads: another number would change the last digit of its products, and so of the margins.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    options.check_options(config)
    start_run(config)
    config.pluginmanager.register(Gatherer(config), NAME)
    config.pluginmanager.register(_BetweenTheParts())
    config.pluginmanager.register(Measuring(config), measuring.NAME)


def pytest_sessionstart(session: pytest.Session) -> None:
    # The process that leads workers checks for all of them, before it starts any.
    if not hasattr(session.config, "workerinput"):
        run = run_of(session.config)
        if not session.config.option.collectonly:
            run.claim()
        try:
            check_implementations(run)
        except pytest.UsageError:
            # No session begins, so that nothing else would give an earlier file back.
            if run.file is not None:
                run.file.give_up()
            raise


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if ignores(collection_path, config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    generate(metafunc)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    drop_empty(items)
    if options.measures_only(config):
        take_turns(items)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say what was found by trying out the plugs that declare nothing."""
    tested = run_of(config).selection_if_needed.implementations
    return [f"{each.name}: found by trying: {'; '.join(each.found)}" for each in tested if each.found]


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
    run = run_of(session.config)
    if not hasattr(session.config, "workerinput"):
        look_for_causes(run)
    # Nothing that was tested runs any more when the records are sealed, and nothing of it is called after that.
    run.isolated.close()
    finish.finish(session, exitstatus)
    finish.end_despite_threads(session)
    yield
    supervisor.report_end(session.config, session.exitstatus)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    workers.release(node.config, node)
    if error:
        node.config.pluginmanager.getplugin(NAME).count_death()
    else:
        output = getattr(node, "workeroutput", None) or {}
        against.merge_takes(run_of(node.config), output.get(against.MEASURED_AGAIN) or [])


class _BetweenTheParts:
    """Called after pytest's blocks of detail, and before pytest-benchmark's tables and pytest's list of failed tests."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        hide_from_list(terminalreporter)
        write_speeds(terminalreporter, run_of(config))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, object, object]:
    with few_blocks(terminalreporter):
        result = yield
    summarise(terminalreporter, run_of(config))
    return result


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Callable[[TestCase | RuledOut], None]:
    """Run a test case, record the verdict, and give pytest the outcome."""
    return lambda one: outcomes.judge(one, request.node)


@pytest.fixture
def judge_mutant(request: pytest.FixtureRequest) -> Callable[[Mutant], None]:
    """Run every check on a mutant, and record the result."""
    return lambda mutant: outcomes.judge_mutant(mutant, request.node)


@pytest.fixture
def measured(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[BenchmarkCase], None]:
    """Measure a benchmark case, record the result, and show it through pytest-benchmark."""
    paced: Measuring = request.config.pluginmanager.getplugin(measuring.NAME)
    return lambda case: outcomes.conclude_measurement(paced.measure(case), request.node, benchmark)
