"""What a plug does not declare is tried out and said; what it declares adds to that."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from conformance.engine.discovery import plug, plugs, select
from conformance.engine.runner import list_test_cases, run_test_case
from conformance.engine.selection import Options
from conformance.records.schema import Verdict
from impls.implementation import PlugError

ATTENTION = """
    import numpy as np

    def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, *, scale=None, bias=0.0, causal=False):
        if q.dtype == np.float16:
            raise TypeError("no half precision here")
        if causal:
            raise NotImplementedError("no masks")
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        return (1 / (1 + np.exp(-(q @ k.swapaxes(-1, -2) * scale + bias))) @ v).astype(q.dtype)
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_dtypes_are_tried_and_said(tmp_path: Path) -> None:
    found = plug(f"{write(tmp_path / 'mine.py', ATTENTION)}:attention")
    assert found.dtypes == ("float64", "float32")
    sentence = found.found[0]
    assert sentence.startswith("takes float64, float32, and no float16 (")
    assert "no half precision here" in sentence


def test_declared_dtypes_are_not_tried(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", ATTENTION + "\n    attention.gaugeblock = {'dtypes': ['float32']}\n")
    found = plug(f"{file}:attention")
    assert found.dtypes == ("float32",)
    assert not any(sentence.startswith("takes float") for sentence in found.found)


def test_where_no_dtype_works_the_errors_show(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", "import numpy as np\ndef broken(q: np.ndarray, k, v, scale=None): return 1 / 0\n")
    found = plug(f"{file}:broken")
    assert (found.dtypes, found.found) == (("float64", "float32", "float16"), ())


@pytest.mark.parametrize(("declared", "verdict"), [("{}", Verdict.UNSUPPORTED), ("{'features': ['causal']}", Verdict.ERROR)])
def test_a_declared_feature_is_promised_and_the_others_are_still_tried(
    tmp_path: Path, declared: str, verdict: Verdict
) -> None:
    file = write(tmp_path / "mine.py", ATTENTION + f"\n    attention.gaugeblock = {declared}\n")
    found = plug(f"{file}:attention")
    assert found.features is None
    results = {
        each.check.requirement: run_test_case(each)
        for each in list_test_cases("sigmoid_attention", [found], Options(quick=True, dtypes=("float32",)))
        if each.check.requirement in ("SIG-02", "SIG-14")
    }
    assert results["SIG-14"].verdict is verdict
    assert results["SIG-02"].verdict is Verdict.PASS  # needs a feature that is not declared


def test_declared_names_are_read_in_time(tmp_path: Path) -> None:
    text = """
        import torch

        class Odd(torch.optim.Optimizer):
            def __init__(self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), mixing=5.0, eps=1e-8): ...
    """
    with pytest.raises(PlugError, match="no argument for the mixing coefficient"):
        plug(f"{write(tmp_path / 'without.py', text)}:Odd")
    named = text + "\n        Odd.gaugeblock = {'settings': {'names': {'alpha': 'mixing'}}, 'dtypes': ['float32']}\n"
    assert plug(f"{write(tmp_path / 'named.py', named)}:Odd").system == "ademamix"


def test_a_file_of_a_package_is_named_as_a_module(tmp_path: Path) -> None:
    write(tmp_path / "pack" / "__init__.py", "")
    write(tmp_path / "pack" / "sub" / "__init__.py", "")
    file = write(tmp_path / "pack" / "sub" / "mine.py", "from ..other import parse\n")
    message = rf"run with PYTHONPATH={tmp_path} and give 'pack\.sub\.mine:ATTRIBUTE'"
    with pytest.raises(PlugError, match=message):
        plug(f"{file}:parse")
    loose = write(tmp_path / "loose" / "mine.py", "from .other import parse\n")
    with pytest.raises(PlugError, match=rf"PYTHONPATH={tmp_path} and give 'loose\.mine:ATTRIBUTE'"):
        plug(f"{loose}:parse")


PARSER = "def parse(text): return [('how many?', '3', 0, 1)]\n"


def test_files_that_share_a_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    specs = [f"{write(tmp_path / folder / 'mine.py', PARSER)}:parse" for folder in ("a/x", "b/x", "c")]
    found = select(specs)
    assert not found.failures
    assert [each.name for each in found.implementations] == ["rig/a.x.mine.parse", "rig/b.x.mine.parse", "rig/c.mine.parse"]
    assert {each.name_alone for each in found.implementations} == {"rig/mine.parse"}
    (alone,) = select(specs[:1]).implementations
    assert (alone.name, alone.name_alone) == ("rig/mine.parse", "")
    assert len(select([specs[0], specs[0]]).implementations) == 1


def test_an_optional_feature_that_raises_is_a_gap_unless_it_is_declared(tmp_path: Path) -> None:
    """Grouped heads: the product of six query heads and two key heads is an error of NumPy's own."""
    text = ATTENTION.replace("causal=False", "causal=False, window=None")
    found = plug(f"{write(tmp_path / 'mine.py', text)}:attention")
    assert "gqa" in found.lacks
    assert "window" not in found.lacks  # ignored, which is wrong and no gap
    assert "takes no" in found.found[1]
    promising = write(tmp_path / "other.py", text + "\n    attention.gaugeblock = {'features': ['gqa']}\n")
    declared = plug(f"{promising}:attention")
    assert "gqa" not in declared.lacks
    verdicts = {
        one: run_test_case(each).verdict
        for one in (found, declared)
        for each in list_test_cases("sigmoid_attention", [one], Options(quick=True, dtypes=("float32",)))
        if each.check.requirement == "SIG-21"
    }
    assert verdicts == {found: Verdict.UNSUPPORTED, declared: Verdict.ERROR}


def test_what_computes_in_less_than_float64_is_not_judged_there(tmp_path: Path) -> None:
    file = write(
        tmp_path / "mine.py",
        """
        import torch

        def attention(q, k, v, *, scale=None, bias=0.0):
            scale = q.shape[-1] ** -0.5 if scale is None else scale
            return (torch.sigmoid(q.float() @ k.float().mT * scale + bias) @ v.float()).to(q.dtype)
        """,
    )
    found = plug(f"{file}:attention")
    assert found.dtypes == ("float32", "float16", "bfloat16")
    assert "no float64 (its answers there are less exact)" in found.found[0]


OPTIMIZER = """
    import torch

    class Mine(torch.optim.Optimizer):
        def __init__(self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, eps=1e-8, weight_decay=0.0):
            super().__init__(params, dict(lr=lr, betas=betas, alpha=alpha, eps=eps, weight_decay=weight_decay))

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                (b1, b2, b3), alpha = group["betas"], group["alpha"]
                for p in group["params"]:
                    s, g = self.state[p], p.grad
                    if g is None:
                        continue
                    if not s:
                        s.update(t=0, m1=torch.zeros_like(p), m2=torch.zeros_like(p), nu=torch.zeros_like(p))
                    s["t"] += 1
                    s["m1"].mul_(b1).add_(g, alpha=1 - b1)
                    s["m2"].mul_(b3).add_(g, alpha=1 - b3)
                    s["nu"].mul_(b2).addcmul_(g, g, value=1 - b2)
                    root = (s["nu"] / (1 - b2 ** s["t"])).sqrt().add_(group["eps"])
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_((s["m1"] / (1 - b1 ** s["t"]) + alpha * s["m2"]) / root, alpha=-group["lr"])
"""


def test_sixteen_bits_that_round_otherwise_are_judged_apart_by_the_class_that_fits(tmp_path: Path) -> None:
    (main, apart) = plugs(f"{write(tmp_path / 'mine.py', OPTIMIZER)}:Mine")
    assert (main.dtypes, main.numerical_class) == (("float64", "float32"), "")
    assert (apart.name, apart.dtypes) == ("ademamix/mine.Mine-16bit", ("float16", "bfloat16"))
    assert apart.numerical_class == "parameter-dtype"
    assert apart.found[0].startswith("on float16 and bfloat16 parameters it rounds as the class parameter-dtype says")
    assert [each.name for each in select([main.spec]).implementations] == [main.name, apart.name]
