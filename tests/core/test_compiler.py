"""C++ sources are compiled once; what is kept is verified, and a compiler that fails is one clear error."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from impls import compiler

SOURCE = 'extern "C" int answer() { return VALUE; }\n'


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    assert compiler.compiler(), "these tests need a C++ compiler"
    monkeypatch.setenv("GAUGEBLOCK_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "source" / "answer.cpp"
    path.parent.mkdir()
    path.write_text(SOURCE)
    compiler.library.cache_clear()
    yield path
    compiler.library.cache_clear()


def answer(source: Path, value: int = 42) -> int:
    compiler.library.cache_clear()
    return int(compiler.library(source, (f"-DVALUE={value}",)).answer())


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").iterdir() if path.suffix in (".so", ".dll")]


@pytest.mark.parametrize("options", ["-O1", "-O2 -DUNUSED='a b'"])
def test_a_compiler_may_come_with_options(source: Path, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = compiler.compiler()[0]
    monkeypatch.setenv("CXX", f"{shlex.quote(tool)} {options}")
    assert answer(source) == 42


def test_a_compiler_may_come_with_a_wrapper(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = compiler.compiler()[0]
    wrapper = tmp_path / "a wrapper"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", f"{shlex.quote(str(wrapper))} {tool}")
    assert answer(source) == 42


@pytest.mark.parametrize("content", ["", "#!/bin/sh\necho 'error: broken' >&2\nexit 1\n", "#!/bin/sh\nexit 0\n", "\x7fELF"])
def test_a_broken_compiler_is_one_clear_error(
    source: Path, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_text(content)
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(compiler.BackendUnavailable, match="broken"):
        answer(source)


def test_a_compiler_that_cannot_be_parsed_is_none(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "g++ 'unclosed")
    with pytest.raises(compiler.BackendUnavailable, match="CXX"):
        answer(source)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"half"])
def test_a_damaged_library_is_built_again(source: Path, content: bytes, tmp_path: Path) -> None:
    # Another process would have mapped a library that this test then cuts: each value is loaded once here.
    value = 100 + len(content)
    compiler._built(source, (f"-DVALUE={value}",))
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    assert answer(source, value) == value
    assert [one.stat().st_size for one in kept(tmp_path)] == [len(whole)]


def test_a_kept_library_needs_no_compiler(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(source, 7) == 7
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert answer(source, 7) == 7
    with pytest.raises(compiler.BackendUnavailable, match="needs a C"):
        answer(source, 8)
