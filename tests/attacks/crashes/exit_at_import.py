"""End the process with status 0 while the plug is imported."""

import os

OUTCOME = "refused"

os._exit(0)
