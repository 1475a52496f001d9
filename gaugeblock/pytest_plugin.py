"""The pytest plugin of an installed Gaugeblock: it makes requirements tests where `gaugeblock.testing` asks for them.

Anybody's pytest imports it, so it imports nothing, and does nothing in a run without such a test. Its options begin with
``--gaugeblock-``, since projects have options called ``--device`` and ``--quick`` of their own.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gaugeblock-tests", "Gaugeblock: for tests with parametrize_with_checks")
    group.addoption("--gaugeblock-quick", action="store_true", help="few cases, each in one dtype")
    group.addoption("--gaugeblock-thorough", action="store_true", help="also the cases that take long")
    group.addoption("--gaugeblock-device", action="append", choices=["cpu", "cuda", "ptx"], help="where to test; repeatable")
    group.addoption("--gaugeblock-dtype", action="append", metavar="DTYPE", help="only cases in this dtype; repeatable")
    group.addoption("--gaugeblock-records", metavar="FILE", help="write all verdicts to FILE, for `gaugeblock report`")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gaugeblock(plan): a test of requirements; see gaugeblock.testing")
    if config.getoption("--gaugeblock-records") and not hasattr(config, "workerinput"):
        from gaugeblock.requirement_tests import Recorder

        config.pluginmanager.register(Recorder(config), "gaugeblock-recorder")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gaugeblock") is not None:
        # Its verdicts go into its report.
        vars(item)["callspec"].params["check"].properties = item.user_properties


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("gaugeblock")
    if marker is not None:
        from gaugeblock.requirement_tests import parametrize

        parametrize(metafunc, marker.args[0])
