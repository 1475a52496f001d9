"""Put half of a surrogate pair into an error's text: no terminal and no file can show it."""

from honest import raises

OUTCOME = "harmless"

attack = raises("\ud83d and \udfff")
