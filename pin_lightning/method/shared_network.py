"""One network for all landmarks, told which of them it looks at."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.patches import check_patch_side


class SharedNetwork(nn.Module):
    """The same convolutions at each landmark; an embedding and linear heads of its own.

    Each landmark's displacement depends on its own patches alone, and the cost is linear in their
    number. Features are multiplied by the embedding. All heads start at zero, so that an untrained
    network does not move.

    Args:
        in_channels: Patch channels C of all landmarks.
        num_parameters: Shape parameters K, three for each landmark.
        patch_side: Patch side P, odd.
        widths: Maps of each convolution block; every block halves the side. The first does so by a
            5 x 5 convolution with a stride of 2: a third of the time of a pooled 3 x 3 one, and as
            accurate.
        hidden: Widths of the fully connected layers before the heads.
        dropout: Drop-out after each of them.
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
        super().__init__()
        self.num_groups = num_parameters // 3
        side = (check_patch_side(patch_side) + 1) // 2
        first = nn.Conv2d(in_channels // self.num_groups, widths[0], 5, stride=2, padding=2)
        layers: list[nn.Module] = [first, nn.ReLU()]
        for width_in, width_out in pairwise(widths):
            convolution = nn.Conv2d(width_in, width_out, 3, padding=1)
            layers += [convolution, nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()]
            side = (side + 1) // 2
        self.features = nn.Sequential(*layers)
        layers, sizes = [], (widths[-1] * side**2, *hidden)
        for width_in, width_out in pairwise(sizes):
            layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.embedding = nn.Parameter(torch.ones(self.num_groups, sizes[0]))
        # Three displacements and six directions.
        self.heads = nn.Parameter(torch.zeros(self.num_groups, 9, sizes[-1]))
        self.biases = nn.Parameter(torch.zeros(self.num_groups, 9))

    def forward(
        self, patches: Float[Tensor, "B C P P"]
    ) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K2"]]:
        """Displacement [B, 3 L] in the training unit and direction logits [B, 6 L]."""
        each = patches.unflatten(1, (self.num_groups, -1)).flatten(0, 1)
        each = each.contiguous(memory_format=torch.channels_last)
        features = self.features(each).flatten(1).unflatten(0, (-1, self.num_groups))
        hidden = self.hidden(features * self.embedding)
        outputs = torch.einsum("blh,loh->blo", hidden, self.heads) + self.biases
        return outputs[..., :3].flatten(1).float(), outputs[..., 3:].flatten(1).float()
