"""Find the implementations that a user names: listed ones, those of installed packages, and anything given by path.

Listing reads tables and package metadata only. Third-party code is imported only when ``--impl`` asks for it or when it is
about to be tested.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import importlib
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from conformance.engine.harness import harness_of
from conformance.engine.isolation import process_state_of
from impls.implementation import Implementation, Origin, PlugError, in_one_line, load_target
from impls.systems import SYSTEM_NAMES, SYSTEMS, system_named
from impls.triton_support import CHOSEN

ENTRY_POINT_GROUP = "gaugeblock.implementations"

UNIDENTIFIED = "unidentified"
"""The protocol of an implementation whose object has not been loaded yet; `identify` loads it."""

KINDS = {"built-in": "built in", "peers": "package", "installed": "entry point"}
"""The keywords of ``--impl``; each selects everything of that kind of origin."""


@dataclass(frozen=True)
class PlugFailure:
    """A plug that cannot be used; the rest of the run goes on without it."""

    spec: str
    message: str


@dataclass(frozen=True)
class Selection:
    """The implementations to test, in the order of the registries, and the plugs that could not be used."""

    implementations: tuple[Implementation, ...]
    failures: tuple[PlugFailure, ...] = ()


@functools.lru_cache(maxsize=1)
def registered() -> tuple[Implementation, ...]:
    """Every implementation of our own registries, system by system."""
    return tuple(
        implementation
        for system in SYSTEMS
        for implementation in importlib.import_module(f"impls.{system.name}.registry").IMPLEMENTATIONS
    )


def installed() -> Selection:
    """What installed packages offer under the entry-point group ``gaugeblock.implementations``; imports nothing.

    An entry point is named ``system.slug`` (``ademamix.mine``). One with another name is a failure of its own.
    """
    found, failures = [], []
    for entry_point in sorted(metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        system, _, slug = entry_point.name.replace("/", ".", 1).partition(".")
        distribution = entry_point.dist.name if entry_point.dist is not None else None
        if system not in SYSTEM_NAMES or not slug:
            known = ", ".join(SYSTEM_NAMES)
            failures.append(
                PlugFailure(
                    ENTRY_POINT_GROUP,
                    f"entry point {entry_point.name!r} of package {distribution}: expected a name 'system.slug', with system "
                    f"one of {known}; rename it in the package's metadata, e.g. '{SYSTEMS[0].name}.{entry_point.name}'",
                )
            )
            continue
        found.append(
            Implementation(
                name=f"{system}/{_safe(slug)}",
                system=system,
                target=entry_point.value,
                protocol=UNIDENTIFIED,
                summary=f"Offered by the installed package {distribution}.",
                origin=Origin("entry point", distribution),
            )
        )
    return Selection(tuple(found), tuple(failures))


def listed() -> tuple[Implementation, ...]:
    """The registries, then what installed packages offer; imports no implementation."""
    return registered() + installed().implementations


Described = tuple[Implementation, frozenset[str] | None]
"""An implementation, and the names of the fields that it declares; None for a record, which declares all."""
Describe = Callable[[str | None, str, str, str], Described]
"""Say what a target is: `described`, or the same in another process. Takes system, target, spec and selector."""


def described(system: str | None, target: str, spec: str, selector: str = "") -> Described:
    """Import a target and recognise it; ask a numeric program what it offers. PlugError where it cannot be used."""
    if target.startswith("cmd:"):
        from conformance.engine.numeric_command import described as described_by_program  # NumPy, which a list does without

        offered = described_by_program(target, str(system))
        return replace(_command(str(system), target, spec), settings={"untimed": UNTIMED}, **offered), None
    if os.environ.get(CHOSEN):  # a plug may compile its kernels as it is imported
        from conformance.engine.executed_ptx import install

        install()
    return _recognised_object(load_target(target), system, target, spec)


def select(specs: Sequence[str], describe: Describe = described) -> Selection:
    """The implementations that ``--impl`` arguments name; all that are listed where there is no argument.

    Each argument is a name or glob of listed ones (``ademamix/torch-eager``, ``ademamix/*``, ``triton``), a keyword
    (``built-in``, ``peers``, ``installed``), or a plug (``package.module:attribute``, ``path/to/file.py:attribute``,
    ``cmd:COMMAND``), before which ``SYSTEM=`` may stand. ``describe`` imports plugs and objects of installed packages.
    """
    offered = installed()
    known = registered() + offered.implementations
    # Faults of other packages do not concern a user who asks for one implementation by name.
    failures = list(offered.failures) if not specs or {"*", "installed"} & set(specs) else []
    chosen: dict[str, Implementation] = {}  # by what is loaded: the same thing named twice is one
    for spec in specs or ["*"]:
        try:
            with process_state_of(spec):
                resolved = _resolve(spec, known, describe)
            for implementation in resolved:
                chosen.setdefault(_identity(implementation), implementation)
        except Exception as error:
            failures.append(_failure(spec, error))
    identified: list[Implementation] = []
    for implementation in told_apart(list(chosen.values())):
        try:
            with process_state_of(implementation.selector):
                identified.extend(identify(implementation, describe))
        except Exception as error:
            failures.append(_failure(implementation.selector, error))
    identified.sort(key=lambda implementation: SYSTEM_NAMES.index(implementation.system))
    return Selection(tuple(identified), tuple(failures))


def _failure(spec: str, error: Exception) -> PlugFailure:
    """The failure in one line. Any error but PlugError was raised by the object itself."""
    words = str(error) if isinstance(error, PlugError) else f"could not be looked at: {type(error).__name__}: {error}"
    return PlugFailure(spec, in_one_line(words))


def _safe(slug: str) -> str:
    """A slug without brackets and quotes, which would have a meaning in the ids of tests and in commands."""
    return re.sub(r"[^A-Za-z0-9._+-]", "-", slug)


def _identity(implementation: Implementation) -> str:
    """The same for the same file, by whatever path it is given."""
    folder = _folder(implementation)
    _, _, rest = implementation.target.replace("\\", "/").rpartition("/")
    where = f"{folder}/{rest}" if folder else implementation.selector
    return f"{implementation.system}={where} {implementation.numerical_class}"


def _folder(implementation: Implementation) -> str:
    """The folder of a plug that is a file, from the root; "" for any other."""
    location = implementation.target.rpartition(":")[0]
    return Path(location).resolve().parent.as_posix() if implementation.origin.kind == "path" else ""


def told_apart(found: Sequence[Implementation]) -> list[Implementation]:
    """The same with names of their own: plugs that share one get the folders that tell them apart, or else a number."""
    named: dict[str, Implementation] = {}
    for one in found:
        others = [_folder(other).split("/") for other in found if other.name == one.name and other is not one]
        name, own = one.name, _folder(one).split("/")
        if others and own != [""]:
            depth = next((d for d in range(1, len(own)) if all(other[-d:] != own[-d:] for other in others)), len(own))
            name = f"{one.system}/{_safe('.'.join(filter(None, (*own[-depth:], one.name.partition('/')[2]))))}"
        base, number = name, 1
        while name in named:
            number += 1
            name = f"{base}-{number}"
        named[name] = one if name == one.name else replace(one, name=name, name_alone=one.name)
    return list(named.values())


def _resolve(spec: str, known: Sequence[Implementation], describe: Describe) -> Iterable[Implementation]:
    if ":" in spec:
        return plugs(spec, describe)
    matches = [implementation for implementation in known if names(spec, implementation.name, implementation.origin.kind)]
    if not matches and spec not in KINDS:
        every = [implementation.name for implementation in known]
        near = difflib.get_close_matches(spec, every + [name.split("/", 1)[1] for name in every], n=3)
        near = [f"'{spec}/*'"] if spec in SYSTEM_NAMES else near
        raise PlugError(
            f"no listed implementation is called {spec!r}"
            + (f"; did you mean {' or '.join(near)}?" if near else ".")
            + " See --list-impls; for your own code give 'package.module:attribute' or 'path/to/file.py:attribute'"
        )
    return matches


def names(spec: str, name: str, kind: str) -> bool:
    """Whether an ``--impl`` argument that is no plug selects the listed implementation of this name and kind of origin."""
    if spec in KINDS:
        return KINDS[spec] == kind
    return any(fnmatch.fnmatchcase(one, spec) for one in (name, name.partition("/")[2]))


def plug(spec: str) -> Implementation:
    """The implementation that one ``[SYSTEM=]TARGET`` argument describes; PlugError where it cannot be used."""
    return plugs(spec)[0]


def plugs(spec: str, describe: Describe = described) -> tuple[Implementation, ...]:
    """Like `plug`, then what is judged as an implementation of its own: dtypes in which it rounds differently (probing.py)."""
    system, target = _split_system(spec)
    if target.startswith("cmd:"):
        # A command does not say which system it implements. So RIG is the default, and RAG must be named.
        system = system or "rig"
        if not target.removeprefix("cmd:").strip():
            raise PlugError(f"found {spec!r}, expected a command line after 'cmd:', e.g. 'cmd:./my-parser'")
        try:
            words = shlex.split(target.removeprefix("cmd:"))
        except ValueError as error:
            raise PlugError(
                f"found {spec!r}, whose command line cannot be split into words: {error}; check its quotes"
            ) from error
        if shutil.which(words[0]) is None:
            raise PlugError(
                f"found the command {words[0]!r}, which cannot be started (looked from {Path.cwd()}); expected an executable "
                f"file, by path or on PATH"
            )
        if getattr(harness_of(system), "COMMANDS_DESCRIBE", False):
            return (describe(system, target, spec, spec)[0],)
        return (_command(system, target, spec),)
    return _tried(*describe(system, target, spec, spec))


def _command(system: str, target: str, spec: str) -> Implementation:
    words = shlex.split(target.removeprefix("cmd:"))
    slug = Path(next((word for word in reversed(words) if not word.startswith("-")), words[-1])).name
    return Implementation(
        name=f"{system}/cmd.{_safe(slug)}",
        system=system,
        target=target,
        protocol="command",
        summary=f"The command line {target.removeprefix('cmd:')!r}, called through JSON lines.",
        dtypes=(),
        origin=Origin("command"),
        spec=spec,
    )


def _split_system(spec: str) -> tuple[str | None, str]:
    head, separator, tail = spec.partition("=")
    if separator and head.isidentifier():
        try:
            return system_named(head).name, tail
        except ValueError as error:
            raise PlugError(f"found {spec!r}: {error}") from None
    return None, spec


def identify(implementation: Implementation, describe: Describe = described) -> tuple[Implementation, ...]:
    """The implementation with its protocol, then what `plugs` adds; loads the object only where the protocol is not known."""
    if implementation.protocol != UNIDENTIFIED:
        return (implementation,)
    found, declared = describe(implementation.system, implementation.target, "", implementation.selector)
    named = replace(
        found,
        name=implementation.name,
        name_alone=implementation.name_alone,
        summary=found.summary if found.origin.kind == "record" else implementation.summary,
        origin=implementation.origin,
        spec="",
    )
    first, *rest = _tried(named, declared)
    # Selected by the name of the entry point, which gives all.
    return first, *(replace(each, spec=implementation.name) for each in rest)


def _tried(implementation: Implementation, declared: frozenset[str] | None) -> tuple[Implementation, ...]:
    """The implementation with what trying it finds, then what `plugs` adds to it. A record is not tried."""
    if declared is None:
        return (implementation,)
    from conformance.engine.probing import probed  # it needs the checks, and so NumPy, which a list does without

    return probed(implementation, declared)


def _recognised_object(loaded: Any, system: str | None, target: str, spec: str) -> Described:
    if isinstance(loaded, Implementation):
        if system is not None and loaded.system != system:
            raise PlugError(f"{target} is a record for {loaded.system}, but was given as {system}; drop '{system}='")
        return replace(loaded, spec=spec or loaded.spec), None
    declared = _declared(loaded, target)
    settings = declared.get("settings", {})
    candidates, refusals = _recognised(loaded, target, [system] if system else SYSTEM_NAMES, settings)
    if len(candidates) != 1:
        if not candidates and refusals:
            raise refusals[0]
        others = list(_recognised(loaded, target, SYSTEM_NAMES, settings)[0]) if system else []
        raise PlugError(_confusion(loaded, target, list(candidates), system, others))
    ((name, fields),) = candidates.items()
    fields = {**fields, **declared}
    location, _, attribute = target.rpartition(":")
    stem = Path(location).stem if location.endswith(".py") else location
    defaults: dict[str, Any] = {
        "name": f"{name}/{_safe(f'{stem}.{attribute}')}",
        "system": name,
        "target": target,
        "summary": f"{_kind(loaded).capitalize()} {attribute} of {Path(location).name if stem != location else location}.",
        "origin": Origin("path" if location.endswith(".py") else "module"),
        "spec": spec,
    }
    return Implementation(**{**defaults, **fields}), frozenset(declared)


def _recognised(
    loaded: Any, target: str, systems: Iterable[str], settings: Mapping[str, Any]
) -> tuple[dict[str, Mapping[str, Any]], list[PlugError]]:
    """The fields of a record from each system that recognises the object, and why others nearly do."""
    candidates: dict[str, Mapping[str, Any]] = {}
    refusals: list[PlugError] = []
    for name in systems:
        try:
            fields = harness_of(name).recognise(loaded, target, settings)
        except PlugError as error:
            refusals.append(error)
            continue
        if fields is not None:
            candidates[name] = fields
    return candidates, refusals


UNTIMED = "is a program that gets its arrays through a pipe, whose time would be measured too"

DECLARATION = "gaugeblock"
"""The attribute in which an object declares what would otherwise be guessed: a plain dict, which needs no import of ours."""

_DECLARABLE = ("dtypes", "devices", "features", "numerical_class", "settings", "summary", "documentation")


def _declared(loaded: Any, target: str) -> dict[str, Any]:
    declared = getattr(loaded, DECLARATION, {})
    if not isinstance(declared, Mapping) or (unknown := sorted(set(map(str, declared)) - set(_DECLARABLE))):
        found = f"the keys {', '.join(unknown)}" if isinstance(declared, Mapping) else f"a {type(declared).__name__}"
        raise PlugError(f"{target}.{DECLARATION}: found {found}, expected a dict with keys among {', '.join(_DECLARABLE)}")
    fields = dict(declared)
    for name, container in (("dtypes", tuple), ("devices", tuple), ("features", frozenset)):
        if isinstance(fields.get(name), str):
            raise PlugError(f"{target}.{DECLARATION}[{name!r}]: found the text {fields[name]!r}, expected a list of words")
        if fields.get(name) is not None:
            fields[name] = container(fields[name])
    if not isinstance(fields.get("settings", {}), Mapping):
        raise PlugError(f"{target}.{DECLARATION}['settings']: found {fields['settings']!r}, expected a dict")
    # Declaring a feature takes nothing away from what is found. An `Implementation` record alone says that there is no other.
    fields["promised"] = fields.pop("features", None) or frozenset()
    return fields


def _kind(loaded: Any) -> str:
    return "class" if isinstance(loaded, type) else "function" if callable(loaded) else "object"


FORMS = {
    "ademamix": "a torch.optim.Optimizer subclass or an optax-style factory",
    "sigmoid_attention": "f(q, k, v, ...)",
    "rig": "parse(text) that returns a list of (query, value, start, end)",
    "rag": "parse(text) that returns a list of strings",
}
"""What an object of each system may be; docs/plugging-in.md has the details."""


def _confusion(loaded: Any, target: str, candidates: list[str], system: str | None, others: list[str]) -> str:
    """Why an object fits no system, or several. ``others`` are those that would accept what was given as ``system``."""
    what = f"a {_kind(loaded)}" if callable(loaded) else f"an object of type {type(loaded).__name__}"
    found = f"{target} is {what}"
    if candidates:
        ways = " or ".join(f"--impl '{name}={target}'" for name in candidates)
        return f"{found} that could be {' or '.join(candidates)}; say which: {ways}"
    if others:
        ways = " or ".join(f"--impl '{name}={target}'" for name in others)
        said = f"{found} that was given as {system} and looks like {' or '.join(others)}"
        return f"{said}; expected {FORMS[str(system)]}, or {ways}"
    forms = {name: form for name, form in FORMS.items() if system in (None, name)}
    wanted = ", ".join(f"{form} ({name})" for name, form in forms.items())
    which = f" as {system}" if system else ""
    return f"{found}, which fits no known form{which}; expected {wanted}, or an Implementation record. See docs/plugging-in.md"
