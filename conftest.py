"""Load the suite's pytest plugin, and the one for requirements as tests, which an installed package brings by itself."""

pytest_plugins = ["conformance.pytest_plugin.plugin", "gaugeblock.pytest_plugin"]
