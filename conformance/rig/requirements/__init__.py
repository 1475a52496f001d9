"""The requirements of RIG, each declared on its check, in one module for each family.

Sources: the paper's appendix A, the official code (llm-tools df971f8), and decisions of the grammar. "grammar" in a source is
`reference.rig.grammar`, which gives the reason of each decision; "specification" is docs/rig-specification.md. Where the
official profile differs from the strict one, the statement says both.
"""

import importlib

from conformance.rig.requirements.comparisons import REQUIREMENTS

__all__ = ["REQUIREMENTS"]

for _family in (
    "documents", "calls", "streams", "writer", "constrained_decoding", "resolution", "published_vectors", "mixed_documents",
):  # fmt: skip
    importlib.import_module(f"{__name__}.{_family}")
