"""Compile Triton kernels as launches would: described in words, or taken from a call that launches them."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gaugeblock.inspection.architecture import HOPPER, Architecture
from gaugeblock.inspection.kernel import InspectedKernel
from gaugeblock.inspection.machine_code import read
from gaugeblock.installation import CannotRun
from impls.implementation import load_target

DTYPES = {
    "float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int64": "i64", "int32": "i32",
    "int16": "i16", "int8": "i8", "uint8": "u8", "bool": "i1", "float8_e4m3fn": "fp8e4nv", "float8_e5m2": "fp8e5",
}  # fmt: skip
"""Triton's names of torch's dtypes."""

KERNEL_KINDS = ("JITFunction", "Autotuner", "Heuristics")
LAUNCH_OPTIONS = ("num_warps", "num_stages", "num_ctas", "maxnreg")


@dataclass(frozen=True)
class Launch:
    """A kernel with the type of each parameter ("constexpr" for constants), the constants, and the options of a launch.

    ``divisible`` names the parameters that are multiples of 16: pointers by their address.
    """

    kernel: Any
    types: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    divisible: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)

    def compiled(self, architecture: Architecture = HOPPER) -> Any:
        """What Triton makes of it; its errors are passed on."""
        import triton

        places = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(self.types) if name in self.divisible}
        source = triton.compiler.ASTSource(self.kernel, dict(self.types), dict(self.constants), places)
        target = triton.backends.compiler.GPUTarget("cuda", architecture.capability, 32)
        return triton.compile(source, target=target, options=dict(self.options))

    @property
    def variant(self) -> str:
        """Dtypes, constants and options in words."""
        kinds = [f"{name} {kind}" for name, kind in self.types.items() if kind.startswith("*")]
        chosen = [f"{name} {value}" for name, value in {**self.constants, **self.options}.items()]
        return ", ".join(kinds + chosen)

    def inspected(self, architecture: Architecture = HOPPER) -> InspectedKernel:
        """The compiled kernel, read. CannotRun where it does not compile."""
        try:
            made = self.compiled(architecture)
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            what = f"{type(error).__name__}: {' '.join(lines)[:300]}"
            raise CannotRun(f"{name_of(self.kernel)} does not compile for {architecture.name}: {what}") from None
        (code,) = read(made.asm["cubin"])
        threads = 32 * made.metadata.num_warps
        return InspectedKernel(name_of(self.kernel), self.variant, code, threads, int(made.metadata.shared), architecture)


def is_kernel(found: Any) -> bool:
    """Whether something is a Triton kernel, tuned or not."""
    return type(found).__name__ in KERNEL_KINDS and type(found).__module__.startswith("triton.")


def only_kernel(file: str) -> Any:
    """The kernel of a file that has one. CannotRun names the kernels where it has several, PlugError what cannot be read."""
    place = str(Path(file).resolve())
    found = {name: value for name, value in load_target(f"{file}:__dict__").items() if is_kernel(value)}
    own = {name: value for name, value in found.items() if innermost(value).fn.__code__.co_filename == place}
    if len(own) != 1:
        what = f"{len(own)} Triton kernels: {', '.join(own)}" if own else "no Triton kernel"
        raise CannotRun(f"{file} has {what}; expected the name of one, as in {file}:{next(iter(own), 'NAME')}")
    return next(iter(own.values()))


def name_of(kernel: Any) -> str:
    """The name of a kernel's function."""
    return str(getattr(innermost(kernel), "__name__", kernel))


def innermost(kernel: Any) -> Any:
    """The kernel itself, without what tunes it."""
    while type(kernel).__name__ in KERNEL_KINDS[1:]:
        kernel = kernel.fn
    return kernel


def described(kernel: Any, words: str) -> Launch:
    """The launch that words such as ``"x=*fp32 n=i32 BLOCK=1024 num_warps=4"`` describe.

    Pointers are multiples of 16, and so is an ``i32:16``. CannotRun names the parameters that are missing or unknown.
    """
    own = innermost(kernel)
    given = dict(word.partition("=")[::2] for word in words.replace(",", " ").split())
    options = {name: ast.literal_eval(given.pop(name)) for name in LAUNCH_OPTIONS if name in given}
    types, constants, divisible = dict[str, str](), dict[str, Any](), set[str]()
    missing = []
    for parameter in own.params:
        name = parameter.name
        word = given.pop(name, None)
        if word is None and not (parameter.is_constexpr and parameter.has_default):
            missing.append(name)
        elif parameter.is_constexpr or word is None or _is_value(word):
            types[name], constants[name] = "constexpr", parameter.default if word is None else _value(word)
        else:
            types[name], _, multiple = word.partition(":")
            if multiple or word.startswith("*"):
                divisible.add(name)
    if missing or given:
        found = f"nothing for {', '.join(missing)}" if missing else f"{', '.join(given)}, which it does not have"
        names = " ".join(f"{p.name}={'VALUE' if p.is_constexpr else 'TYPE'}" for p in own.params)
        raise CannotRun(f"found {found}; expected --with '{names}' of {name_of(own)}, with types like *fp32, i32 and fp32")
    return Launch(own, types, constants, frozenset(divisible), options)


def _is_value(word: str) -> bool:
    return not isinstance(_value(word), str)


def _value(word: str) -> Any:
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word


def recorded(call: Callable[[], Any]) -> list[Launch]:
    """The launches that a call makes, none of which is carried out; each of a tuner's configurations is one."""
    launches: list[Launch] = []

    def run(self: Any, *arguments: Any, grid: Any = None, warmup: bool = False, **keywords: Any) -> None:
        launches.append(_launch(self, arguments, keywords))

    def run_each(self: Any, *arguments: Any, **keywords: Any) -> None:
        for config in self.configs:
            self.fn.run(*arguments, **{**keywords, **config.all_kwargs()})

    from triton.runtime.autotuner import Autotuner
    from triton.runtime.jit import JITFunction

    with _replaced(JITFunction, run), _replaced(Autotuner, run_each):
        call()
    return list({(name_of(launch.kernel), launch.variant, str(launch.types)): launch for launch in launches}.values())


@contextlib.contextmanager
def _replaced(owner: Any, function: Callable[..., Any]) -> Iterator[None]:
    before = owner.run
    owner.run = function
    try:
        yield
    finally:
        owner.run = before


def _launch(kernel: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Launch:
    """The launch with these arguments, specialised as Triton does: 1 is a constant, multiples of 16 are marked."""
    given = {**dict(zip(kernel.arg_names, arguments, strict=False)), **keywords}
    options = {name: value for name, value in given.items() if name in LAUNCH_OPTIONS and value is not None}
    types, constants, divisible = dict[str, str](), dict[str, Any](), set[str]()
    for parameter in kernel.params:
        name = parameter.name
        value = given.get(name, parameter.default if parameter.has_default else None)
        kind = "constexpr" if parameter.is_constexpr else _type_of(name, value, bool(parameter.do_not_specialize))
        types[name] = kind
        if kind == "constexpr":
            constants[name] = getattr(value, "value", value) if type(value).__name__ == "constexpr" else value
        elif not parameter.do_not_specialize and _is_divisible(value):
            divisible.add(name)
    return Launch(kernel, types, constants, frozenset(divisible), options)


def _type_of(name: str, value: Any, plain: bool) -> str:
    if hasattr(value, "data_ptr"):
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype in DTYPES:
            return f"*{DTYPES[dtype]}"
    elif value is None or (type(value) is int and value == 1 and not plain):
        return "constexpr"
    elif isinstance(value, bool):
        return "i1"
    elif isinstance(value, int):
        return "i32" if -(2**31) <= value < 2**31 else "i64"
    elif isinstance(value, float):
        return "fp32"
    raise CannotRun(f"found a {type(value).__name__} for {name}, expected a tensor, a number or None; describe it by --with")


def _is_divisible(value: Any) -> bool:
    if hasattr(value, "data_ptr"):
        return int(value.data_ptr()) % 16 == 0
    return isinstance(value, int) and not isinstance(value, bool) and value % 16 == 0
