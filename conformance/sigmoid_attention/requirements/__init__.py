"""The requirements of sigmoid attention, each declared on its check, in one module for each family.

"kernel" in a source is the published FlashSigmoid of apple/ml-sigmoid-attention (flash_attn_interface.py and its CUDA
sources), to which the paper's kernel sections refer; "reference" is reference/sigmoid_attention, for what follows from the
definition.
"""

import importlib

from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS

__all__ = ["REQUIREMENTS"]

# The order of the checks decides in which dtype a case runs where it runs in one alone (engine/selection.py, Turns).
for _family in (
    "definition", "masks", "inputs", "calls", "gradients", "statistics", "large", "option_gradients", "interactions",
):  # fmt: skip
    importlib.import_module(f"{__name__}.{_family}")
