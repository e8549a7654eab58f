"""Two-head CNN: shared convolutions, one head for displacement and one for direction (Fig. 2c)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import nn

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.patches import check_patch_side

# Displacement in the training unit, and logits of the directions.
Outputs: TypeAlias = tuple[Float[Tensor, "B K"], Float[Tensor, "B K2"]]


class TwoHeadCNN(nn.Module):
    """Convolutional features shared by a displacement and a direction head.

    Args:
        features: Convolutions, from patches [B, C, P, P] to a map of any size.
        num_features: Length of the flattened map.
        num_parameters: Shape parameters K.
        hidden: Widths of the fully connected layers of each head.
        dropout: Dropout rate after each of them.
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
        self.displacement_head = head(num_features, hidden, num_parameters, dropout)
        self.direction_head = head(num_features, hidden, 2 * num_parameters, dropout)

    def forward(self, patches: Float[Tensor, "B C P P"]) -> Outputs:
        """Displacement [B, K] in the training unit and direction logits [B, 2 K]."""
        features = self.features(patches).flatten(1)
        displacement, logits = self.displacement_head(features), self.direction_head(features)
        return displacement.float(), logits.float()


class PaperNetwork(TwoHeadCNN):
    """The network of the paper, weight for weight (Fig. 2c, and the authors' code).

    Five unpadded 3x3 convolutions of 32 to 512 maps, each with ReLU and 2x2 max-pooling; two heads
    of FC 1024 - FC 1024 - FC out with dropout 0.5. Weights start truncated normal, biases at 0.1.

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
            # ReLU after pooling: the same values and gradients for a quarter of the work.
            layers += [nn.Conv2d(width_in, width_out, 3), nn.MaxPool2d(2), nn.ReLU()]
            side = (side - 2) // 2
        super().__init__(
            nn.Sequential(*layers), 512 * side**2, num_parameters, hidden=(1024, 1024), dropout=0.5
        )
        self.apply(lambda layer: _initialise_as_in_paper(layer, weight_sd))


class CompactNetwork(TwoHeadCNN):
    """A smaller network for any odd patch side: padded convolutions, pooling that rounds up.

    Batch normalisation lets it learn in minutes rather than hours.

    Args:
        in_channels: Patch channels C.
        num_parameters: Shape parameters K.
        patch_side: Patch side P.
        widths: Maps of each convolution block; every block halves the side.
        hidden: Widths of the fully connected layers of each head.
        dropout: Dropout rate after each of them.
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
        features, num_features = compact_features(in_channels, patch_side, widths)
        super().__init__(features, num_features, num_parameters, hidden, dropout)


def compact_features(
    in_channels: int, patch_side: int, widths: Sequence[int]
) -> tuple[nn.Sequential, int]:
    """Convolutions of `CompactNetwork`, and the length of their flattened map."""
    # The first block strides instead of pooling: on all 3 L channels at full size a dense
    # convolution would cost more than the others together.
    layers = _convolution(in_channels, widths[0], stride=2)
    side = (check_patch_side(patch_side) + 1) // 2
    for width_in, width_out in pairwise(widths):
        *convolution, rectify = _convolution(width_in, width_out)
        layers += [*convolution, nn.MaxPool2d(2, ceil_mode=True), rectify]
        side = (side + 1) // 2
    return nn.Sequential(*layers), widths[-1] * side**2


def _convolution(width_in: int, width_out: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(width_out), nn.ReLU()]


def head(num_features: int, hidden: Sequence[int], num_out: int, dropout: float) -> nn.Sequential:
    """Fully connected layers with ReLU and dropout, and a linear one."""
    sizes = (num_features, *hidden)
    return nn.Sequential(*_hidden_layers(sizes, dropout), nn.Linear(sizes[-1], num_out))


def _hidden_layers(sizes: Sequence[int], dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(sizes):
        layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout)]
    return layers


def _initialise_as_in_paper(layer: nn.Module, weight_sd: float) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        # TensorFlow's truncated normal redraws beyond two standard deviations.
        nn.init.trunc_normal_(layer.weight, std=weight_sd, a=-2 * weight_sd, b=2 * weight_sd)
        assert layer.bias is not None
        nn.init.constant_(layer.bias, 0.1)


def patches_to_input(patches: Tensor) -> Float[Tensor, "B C P P"]:
    """Scale patches of 8-bit working volumes to [0, 1], in the autocast precision."""
    kind = patches.device.type
    lower = torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if lower else torch.float32
    # Channels last is the fastest layout for convolutions; reordered while still 8 bits wide.
    return patches.contiguous(memory_format=torch.channels_last).to(dtype).mul_(1 / 255)


class LandmarkNetwork(nn.Module):
    """Convolutions shared by all landmarks; each has an embedding and linear heads of its own.

    What it says of a landmark depends on its own patches alone, and the cost is linear in the
    number of landmarks. Features are multiplied by the embedding. All heads start at zero.

    Args:
        num_landmarks: Landmarks G.
        in_channels: Patch channels C of one landmark.
        num_outputs: Outputs Q of each landmark.
        patch_side: Patch side P, odd.
        widths: Maps of each convolution block; every block halves the side, the first by a 5 x 5
            convolution with stride 2: as accurate as a pooled 3 x 3 one in a third of the time.
        hidden: Widths of the fully connected layers before the heads.
        dropout: Dropout rate after each of them.
    """

    def __init__(
        self,
        num_landmarks: int,
        in_channels: int,
        num_outputs: int,
        patch_side: int,
        widths: Sequence[int] = (32, 64, 128, 128),
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_groups = num_landmarks
        side = (check_patch_side(patch_side) + 1) // 2
        first = nn.Conv2d(in_channels, widths[0], 5, stride=2, padding=2)
        layers: list[nn.Module] = [first, nn.ReLU()]
        for width_in, width_out in pairwise(widths):
            convolution = nn.Conv2d(width_in, width_out, 3, padding=1)
            layers += [convolution, nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()]
            side = (side + 1) // 2
        self.features = nn.Sequential(*layers)
        sizes = (widths[-1] * side**2, *hidden)
        self.hidden = nn.Sequential(*_hidden_layers(sizes, dropout))
        self.embedding = nn.Parameter(torch.ones(num_landmarks, sizes[0]))
        self.heads = nn.Parameter(torch.zeros(num_landmarks, num_outputs, sizes[-1]))
        self.biases = nn.Parameter(torch.zeros(num_landmarks, num_outputs))

    def outputs(
        self,
        patches: Float[Tensor, "B g C P P"],
        which: Sequence[int] | slice | Tensor = slice(None),
    ) -> Float[Tensor, "B g Q"]:
        """Outputs of the landmarks whose patches are given: all, or `which`."""
        each = patches.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        features = self.features(each).flatten(1).unflatten(0, (-1, patches.shape[1]))
        hidden = self.hidden(features * self.embedding[which])
        return torch.einsum("blh,loh->blo", hidden, self.heads[which]) + self.biases[which]


class SharedNetwork(LandmarkNetwork):
    """Displacement and direction of each landmark (`LandmarkNetwork`).

    An untrained network predicts no displacement.

    Args:
        in_channels: Patch channels C of all landmarks.
        num_parameters: Shape parameters K, three for each landmark.
        patch_side: Patch side P, odd.
        widths: As of `LandmarkNetwork`.
        hidden: Likewise.
        dropout: Likewise.
    """

    def __init__(
        self,
        in_channels: int,
        num_parameters: int,
        patch_side: int,
        widths: Sequence[int] = (32, 64, 128, 128),
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        number = num_parameters // 3
        # Three displacements and six directions.
        settings = (number, in_channels // number, 9, patch_side, widths, hidden, dropout)
        super().__init__(*settings)

    def forward(self, patches: Float[Tensor, "B C P P"]) -> Outputs:
        """Displacement [B, 3 L] in the training unit and direction logits [B, 6 L]."""
        outputs = self.outputs(patches.unflatten(1, (self.num_groups, -1)))
        return outputs[..., :3].flatten(1).float(), outputs[..., 3:].flatten(1).float()
