"""Run a script in the page of the report, from an error's text."""

from honest import raises

OUTCOME = "harmless"

attack = raises("</script></pre></td>--><script>alert(1)</script><img src=x onerror=alert(1)>")
