"""Name and ceilings of this machine: matrix products and copies."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def median_seconds(call: Callable[[], object], repetitions: int, device: torch.device) -> float:
    """Median wall time of a call, after two that warm up."""
    times = []
    for _ in range(repetitions + 2):
        wait(device)
        began = time.perf_counter()
        call()
        wait(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


def wait(device: torch.device) -> None:
    """Until a graphics card has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_flops(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations per second in a large matrix product."""
    side = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / median_seconds(lambda: left @ right, 5, device)


def copied_bytes(device: torch.device) -> float:
    """Bytes read and written per second in a large copy."""
    source = torch.ones(256 * 2**20, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)  # ones: pages that were never written may not exist
    return 2 * len(source) / median_seconds(lambda: target.copy_(source), 5, device)


def describe(device: torch.device) -> dict[str, Any]:
    """Names and versions, without anything that tells one machine from its likes."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, AVX-512 BF16" if "avx512_bf16" in flags else name
