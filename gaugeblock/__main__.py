"""``python -m gaugeblock``, the command ``gaugeblock`` where it is not installed."""

from __future__ import annotations

import sys

from gaugeblock.command import main

sys.exit(main())
