"""``gaugeblock census FOLDER``: judge the public implementations of a table in checkouts that the user made."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gaugeblock.census_table import TABLE, CensusEntry
from gaugeblock.commands.parser import OneLineParser
from gaugeblock.commands.suite import QUIET, run_suite
from gaugeblock.installation import SUITE, CannotRun
from reports import census_reproduction, census_training

NOTHING_JUDGED = 5
OUTPUT = "gaugeblock-census"
ADAPTERS = "gaugeblock.census_adapters"
DONE = (0, 1)
"""pytest's codes of a run that came to its end; a verdict is what a census is about and no fault of it."""


@dataclass(frozen=True)
class FoundEntry:
    """An entry of the table, and what the folder has of it."""

    entry: CensusEntry
    commit: str = ""
    """That of the checkout; "" where it is none of git."""
    digest: str = ""
    """SHA-256 of the file, in hexadecimal; the same for copies."""
    spec: str = ""
    """What selects it, from the folder; "" where it is not judged."""
    reason: str = ""
    """Why it is not judged; "" where it is."""
    code: str = ""
    """SHA-256 of the object's code without layout, comments and documentation; the same for copies that were reformatted."""
    since: str = ""
    """The day of the first commit of the file, in the history that the checkout has; "" where it has none."""

    def to_json(self, same_as: Sequence[str] = ()) -> dict[str, Any]:
        """The metadata of one implementation, without a path outside the folder; ``same_as`` names the copies of its file."""
        entry = self.entry
        return {
            "repository": entry.repository,
            "commit": self.commit,
            "path": entry.path,
            "object": entry.target,
            "system": entry.system,
            "sha256": self.digest,
            "spec": self.spec,
            "not_run": self.reason,
            "names_source": entry.names_source,
            "same_as": list(same_as),
            "report": entry.report,
            "differs": entry.differs,
            "remark": entry.remark,
            "package": entry.package,
            "code_sha256": self.code,
            "since": self.since,
            "call": entry.call,
            "load": entry.load,
            "mend": entry.mend,
            "answer": entry.answer,
            "reported": entry.reported,
        }


def main(arguments: Sequence[str]) -> int:
    """Judge what is there; returns 0 where the run came to its end, 5 where nothing could be judged."""
    parser = OneLineParser(
        prog="gaugeblock census",
        description="Judge public implementations in a folder of checkouts, FOLDER/OWNER+NAME or FOLDER/OWNER/NAME. Their "
        "files are imported, each in a process of its own; nothing is fetched.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder of checkouts that you made")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only implementations whose name contains one of these")
    parser.add_argument("-o", "--output", metavar="DIR", help=f"default: {OUTPUT}")
    parser.add_argument("-n", default="1", metavar="N", help="so many processes")
    parser.add_argument("--level", action="append", default=[], metavar="LEVEL", help="only this level; repeatable")
    parser.add_argument("--quick", action="store_true", help="few cases, each in one dtype")
    parser.add_argument("--list", action="store_true", help="only say what is there and what is not; with -o, in a file too")
    parser.add_argument(
        "--reproduce",
        action="store_true",
        help="only run what repeats each without the suite, and keep how far both are apart",
    )
    parser.add_argument("--train", action="store_true", help="only train a small model with each; minutes on one core")
    options = parser.parse_args(arguments)
    folder = Path(options.folder).resolve()
    if not folder.is_dir():
        raise CannotRun(f"found no folder {options.folder}; expected one that holds checkouts, such as apple+ml-ademamix")
    found = [located(folder, entry) for entry in chosen(options.words)]
    print("\n".join(describe(each) for each in found))
    if options.list and not options.output:
        return 0
    output = Path(options.output or OUTPUT).resolve()
    output.mkdir(parents=True, exist_ok=True)
    write(output / "census.json", [each.to_json(copies_of(each, found)) for each in found])
    if options.reproduce:
        write(output / "reproductions.json", reproduce(folder, found))
    if options.train:
        write(output / "training.json", census_training.curves(apart(found), folder))
    return 0 if options.list or options.reproduce or options.train else judge(folder, output, found, options)


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def reproduce(folder: Path, found: Sequence[FoundEntry]) -> dict[str, dict[str, float | str]]:
    """How far each is from the second formula, by its name; of those that are there and can be called alone."""
    rows = {each.entry.name: each.to_json() for each in found if each.spec and each.entry.call}
    return {name: census_reproduction.distances(row, folder) for name, row in rows.items()}


def apart(found: Sequence[FoundEntry]) -> dict[str, dict[str, Any]]:
    """The rows of those that can be called alone, of copies of the code only the first."""
    first = {each.code: each for each in reversed(found) if each.spec and each.entry.call}
    return {each.entry.name: each.to_json() for each in reversed(first.values())}


def judge(folder: Path, output: Path, found: Sequence[FoundEntry], options: Any) -> int:
    """Test each distinct file once, and write the records; returns the exit code."""
    specs = list({(each.digest, each.entry.target): each.spec for each in reversed(found) if each.spec}.values())[::-1]
    if not specs:
        return NOTHING_JUDGED
    more = [f"--level={level}" for level in options.level] + ["--quick"] * options.quick
    # From the folder, so that records name what anybody can plug in again, and no place of this machine.
    with contextlib.chdir(folder):
        code = run_suite(
            str(SUITE / "conformance"), *QUIET, "-n", options.n, *more,
            *(f"--impl={spec}" for spec in specs), f"--records={output / 'verdicts.jsonl'}",
        )  # fmt: skip
    return 0 if code in DONE else code


def copies_of(one: FoundEntry, found: Sequence[FoundEntry]) -> list[str]:
    """The repositories of the others whose file is the same to the byte."""
    return [each.entry.repository for each in found if each is not one and one.digest and each.digest == one.digest]


def chosen(words: Sequence[str]) -> list[CensusEntry]:
    """The entries whose names contain one of these words, all without any. CannotRun where a word names none."""
    for word in words:
        if not any(word in entry.name for entry in TABLE):
            raise CannotRun(
                f"found {word!r}, which no implementation of the table contains; see gaugeblock census FOLDER --list"
            )
    return [entry for entry in TABLE if not words or any(word in entry.name for word in words)]


def located(folder: Path, entry: CensusEntry) -> FoundEntry:
    """What a folder of checkouts has of an entry."""
    owner, _, name = entry.repository.partition("/")
    places = [f"{owner}+{name}", f"{owner}/{name}"]
    place = next((each for each in places if (folder / each).is_dir()), "")
    if not place:
        return FoundEntry(entry, reason=entry.obstacle or f"no checkout: expected it at {places[0]} in the folder")
    commit = commit_of(folder / place)
    file = folder / place / entry.path
    if not file.is_file():
        return FoundEntry(
            entry, commit, reason=entry.obstacle or f"its checkout has no file {entry.path}; check out a commit that has"
        )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    code, since = code_digest(file, entry.target), first_commit(folder / place, entry.path)
    missing = [module for module in entry.requires if find_spec(module) is None]
    reason = entry.obstacle or (f"needs {', '.join(missing)}, which is not installed here" if missing else "")
    plug = f"{ADAPTERS}:{entry.adapter}" if entry.adapter else f"{place}/{entry.path}:{entry.target}"
    spec = "" if reason else f"{entry.system}={plug}"
    return FoundEntry(entry, commit, digest, spec, reason, code, since)


def commit_of(checkout: Path) -> str:
    """The commit of a checkout of git; "" of any other folder, also of one that lies in somebody else's checkout."""
    if not (checkout / ".git").exists():
        return ""
    return asked_of_git(checkout, "rev-parse", "HEAD")


def first_commit(checkout: Path, path: str) -> str:
    """The day on which the file was added at this path; "" of a folder without a history."""
    days = asked_of_git(checkout, "log", "--format=%cs", "--", path) if (checkout / ".git").exists() else ""
    return days.split()[-1] if days else ""


def asked_of_git(checkout: Path, *words: str) -> str:
    """What git prints in a checkout; "" where it fails."""
    asked = subprocess.run(["git", "-C", str(checkout), *words], capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""


def code_digest(file: Path, target: str) -> str:
    """SHA-256 of a definition's syntax tree without its documentation; "" where there is none of Python."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return ""
    node = next((each for each in tree.body if getattr(each, "name", "") == target), None)
    if node is None:
        return ""
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.ClassDef):
            each.body = each.body[1:] if ast.get_docstring(each, clean=False) is not None else each.body
            each.decorator_list = [] if each is node else each.decorator_list
    return hashlib.sha256(ast.dump(node).encode()).hexdigest()


def describe(found: FoundEntry) -> str:
    """One line for a terminal."""
    state = f"not run: {found.reason}" if found.reason else "to be judged"
    return f"{found.entry.name} at {found.commit[:7] or 'no commit'}: {state}"
