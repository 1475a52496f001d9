"""What torch keeps for the whole process: a test that changes it decides what the tests after it see."""

from __future__ import annotations

import sys
from typing import Any


def torch_settings() -> dict[str, Any] | None:
    """The settings by name; None where torch has not been imported."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_dtype") or not hasattr(torch, "utils"):
        return None
    matmul, cudnn, deterministic = torch.backends.cuda.matmul, torch.backends.cudnn, torch.utils.deterministic
    return {
        "anomaly detection": torch.is_anomaly_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "cuDNN": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic),
        "default device": str(torch.get_default_device()),
        "default dtype": torch.get_default_dtype(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "deterministic algorithms, as a warning": torch.is_deterministic_algorithms_warn_only_enabled(),
        "filling of new memory": deterministic.fill_uninitialized_memory,
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "oneDNN": torch.backends.mkldnn.enabled,
        "precision of products": (torch.get_float32_matmul_precision(), matmul.allow_tf32),
        "subnormal numbers": float(torch.tensor(1e-40, dtype=torch.float32, device="cpu") * 0.5) != 0.0,
        "threads": torch.get_num_threads(),
    }


def of_a_fresh_torch() -> dict[str, Any]:
    """The same in a process that has just imported torch, the number of threads aside, which the machine decides."""
    return {
        "anomaly detection": False,
        "autocast": False,
        "cuDNN": (True, False, False),
        "default device": "cpu",
        "default dtype": sys.modules["torch"].float32,
        "deterministic algorithms": False,
        "deterministic algorithms, as a warning": False,
        "filling of new memory": True,
        "gradients": True,
        "inference mode": False,
        "oneDNN": True,
        "precision of products": ("highest", False),
        "subnormal numbers": True,
    }


def changed(before: dict[str, Any] | None) -> list[str]:
    """What differs now from ``before``, or from a fresh torch where that was imported since; one line each."""
    now = torch_settings()
    if now is None:
        return []
    known = before or of_a_fresh_torch()
    return [f"{name}: {was} before, {now[name]} now" for name, was in known.items() if now[name] != was]
