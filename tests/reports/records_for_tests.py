"""Record files like those of a real run, made up: every verdict, every kind of line, and texts that try to break out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from conformance.records import io
from conformance.records.schema import SCHEMA, Verdict, VerdictRecord

STARTED = "2026-11-23T08:00:00Z"

SYSTEMS = [
    {"name": "ademamix", "title": "AdEMAMix", "paper": "arXiv:2409.03137", "requirement_prefix": "ADM"},
    {"name": "sigmoid_attention", "title": "Sigmoid attention", "paper": "arXiv:2409.04431", "requirement_prefix": "SIG"},
    {"name": "rig", "title": "RIG annotations", "paper": "arXiv:2409.13741", "requirement_prefix": "RIG"},
    {"name": "rag", "title": "RAG query lists", "paper": "arXiv:2409.13741", "requirement_prefix": "RAG"},
]

REQUIREMENTS = [
    ("ademamix", "ADM-01", "One step moves the parameters by the mixed update.", "Alg. 1", "a wrong denominator"),
    ("ademamix", "ADM-02", "The fast EMA and the second moment are bias-corrected.", "Alg. 1", "a forgotten correction"),
    ("ademamix", "ADM-03", "alpha = 0 is AdamW.", "section 3", "a mix that is never off"),
    ("ademamix", "ADM-04", "The slow EMA is not bias-corrected.", "Alg. 1", "dividing the whole numerator by 1-beta1^t"),
    ("ademamix", "ADM-05", "Weight decay is decoupled from the gradient.", "Alg. 1", "adding the decay to the gradient"),
    ("ademamix", "ADM-06", "alpha warms up linearly to its end value.", "eq. 5", "a schedule that starts one step late"),
    ("ademamix", "ADM-07", "beta3 warms up linearly in half-life.", "eq. 6", "a schedule linear in beta3"),
    ("sigmoid_attention", "SIG-01", "Each score passes through the sigmoid, alone.", "eq. 3", "a softmax along the row"),
    ("sigmoid_attention", "SIG-02", "The bias is added before the sigmoid.", "eq. 3", "a bias added after the sigmoid"),
    (
        "sigmoid_attention",
        "SIG-03",
        "Masked keys contribute exactly nothing.",
        "section 2",
        "sigmoid of a large negative number",
    ),
    (
        "sigmoid_attention",
        "SIG-04",
        "The gradient of the bias is the sum of the score gradients.",
        "App. D",
        "a dropped reduction",
    ),
    ("rig", "RIG-01", "An annotation carries a query and the model's own value.", "section 3", "a swapped pair"),
    ("rig", "RIG-02", "Unclosed brackets are text.", "section 3", "a parser that reads to the end of the text"),
    ("rag", "RAG-01", "One question per line.", "section 4", "splitting on every question mark"),
]

CASES = {"ADM": ("d8-t1", "d64-t40"), "SIG": ("h2-l16-d8", "h4-l33-d64-causal"), "RIG": ("plain", "nested"), "RAG": ("plain",)}
DTYPES = {"ADM": ("float32", "float64"), "SIG": ("float32", "bfloat16"), "RIG": ("",), "RAG": ("",)}

IMPLEMENTATIONS = [
    ("ademamix/numpy", "built in", None, None, 0.11),
    ("ademamix/torch", "built in", None, None, 0.32),
    ("ademamix/triton", "built in", None, None, 0.47),
    ("ademamix/bitsandbytes-32bit", "package", "bitsandbytes", "0.50.2", 0.88),
    ("ademamix/pytorch-optimizer", "package", "pytorch_optimizer", "4.1.0", 0.61),
    ("ademamix/optax", "package", "optax", "0.2.8", 0.72),
    ("ademamix/heavyball", "package", "heavyball", "3.2.1", 0.53),
    ("ademamix/apple", "package", "ademamix", None, 0.4),
    ("sigmoid_attention/numpy", "built in", None, None, 0.21),
    ("sigmoid_attention/torch", "built in", None, None, 0.34),
    ("sigmoid_attention/triton", "built in", None, None, 0.41),
    ("sigmoid_attention/triton-sigmoid", "package", "triton-sigmoid", "0.1.2", 0.9996),
    ("sigmoid_attention/x-transformers", "package", "x-transformers", "2.31.10", 0.7),
    ("rig/regex", "built in", None, None, 0.0),
    ("rig/split", "built in", None, None, 0.0),
    ("rag/lines", "built in", None, None, 0.0),
]

FAILURES: dict[tuple[str, str], float | str] = {
    ("ademamix/optax", "ADM-06"): 13041.0,
    ("ademamix/optax", "ADM-07"): 312.5,
    ("ademamix/heavyball", "ADM-01"): 1.0004,
    ("ademamix/pytorch-optimizer", "ADM-05"): "inf",
    ("sigmoid_attention/x-transformers", "SIG-02"): 88123.0,
    ("rig/split", "RIG-02"): "inf",
}
ERRORS = {("ademamix/bitsandbytes-32bit", "ADM-07"): "RuntimeError: expected a tensor of the same size | got `1`"}
GAPS = {("ademamix/heavyball", "ADM-07"), ("ademamix/torch", "ADM-03"), ("sigmoid_attention/triton-sigmoid", "SIG-04")}
NOT_INSTALLED = {"ademamix/apple": "no module named 'ademamix'; pip install ademamix"}
SPEEDS = {
    "ademamix/numpy": 0.14,
    "ademamix/torch": 1.0,
    "ademamix/triton": 5.92,
    "ademamix/optax": 2.2,
    "ademamix/heavyball": 5.6,
    "ademamix/pytorch-optimizer": 0.93,
    "sigmoid_attention/torch": 1.0,
    "sigmoid_attention/triton": 8.1,
    "sigmoid_attention/triton-sigmoid": 7.9,
}


def _spread(*parts: str) -> float:
    """A made-up number in [0.5, 1), the same on every machine."""
    return 0.5 + int(hashlib.sha256("|".join(parts).encode()).hexdigest()[:8], 16) / 2**33


def header(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "suite": "0.1.0",
        "options": {"quick": False, "device": ["cpu"], "dtype": [], "impl": [], "benchmark": True},
        "started": STARTED,
        "environment": {
            "python": "3.11.7",
            "platform": "Linux-6.1-x86_64",
            "cpu": "A CPU | of some make",
            "cores": 2,
            "memory_gib": 15.6,
            "packages": {"numpy": "2.4.0", "torch": "2.13.0"},
            "gpu": None,
            "threads": {"OMP_NUM_THREADS": "1"},
            "commit": "5b0ece0",
        },
        "systems": SYSTEMS,
        "requirements": [
            dict(zip(("system", "id", "statement", "source", "catches"), row, strict=True)) for row in REQUIREMENTS
        ],
        "implementations": [implementation(*row[:4]) for row in IMPLEMENTATIONS],
    }
    return {**fields, **changes}


def implementation(
    name: str, kind: str = "built in", distribution: str | None = None, version: str | None = None
) -> dict[str, Any]:
    fused = name == "sigmoid_attention/triton"
    return {
        "name": name,
        "system": name.split("/")[0],
        "summary": "An implementation.",
        "protocol": "torch",
        "numerical_class": "fused-tanh" if fused else "",
        "class_description": "scores in float32, hardware tanh" if fused else "strict",
        "dtypes": ["float32"],
        "devices": ["cpu"],
        "features": None,
        "version": version,
        "origin": {"kind": kind, "distribution": distribution},
        "documentation": "",
        "selector": name,
        "missing": ["ademamix"] if name in NOT_INSTALLED else [],
    }


def result(name: str, requirement: str, case: str, dtype: str, comfort: float, **changes: Any) -> dict[str, Any]:
    key = (name, requirement)
    fields: dict[str, Any] = {
        "implementation": name,
        "system": name.split("/")[0],
        "requirement": requirement,
        "case": case,
        "dtype": dtype,
        "device": "cpu",
        "verdict": Verdict.PASS,
        "margin": comfort * (1 if comfort > 0.99 else _spread(*key, case, dtype)),
        "quantity": "update" if comfort else "annotations",
        "worst": "(0, 3)" if comfort else "",
        "got": "0.1000000149011612",
        "expected": "0.1",
        "bound": "1.192e-07",
        "reproduce": f"pytest conformance --impl {name} -k '{requirement} and {case}'",
    }
    blank = {"margin": None, "quantity": "", "worst": "", "got": "", "expected": "", "bound": ""}
    if name in NOT_INSTALLED:
        fields.update(blank, verdict=Verdict.NOT_RUN, message=NOT_INSTALLED[name])
    elif key in GAPS:
        fields.update(blank, verdict=Verdict.UNSUPPORTED, message="does not accept what the case needs")
    elif key in ERRORS:
        fields.update(blank, verdict=Verdict.ERROR, message=ERRORS[key])
    elif key in FAILURES and case == CASES[requirement[:3]][-1]:
        margin = FAILURES[key]
        fields.update(
            verdict=Verdict.FAIL,
            margin=float(margin),
            resembles=f"{fields['system']}/planted: A planted bug of {requirement}.",
        )
    fields.update(changes)
    return VerdictRecord(**fields).to_json()


def verdict_lines() -> list[dict[str, Any]]:
    return [
        result(name, id_, case, dtype, comfort)
        for name, _, _, _, comfort in IMPLEMENTATIONS
        for system, id_, *_ in REQUIREMENTS
        if name.startswith(f"{system}/")
        for case in CASES[id_[:3]]
        for dtype in DTYPES[id_[:3]]
    ]


def mutant_lines() -> list[dict[str, Any]]:
    lines = []
    for system, id_, _, _, catches in REQUIREMENTS:
        everything = [row[1] for row in REQUIREMENTS if row[0] == system]
        others = {other: 7.5 for other in everything if other != id_ and _spread(other, id_) > 0.85}
        lines.append(
            mutant(system, f"{system}/bug-of-{id_.lower()}", f"It has {catches}.", [id_], {id_: "inf", **others}, everything)
        )
    everything = [row[1] for row in REQUIREMENTS if row[0] == "ademamix"]
    lines.append(
        mutant("ademamix", "ademamix/late-decay", "Decays after the step.", ["ADM-05"], {}, everything, verdict="survived")
    )
    lines.append(
        mutant(
            *("ademamix", "ademamix/reordered", "Multiplies before it adds.", [], {}, everything),
            verdict="equivalent",
            equivalent="x*y+z is the same in either order of the operands.",
        )
    )
    half = mutant(
        "rig", "rig/half-caught", "Is caught by one of two.", ["RIG-01", "RIG-02"], {"RIG-01": "inf"}, ["RIG-01", "RIG-02"]
    )
    lines.append(half)
    lines.append(mutant("ademamix", "ademamix/lerp", "Uses lerp.", [], {}, everything, honest=True, verdict="honest"))
    lines.append(
        mutant(
            "rig",
            "rig/honest",
            "Another regex.",
            [],
            {"RIG-02": "error"},
            ["RIG-01", "RIG-02"],
            honest=True,
            verdict="false alarm",
        )
    )
    return lines


def mutant(
    system: str, name: str, sentence: str, expected: list[str], killers: dict[str, Any], checked: list[str], **changes: Any
) -> dict[str, Any]:
    fields = {
        "record": "mutant",
        "system": system,
        "mutant": name,
        "sentence": sentence,
        "honest": False,
        "equivalent": "",
        "expected_killers": expected,
        "killers": killers,
        "checked": checked,
        "verdict": "killed",
    }
    return {**fields, **changes}


def measurement(name: str, ratio: float | None, **changes: Any) -> dict[str, Any]:
    system = name.split("/")[0]
    median = None if ratio is None else 4.2e-3 / ratio
    optimizer = system == "ademamix"
    fields: dict[str, Any] = {
        "record": "measurement",
        "system": system,
        "implementation": name,
        "workload": "step-1m" if optimizer else "forward-1k",
        "description": "One step over 2^20 parameters." if optimizer else "One forward pass of 1024 tokens.",
        "dtype": "float32",
        "device": "cpu",
        "amount": 2.0**20 if optimizer else 4.3e9,
        "unit": "parameters" if optimizer else "FLOP",
        "verdict": "measured",
        "baseline": f"{system}/torch",
        "samples": 30,
        "median_s": median,
        "low_s": median and median * 0.98,
        "high_s": median and median * 1.03,
        "ratio": ratio,
        "ratio_low": ratio and ratio * 0.96,
        "ratio_high": ratio and ratio * 1.03,
        "decision": "" if ratio is None else "faster" if ratio > 1 else "slower" if ratio < 1 else "baseline",
        "per_second": median and (2.0**20 if optimizer else 4.3e9) / median,
        "bytes_moved": 36 * 2.0**20 if optimizer else None,
        "flops": None if optimizer else 4.3e9,
        "roofline": {"copy_bytes_per_s": 2.9e10, "update_bytes_per_s": 4.1e10, "matmul_flops_per_s": 9.1e10},
        "roofline_share": ratio and 0.09 * ratio,
        "margin": None if ratio is None else 0.5,
        "message": "",
    }
    return {**fields, **changes}


def measurement_lines() -> list[dict[str, Any]]:
    lines = [measurement(name, ratio) for name, ratio in SPEEDS.items() if name != "ademamix/torch"]
    # A baseline is timed beside itself: that may be its own line, or one more.
    again: dict[str, Any] = {"aa": True, "ratio_low": 0.97, "ratio_high": 1.02}
    lines.append(measurement("ademamix/torch", 1.004, decision="baseline", **again))
    lines.append(measurement("sigmoid_attention/torch", 1.004, decision="same", **again))
    lines.append(
        measurement(
            "sigmoid_attention/x-transformers", None, verdict="wrong answer", margin=88123.0, message="o is off at (0, 3)"
        )
    )
    lines.append(measurement("ademamix/apple", None, verdict="not run", message=NOT_INSTALLED["ademamix/apple"]))
    return lines


def cached_lines() -> list[dict[str, Any]]:
    """Cold and warm, at four scales, with what only newer records say."""
    found = []
    for name, ratio in (("ademamix/torch", 1.0), ("ademamix/triton", 5.92), ("ademamix/optax", 2.2)):
        for cache, slower in (("cold", 1.8), ("warm", 1.0)):
            for power in (3, 4, 5, 6):
                scale = 10.0**power
                median = slower * scale * 4e-9 / ratio * (1 + 30 / scale**0.5)
                found.append(
                    measurement(
                        name,
                        ratio,
                        workload=f"step-1e{power}",
                        description=f"One step over 10^{power} parameters.",
                        family="step",
                        scale=scale,
                        scale_name="parameters",
                        cache=cache,
                        amount=scale,
                        bytes_moved=36 * scale,
                        median_s=median,
                        low_s=0.9 * median,
                        high_s=1.2 * median,
                        per_second=scale / median,
                        roofline_share=0.09 * ratio / slower,
                        aa=name == "ademamix/torch",
                        decision="baseline" if name == "ademamix/torch" else "faster",
                        reason="the whole interval lies above 1",
                        stopped="tight",
                        looks=3,
                        compile_s=2.5 if name == "ademamix/triton" else None,
                        peak_memory_bytes=12 * scale,
                        memory_kind="host",
                        warnings=["another process took 40 % of a core"]
                        if (name, cache) == ("ademamix/optax", "cold")
                        else [],
                    )
                )
    found.append(
        measurement(
            "ademamix/heavyball",
            None,
            workload="step-1e6",
            cache="cold",
            amount=1e6,
            verdict="measuring fault",
            message="12 times faster than the memory allows",
        )
    )
    for name, ratio in (("sigmoid_attention/torch", 1.0), ("sigmoid_attention/triton", 8.1), ("sigmoid_attention/numpy", 0.4)):
        for length in (256, 1024):
            flops = 4.0 * 8 * 64 * length**2
            median = flops / (0.1 * ratio * 9.1e10)
            found.append(
                measurement(
                    name,
                    ratio,
                    workload=f"forward-{length}",
                    family="forward",
                    scale=float(length),
                    scale_name="length",
                    cache="warm",
                    amount=flops,
                    flops=flops,
                    bytes_moved=4.0 * 4 * 8 * 64 * length,
                    median_s=median,
                    low_s=median,
                    high_s=median,
                    per_second=flops / median,
                    roofline_share=0.1 * ratio,
                    aa=name == "sigmoid_attention/torch",
                )
            )
    return found


def claim(id_: str, system: str, verdict: str, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "record": "claim",
        "system": system,
        "id": id_,
        "statement": f"The statement of {id_}.",
        "source": "section 4, figure 5",
        "expected": 1.95,
        "measured": 1.8 if verdict in ("holds", "does not hold", "undecided") else None,
        "unit": "times",
        "verdict": verdict,
        "message": f"{id_} was measured on a small problem.",
        "seconds": 12.5,
        "settings": {"steps": 2000, "seeds": [0, 1, 2], "learning_rate": 0.001},
        "device": "cpu",
        "quick": False,
        "series": [],
        "axes": None,
    }
    return {**fields, **changes}


def claim_lines() -> list[dict[str, Any]]:
    steps = [100.0 * place for place in range(21)]
    series = [
        {"label": name, "x": steps, "y": [2 * 0.9**k for k in range(21)], "low": None, "high": None}
        for name in ("AdamW", "AdEMAMix")
    ]
    return [
        claim("ADM-C1", "ademamix", "holds", series=series, axes={"x": "step", "y": "loss", "log": "y"}),
        claim("ADM-C2", "ademamix", "does not hold", expected="forgets more slowly", measured="forgets as fast", unit=""),
        claim("ADM-C10", "ademamix", "undecided"),
        claim("RIG-C1", "rig", "not run", message="left out by --quick: it has no short form"),
    ]


def curve(implementation: str, ys: list[float], **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "record": "curve",
        "system": implementation.split("/")[0],
        "implementation": implementation,
        "name": "error-against-length",
        "title": "Error against length",
        "verdict": "measured",
        "message": "",
        "seconds": 1.0,
        "device": "cpu",
        "quick": False,
        "dtype": "float32",
        "axes": {"x": "length, tokens", "y": "largest error / largest value", "log": "xy"},
        "x": [256.0 * 4**place for place in range(len(ys))],
        "y": ys,
        "low": None,
        "high": None,
        "settings": {"seed": 0},
    }
    return {**fields, **changes}


def curve_lines() -> list[dict[str, Any]]:
    return [
        curve("sigmoid_attention/numpy", [1e-7, 2e-7, 4e-7, 8e-7]),
        curve("sigmoid_attention/torch", [3e-7, 6e-7, 9e-7, 2e-6]),
        curve("sigmoid_attention/x-transformers", [1e-4, 2e-3, 5e-3, 1e-2]),
        curve("sigmoid_attention/triton-sigmoid", [], verdict="not run", message="runs on cuda only", dtype=""),
    ]


def write_studies(path: Path) -> Path:
    """A third file: newer measurements, claims and curves."""
    options = {"command": "claims", "quick": False, "device": ["cpu"], "dtype": [], "impl": [], "only": ["ademamix"]}
    body = cached_lines() + claim_lines() + curve_lines()
    return write(path, body, started="2026-11-23T10:00:00Z", options={**options, "benchmark": False})


def lines() -> list[dict[str, Any]]:
    return verdict_lines() + mutant_lines() + measurement_lines()


def write(path: Path, body: list[dict[str, Any]] | None = None, **header_changes: Any) -> Path:
    """A complete record file, well-formed where its lines are."""
    io.write_lines(
        path,
        {"record": "header", "schema": SCHEMA, **header(**header_changes)},
        lines() if body is None else body,
        {"record": "footer", "finished": "2026-11-23T08:01:00Z", "seconds": 60.25, "exit": 1},
    )
    return path


def write_gpu_run(path: Path) -> Path:
    """A second machine: other device, no planted bugs, its own speeds."""
    on_gpu = [{**line, "device": "cuda"} for line in verdict_lines() if line["implementation"].endswith("/triton")]
    timed = [
        measurement(name, ratio, device="cuda")
        for name, ratio in (("sigmoid_attention/torch", 1.0), ("sigmoid_attention/triton", 11.2))
    ]
    gpu = {"name": "A GPU", "memory_gib": 80.0}
    environment = {**header()["environment"], "gpu": gpu}
    options = {"quick": False, "device": ["cuda"], "dtype": [], "impl": ["triton"], "benchmark": True}
    return write(path, on_gpu + timed, started="2026-11-23T09:00:00Z", environment=environment, options=options)


def rewrite(path: Path, change: dict[str, Any], line: int = 0) -> Path:
    """Change a line of a written file without changing its digest."""
    rows = path.read_text(encoding="utf-8").split("\n")
    rows[line] = json.dumps({**json.loads(rows[line]), **change})
    path.write_text("\n".join(rows), encoding="utf-8")
    return path
