"""A wheel puts one name into an environment, and works in a folder that has packages with all our other names."""

from __future__ import annotations

import re
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
        dotted = re.compile(r"""["'](?:conformance|impls|reference)\.[a-z{]""")
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
    done = wheels.run(command, project, "check", "rig=parser.py:parse", "rig=impls.parser:parse")
    assert re.search(r"rig/parser.parse +\d+ +0 +0 ", done.stdout), done.stdout + done.stderr
    assert re.search(r"rig/impls.parser.parse +\d+ +0 +0 ", done.stdout), done.stdout + done.stderr
    assert sorted(p.name for p in project.rglob("*") if p.name != "__pycache__" and p.suffix != ".pyc") == sorted(
        [*wheels.OURS, *["__init__.py"] * 4, "parser.py", "parser.py", "pattern.py"]
    )
