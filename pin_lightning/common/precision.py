"""Precision of the network: bfloat16 or float32; weights and positions are always float32.

A run predicts in the precision it was trained and validated in (``trainer.precision``). ``auto`` is
bfloat16 on devices with native support, else float32, in training and in prediction; so a run
trained in bfloat16 predicts in float32 on a device that only emulates bfloat16.
"""

import torch

NETWORK_DTYPES = {"bf16-mixed": torch.bfloat16, "32-true": torch.float32}
SETTINGS = ("auto", *NETWORK_DTYPES)


def has_fast_bf16(device: torch.device) -> bool:
    """True if a device has native bfloat16: CPU with AVX-512 BF16 or AMX, CUDA from Ampere on."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return False


def check_precision(setting: str) -> None:
    """Check a ``trainer.precision``.

    Raises:
        ValueError: The setting is unknown.
    """
    if setting not in SETTINGS:
        raise ValueError(f"trainer.precision={setting[:80]}: give one of {', '.join(SETTINGS)}")


def network_dtype(device: torch.device, setting: str = "auto") -> torch.dtype:
    """Data type that a network computes in on a device.

    Args:
        device: Device of the network.
        setting: ``trainer.precision``; ``auto`` takes bfloat16 where it is native.

    Raises:
        ValueError: The setting is unknown.
    """
    check_precision(setting)
    if setting != "auto":
        return NETWORK_DTYPES[setting]
    return torch.bfloat16 if has_fast_bf16(device) else torch.float32


def training_device(accelerator: str) -> torch.device:
    """Device that Lightning trains on; the accelerator ``auto`` takes the best available."""
    on_cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if on_cuda else "cpu")


def choose_precision(setting: str, accelerator: str) -> str:
    """Lightning's name of the training precision.

    Args:
        setting: ``trainer.precision``.
        accelerator: ``trainer.accelerator``.

    Raises:
        ValueError: The setting is unknown.
    """
    dtype = network_dtype(training_device(accelerator), setting)
    return next(name for name, own in NETWORK_DTYPES.items() if own == dtype)
