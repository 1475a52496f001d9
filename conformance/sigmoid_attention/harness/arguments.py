"""Pass options to a function under its own names, read from its signature; what it does not accept is Unsupported."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from impls.implementation import Unsupported

NAMES: dict[str, tuple[str, ...]] = {
    "scale": ("scale", "softmax_scale", "sm_scale", "logits_scale"),
    "bias": ("bias", "sigmoid_bias", "logit_bias", "attn_bias"),
    "causal": ("causal", "is_causal"),
    "window": ("window", "window_size"),
    "alibi_slopes": ("alibi_slopes",),
    "cu_seqlens_q": ("cu_seqlens_q",),
    "cu_seqlens_k": ("cu_seqlens_k",),
    "key_lengths": ("key_lengths", "seq_lens_k", "seqlens_k", "key_len"),
}
"""Every name that an option goes by, ours first."""

QUERY_NAMES = (("q", "query", "queries"), ("k", "key", "keys"), ("v", "value", "values"))


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature by which a function is called; for an instance of torch.nn.Module, that of its ``forward``.

    Raises TypeError or ValueError where it has none, as inspect.signature does.
    """
    if any(kind.__module__.startswith("torch.nn.") and kind.__name__ == "Module" for kind in type(function).__mro__):
        return inspect.signature(function.forward)  # type: ignore[attr-defined]
    return inspect.signature(function)


class AttentionArguments:
    """Turns options into keyword arguments of one function. ``names`` overrides how an option is called there."""

    def __init__(self, function: Callable[..., Any], names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})
        try:
            parameters = signature_of(function).parameters.values()
        except (TypeError, ValueError):
            # Built-in functions may have no signature: they are given our own names and may refuse.
            self._accepts_all, self._accepted = True, frozenset[str]()
            return
        self._accepts_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self._accepted = frozenset(p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))

    def accepts(self, option: str) -> bool:
        """Whether the function takes this option under any known name."""
        return self.name_of(option) is not None

    def name_of(self, option: str) -> str | None:
        """What the function calls an option; None where it has no such argument."""
        if option in self._names:
            return self._names[option]
        for name in NAMES.get(option, (option,)):
            if name in self._accepted:
                return name
        return option if self._accepts_all else None

    def refused(self, keywords: Mapping[str, Any], error: TypeError) -> str | None:
        """The option that a function which takes any keyword refused by itself, as its error says; None where it says none."""
        guessed = [name for name in keywords if name not in self._accepted and name not in self._names.values()]
        return next((name for name in guessed if re.search(rf"\b{re.escape(name)}\b", str(error))), None)

    def keywords(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options by the function's own names.

        None and False mean "not asked for" and are left out where no argument has that name, and so is a bias of 0 where the
        function takes no further keywords; None is always left out, so that the function's own default for the scale is what
        gets tested. Anything else that is not accepted raises Unsupported.
        """
        given = {}
        for option, value in options.items():
            if value is None:
                continue
            name = self.name_of(option)
            if value is False and name not in self._accepted and option not in self._names:
                continue  # a function that looks at its ``**kwargs`` itself may refuse even this
            if name is not None:
                given[name] = value
            elif not (option == "bias" and isinstance(value, int | float) and value == 0):
                raise Unsupported(f"does not accept {option}")
        return given
