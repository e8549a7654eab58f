"""Precision: whether the network runs in bfloat16, decided by what the hardware does fast."""

import torch

NETWORK_DTYPES = {"bf16-mixed": torch.bfloat16, "32-true": torch.float32}
SETTINGS = ("auto", *NETWORK_DTYPES)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 by itself, rather than by emulation.

    Args:
        device: CPU (AVX-512 BF16 or AMX) or CUDA (Ampere and later); others count as not.
    """
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return False


def network_dtype(device: torch.device) -> torch.dtype:
    """What the network should compute in on a device."""
    return torch.bfloat16 if has_fast_bf16(device) else torch.float32


def choose_precision(setting: str, accelerator: str) -> str:
    """Lightning's name of the precision to train with.

    Args:
        setting: ``auto`` takes bfloat16 where it is fast; weights stay in float32 either way.
        accelerator: Lightning's name of where the training runs, ``auto`` for the best there is.

    Raises:
        ValueError: The setting is unknown.
    """
    if setting not in SETTINGS:
        raise ValueError(f"trainer.precision={setting}: give one of {', '.join(SETTINGS)}")
    if setting != "auto":
        return setting
    on_cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    device = torch.device("cuda" if on_cuda else "cpu")
    return "bf16-mixed" if has_fast_bf16(device) else "32-true"
