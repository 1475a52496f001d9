"""Load the suite's pytest plugin."""

pytest_plugins = ["conformance.pytest_plugin.plugin"]
