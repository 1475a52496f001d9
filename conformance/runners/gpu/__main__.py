"""``python -m conformance.runners.gpu``."""

from conformance.runners.gpu.command import main

if __name__ == "__main__":
    raise SystemExit(main())
