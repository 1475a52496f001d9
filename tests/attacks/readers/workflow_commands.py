"""Give commands to the machine of a CI, which reads them at the beginning of a line."""

import sys

from honest import raises

OUTCOME = "harmless"
COMMANDS = "\n::add-mask::x\n::stop-commands::y\n::error::z\n##[error]w\n::set-output name=a::b\n"

attack = raises(COMMANDS)
print(COMMANDS, file=sys.stderr)
print(COMMANDS, flush=True)
