"""The AdEMAMix optimizer (arXiv:2409.03137) for torch.

    from gaugeblock.ademamix import AdEMAMix

    optimizer = AdEMAMix(model.parameters(), lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, weight_decay=0.1)

It is used as `torch.optim.AdamW` is. It needs torch: ``pip install 'gaugeblock[torch]'``.
"""

from __future__ import annotations

from gaugeblock.installation import need
from gaugeblock.public import publish

need("torch", by=__name__)

from impls.ademamix import AdEMAMix  # noqa: E402  (after the message about a missing torch)

__all__ = ["AdEMAMix"]

publish(globals())
