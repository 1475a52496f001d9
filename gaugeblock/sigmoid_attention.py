"""Sigmoid attention (arXiv:2409.04431) for torch: the call and the module.

    from gaugeblock.sigmoid_attention import SigmoidAttention, sigmoid_attention

    output = sigmoid_attention(q, k, v, causal=True)  # (batch, heads, length, head_dim), as for torch's attention

It needs torch: ``pip install 'gaugeblock[torch]'``.
"""

from __future__ import annotations

from gaugeblock.installation import need
from gaugeblock.public import publish

need("torch", by=__name__)

from impls.sigmoid_attention import SigmoidAttention, sigmoid_attention  # noqa: E402  (after the message about a missing torch)

__all__ = ["SigmoidAttention", "sigmoid_attention"]

publish(globals())
