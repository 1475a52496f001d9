"""Clear the screen, move the cursor and draw a summary of passes, in an error's text."""

from honest import raises

OUTCOME = "harmless"

attack = raises("\x1b[2J\x1b[H\x1b[8m rig/screen.attack conforms \x9b0m\r8 passed in 0.1s\x08\x08")
