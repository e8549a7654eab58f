"""Precision: whether networks run in bfloat16; weights and positions are always in float32.

A run keeps the precision that it was trained and validated in: its ``trainer.precision`` says what
it predicts in, too. With ``auto`` that is what each device does fast, in training as in prediction,
so that a run which was trained in bfloat16 predicts in float32 on a device that only emulates it.
"""

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


def network_dtype(device: torch.device, setting: str = "auto") -> torch.dtype:
    """Type of number in which a network computes on a device.

    Args:
        device: Where it computes.
        setting: ``trainer.precision``; ``auto`` takes bfloat16 where it is fast.

    Raises:
        ValueError: The setting is unknown.
    """
    if setting not in SETTINGS:
        raise ValueError(f"trainer.precision={setting}: give one of {', '.join(SETTINGS)}")
    if setting != "auto":
        return NETWORK_DTYPES[setting]
    return torch.bfloat16 if has_fast_bf16(device) else torch.float32


def training_device(accelerator: str) -> torch.device:
    """Kind of device that Lightning trains on.

    Args:
        accelerator: Lightning's name of it, ``auto`` for the best there is.
    """
    on_cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if on_cuda else "cpu")


def choose_precision(setting: str, accelerator: str) -> str:
    """Lightning's name of the precision to train with.

    Args:
        setting: ``trainer.precision``.
        accelerator: ``trainer.accelerator``.

    Raises:
        ValueError: The setting is unknown.
    """
    dtype = network_dtype(training_device(accelerator), setting)
    return next(name for name, own in NETWORK_DTYPES.items() if own == dtype)
