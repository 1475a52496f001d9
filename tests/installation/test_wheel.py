"""A wheel puts one name into an environment, and works in a folder that has packages with all our other names."""

from __future__ import annotations

import re
import shlex
import sys
import zipfile
from pathlib import Path

import pytest

from tests.installation import wheels

RIG = """
import pickle, sys, typing
import gaugeblock.rag, gaugeblock.rig as rig
text = 'It is [__DC__("how high") --> "8849 m"].'
found = pickle.loads(pickle.dumps(rig.parse(text)))
assert [type(event).__name__ for event in found] == ["Text", "Annotation", "Text"], found
assert b"gaugeblock.rig" in pickle.dumps(found) and b"_suite" not in pickle.dumps(found)
for name in rig.__all__:
    if isinstance(getattr(rig, name), type):
        typing.get_type_hints(getattr(rig, name))
roots = {name.partition(".")[0] for name in sys.modules}
print(roots - set(sys.stdlib_module_names) - {"gaugeblock", "__main__"} or "nothing else")
"""

TRAINING = """
import pickle, sys, torch
from gaugeblock.ademamix import AdEMAMix
from gaugeblock.sigmoid_attention import SigmoidAttention, sigmoid_attention
model = SigmoidAttention(8, 2, max_length=4)
optimizer = AdEMAMix(model.parameters(), lr=1e-3)
model(torch.ones(1, 4, 8)).sum().backward()
optimizer.step()
torch.save(model, "model.pt")
assert type(torch.load("model.pt", weights_only=False)) is SigmoidAttention
assert AdEMAMix.__module__ == "gaugeblock.ademamix" and sigmoid_attention.__module__ == "gaugeblock.sigmoid_attention"
assert type(pickle.loads(pickle.dumps(optimizer))) is AdEMAMix
print(sorted({name for name in sys.modules if name.startswith("gaugeblock._suite.") and "._suite.impls" not in name}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(wheels.build(tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with what our tests have."""
    return Path(wheels.install(wheel, tmp_path_factory.mktemp("full"), with_packages=True))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(wheels.foreign_project(tmp_path / "theirs"))


def test_a_wheel_holds_one_name_and_none_of_the_names_of_the_checkout(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"gaugeblock"}
        carried = {f"_suite/{name}" for name in wheels.tracked() if name.startswith(tuple(f"{n}/" for n in wheels.OURS))}
        assert {"_suite/impls/ademamix/csrc/device.cu", "_suite/reports/web/style.css"} <= carried
        assert {f"gaugeblock/{name}" for name in {"py.typed"} | carried} <= set(names)
        imports = re.compile(rf"^\s*(?:from|import) (?:{'|'.join(wheels.OURS)})\b", re.M)
        dotted = re.compile(r"""["'](?:conformance|impls|reference)\.[a-z{"']""")
        for name in names:
            if name.endswith(".py"):
                source = archive.read(name).decode()
                compile(source, name, "exec")
                assert not imports.search(source), name
                assert not dotted.search(source), name


def test_a_bare_install_has_the_parsers_and_needs_nothing_but_python(wheel: Path, tmp_path: Path, project: Path) -> None:
    python = wheels.install(wheel, tmp_path / "bare", with_packages=False)
    packages = wheels.site_packages(tmp_path / "bare")
    assert sorted(p.name for p in packages.iterdir() if not p.name.endswith(".dist-info")) == ["gaugeblock"]
    done = wheels.run(python, project, "-c", RIG)
    assert (done.stdout, done.stderr) == ("nothing else\n", "")
    done = wheels.run(python.with_name("gaugeblock"), project, "lint", "rag", "--quiet", "-")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    done = wheels.run(python.with_name("gaugeblock"), project, "check", "numpy")
    assert done.stderr.startswith("gaugeblock check: it needs numpy, which is not installed here; get it with: pip ")
    done = wheels.run(python, project, "-c", "import gaugeblock.ademamix")
    assert done.stderr.splitlines()[-1] == (
        "ImportError: gaugeblock.ademamix needs torch, which is not installed here; "
        "get it with: pip install 'gaugeblock[torch]'"
    )


def test_our_optimizer_and_attention_train_beside_packages_of_our_names(python: Path, project: Path) -> None:
    done = wheels.run(python, project, "-c", TRAINING)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_types_are_followed_in_the_wheel(python: Path, project: Path) -> None:
    (project / "typed.py").write_text(
        "from gaugeblock.ademamix import AdEMAMix\nfrom gaugeblock.rig import Annotation, parse\n"
        "reveal_type(AdEMAMix.from_adamw)\nreveal_type([e.query for e in parse('') if isinstance(e, Annotation)])\n"
    )
    (project / "mypy.ini").write_text("[mypy]\nfollow_imports = silent\n[mypy-torch.*]\nfollow_imports = skip\n")
    words = ["-m", "mypy", "--python-executable", str(python), "--cache-dir", "cache", "typed.py"]
    done = wheels.run(Path(sys.executable), project, *words)
    optimizer, queries = done.stdout.splitlines()[:2]
    assert re.search(r"-> .*AdEMAMix", optimizer)
    assert "list[str]" in queries


def test_the_suite_runs_in_a_folder_with_packages_of_our_names(python: Path, project: Path) -> None:
    command = python.with_name("gaugeblock")
    theirs = everything_in(project)
    done = wheels.run(
        command, project, "check", "rig=parser.py:parse", "rig=impls.parser:parse", PYTEST_ADDOPTS="--no-such-option"
    )
    assert re.search(r"rig/parser.parse +conforms ", done.stdout), done.stdout + done.stderr
    assert re.search(r"rig/impls.parser.parse +conforms ", done.stdout), done.stdout + done.stderr
    assert everything_in(project) == theirs


def test_a_failure_in_the_wheel_is_reproduced_by_the_command_that_it_names(python: Path, project: Path) -> None:
    command = python.with_name("gaugeblock")
    (project / "wrong.py").write_text("def parse(text):\n    return []\n")
    done = wheels.run(command, project, "check", "rig=wrong.py:parse", "-k", "RIG-01", "-n1", "--records=run.jsonl")
    named = re.search(r"reproduce +gaugeblock (check .*)", done.stdout)
    assert named, done.stdout + done.stderr
    again = wheels.run(command, project, *shlex.split(named[1]))
    assert re.search(r"\b1 failed", again.stdout), again.stdout + again.stderr
    assert "FAIL RIG-01: " in again.stdout
    assert again.returncode == 1
    rendered = wheels.run(command, project, "report", "run.jsonl", "-o", "pages")
    assert rendered.returncode == 0, rendered.stderr
    assert "RIG-01" in (project / "pages" / "README.md").read_text()
    assert wheels.run(command, project, "explain", "RIG-01").stdout.startswith("RIG-01: ")


def test_an_installed_package_makes_requirements_tests_of_their_own_suite(python: Path, project: Path) -> None:
    (project / "test_theirs.py").write_text(
        "from gaugeblock.testing import parametrize_with_checks\n\n\n"
        "xfails = {'RIG-1[0-9]': 'not yet'}\n\n\n"
        "@parametrize_with_checks('rig=impls.parser:parse', quick=True, expected_failures=xfails, strict=False)\n"
        "def test_parser(check):\n    check()\n"
    )
    done = wheels.run(python, project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--gaugeblock-records=run.jsonl")
    assert re.search(r"^\d+ passed, .*\d+ xpassed", done.stdout, re.M), done.stdout + done.stderr
    assert done.returncode == 0
    assert wheels.run(python.with_name("gaugeblock"), project, "diff", "run.jsonl", "run.jsonl").returncode == 0


def test_a_checkout_in_place_is_a_path_that_editors_follow(wheel: Path, tmp_path: Path, project: Path) -> None:
    source = wheel.parent / "source"
    python = wheels.install_editable(source, tmp_path / "editable")
    (paths,) = wheels.site_packages(tmp_path / "editable").glob("__editable__*.pth")
    assert paths.read_text().split() == [str(source)]
    code = "import gaugeblock.rag as r; print(r.__file__)"
    assert wheels.run(python, tmp_path, "-c", code).stdout.strip() == str(source / "gaugeblock" / "rag.py")
    # There the four names are taken. Beside others of these names the command works, and an import says what to do.
    last = wheels.run(python, project, "-c", code).stderr.splitlines()[-1]
    assert last.startswith("ImportError: found the package impls at ")
    assert "install gaugeblock without -e" in last
    done = wheels.run(python.with_name("gaugeblock"), project, "check", "rag=gaugeblock.rag:parse", "-k", "RAG-01")
    assert re.search(r"rag/gaugeblock.rag.parse +conforms ", done.stdout), done.stdout + done.stderr


def everything_in(folder: Path) -> list[Path]:
    """Its files, without what Python compiles."""
    return sorted(p for p in folder.rglob("*") if p.name != "__pycache__" and p.suffix != ".pyc")
