"""Two-head CNN: shared convolutions, one head for displacement and one for direction (Fig. 2c)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.patches import check_patch_side


class TwoHeadCNN(nn.Module):
    """Convolutional features shared by a displacement and a direction head.

    Args:
        features: Convolutions, from patches [B, C, P, P] to a map of any size.
        num_features: Length of the flattened map.
        num_parameters: Shape parameters K.
        hidden: Widths of the fully connected layers of each head.
        dropout: Drop-out after each of them.
    """

    def __init__(
        self,
        features: nn.Module,
        num_features: int,
        num_parameters: int,
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.features = features
        self.displacement_head = _head(num_features, hidden, num_parameters, dropout)
        self.direction_head = _head(num_features, hidden, 2 * num_parameters, dropout)

    def forward(
        self, patches: Float[Tensor, "B C P P"]
    ) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K2"]]:
        """Displacement [B, K] in the training unit and direction logits [B, 2 K]."""
        features = self.features(patches).flatten(1)
        displacement, logits = self.displacement_head(features), self.direction_head(features)
        return displacement.float(), logits.float()


class PaperNetwork(TwoHeadCNN):
    """The network of the paper, weight for weight (Fig. 2c, and the authors' code).

    Five unpadded 3x3 convolutions of 32 to 512 maps, each with ReLU and 2x2 max-pooling; two heads
    of FC 1024 - FC 1024 - FC out with drop-out 0.5. Weights start truncated normal, biases at 0.1.

    Args:
        in_channels: Patch channels C.
        num_parameters: Shape parameters K.
        patch_side: Patch side P; 101 in the paper.
        weight_sd: Standard deviation of the initial weights.

    Raises:
        ValueError: The patch is too small for five unpadded convolutions and poolings.
    """

    smallest_side = 95

    def __init__(
        self, in_channels: int, num_parameters: int, patch_side: int, weight_sd: float = 0.1
    ) -> None:
        if check_patch_side(patch_side) < self.smallest_side:
            raise ValueError(
                f"model.patch_side={patch_side}: network=paper needs at least "
                f"{self.smallest_side}; enlarge the patch or use network=compact"
            )
        widths = (in_channels, 32, 64, 128, 256, 512)
        layers: list[nn.Module] = []
        side = patch_side
        for width_in, width_out in pairwise(widths):
            # Pooled, then rectified: the same values and gradients, a quarter of the rectifying.
            layers += [nn.Conv2d(width_in, width_out, 3), nn.MaxPool2d(2), nn.ReLU()]
            side = (side - 2) // 2
        super().__init__(
            nn.Sequential(*layers), 512 * side**2, num_parameters, hidden=(1024, 1024), dropout=0.5
        )
        self.apply(lambda layer: _initialise_as_in_paper(layer, weight_sd))


class CompactNetwork(TwoHeadCNN):
    """A smaller network for any odd patch side: padded convolutions, pooling that rounds up.

    Batch normalisation is what lets it learn in minutes rather than hours.

    Args:
        in_channels: Patch channels C.
        num_parameters: Shape parameters K.
        patch_side: Patch side P.
        widths: Maps of each convolution block; every block halves the side.
        hidden: Widths of the fully connected layers of each head.
        dropout: Drop-out after each of them.
    """

    def __init__(
        self,
        in_channels: int,
        num_parameters: int,
        patch_side: int,
        widths: Sequence[int] = (64, 64, 128, 128),
        hidden: Sequence[int] = (256,),
        dropout: float = 0.1,
    ) -> None:
        # The first block strides instead of pooling: it sees all 3 L channels at full size, where a
        # dense convolution would cost more than all the others together.
        layers = _convolution(in_channels, widths[0], stride=2)
        side = (check_patch_side(patch_side) + 1) // 2
        for width_in, width_out in pairwise(widths):
            *convolution, rectify = _convolution(width_in, width_out)
            layers += [*convolution, nn.MaxPool2d(2, ceil_mode=True), rectify]
            side = (side + 1) // 2
        super().__init__(
            nn.Sequential(*layers), widths[-1] * side**2, num_parameters, hidden, dropout
        )


def _convolution(width_in: int, width_out: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(width_out), nn.ReLU()]


def _head(num_features: int, hidden: Sequence[int], num_out: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(num_features, width), nn.ReLU(), nn.Dropout(dropout)]
        num_features = width
    return nn.Sequential(*layers, nn.Linear(num_features, num_out))


def _initialise_as_in_paper(layer: nn.Module, weight_sd: float) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        # TensorFlow's truncated normal redraws beyond two standard deviations.
        nn.init.trunc_normal_(layer.weight, std=weight_sd, a=-2 * weight_sd, b=2 * weight_sd)
        assert layer.bias is not None
        nn.init.constant_(layer.bias, 0.1)


def patches_to_input(patches: Tensor) -> Float[Tensor, "B C P P"]:
    """Network input in [0, 1] from patches of 8-bit working volumes, in the autocast precision."""
    kind = patches.device.type
    lower = torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if lower else torch.float32
    # Channels last is the fastest layout for convolutions; reordered while still 8 bits wide.
    return patches.contiguous(memory_format=torch.channels_last).to(dtype).mul_(1 / 255)
