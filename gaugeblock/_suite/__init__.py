"""The suite, as a wheel carries it: private, and filled when the wheel is built. See docs/packaging.md."""
