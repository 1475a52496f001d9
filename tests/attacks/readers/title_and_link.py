"""Set the terminal's title and make a link, in an error's text."""

from honest import raises

OUTCOME = "harmless"

attack = raises("\x1b]0;passed\x07\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\\x1b]52;c;cm0gLXJm\x07")
