"""Read a RAG answer: a list of questions, one a line, that Data Commons can be asked.

    from impls.rag import parse

    queries = parse(answer)

docs/rig-specification.md, section 8, is the definition.
"""

from __future__ import annotations

import re

from impls.rig.grammar import WHITE_SPACE, has_control, refuse_surrogates, require_text

MAX_QUERIES = 25
"""As many queries as the prompt asks for at most."""

_LIST_MARKER = re.compile(rf"(?:[-*+\u2022]|\(?[0-9]{{1,2}}\)|[0-9]{{1,2}}\.)(?=[{WHITE_SPACE}]|\Z)")


def parse(text: str) -> list[str]:
    """The queries, in the order of the text: without white space around them, each once, at most 25.

    Lines with a list marker or a control character inside are left out.
    ValueError for a lone surrogate, TypeError where the text is no str.
    """
    require_text(text)
    refuse_surrogates(text)
    queries: dict[str, None] = {}
    for line in text.split("\n"):
        query = line.strip(WHITE_SPACE)
        if query and not has_control(query) and not _LIST_MARKER.match(query):
            queries[query] = None
            if len(queries) == MAX_QUERIES:
                break
    return list(queries)
