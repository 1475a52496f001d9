"""End a table and a block of code, and draw a heading and a link, in an error's text."""

from honest import raises

OUTCOME = "harmless"

attack = raises("``` | x |\n\n# All passed\n\n[all passed](javascript:alert(1)) ![x](https://evil.example/x.png) <b>x</b> ~~~")
