"""The pytest options and fixtures; what they do stands in conformance/pytest_plugin/plugin.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.benchmark.benchmark import Measurement, measure
from conformance.engine.mutation import Mutant
from conformance.engine.runner import RuledOut, TestCase
from conformance.pytest_plugin import plugin, workers


def pytest_addoption(parser: pytest.Parser) -> None:
    plugin.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if config.getoption("--list-impls"):
        print(plugin.list_implementations(config))
        return 0
    plugin.check_workers(config)
    plugin.outlive_crashes(config)
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    return workers.automatic(plugin.options_of(config).devices, plugin.measures_only(config))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    workers.assign(node.config, node)


def pytest_configure(config: pytest.Config) -> None:
    plugin.configure(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if plugin.ignores(collection_path, config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plugin.generate(metafunc)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    plugin.drop_empty(config, items)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    plugin.finish(session, exitstatus)
    plugin.end_in_spite_of_threads(session)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    workers.release(node.config, node)
    plugin.worker_ended(node.config, None if error else getattr(node, "workeroutput", None) or {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    plugin.summarise(terminalreporter, config)


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Callable[[TestCase | RuledOut], None]:
    """Examines, keeps the verdict for the records, and gives pytest its outcome."""
    return lambda one: plugin.take_up(one, request.node)


@pytest.fixture
def judge_mutant(request: pytest.FixtureRequest) -> Callable[[Mutant], None]:
    """Run every check on a mutant, and keep what came of it for the records."""
    return lambda mutant: plugin.judge_mutant(mutant, request.node)


@pytest.fixture
def take(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[Measurement], None]:
    """Measures, keeps the figures for the records, and shows them through pytest-benchmark."""
    return lambda measurement: plugin.conclude_measurement(measure(measurement), request.node, benchmark)
