"""Training samples: random points in shape space, and the 2.5D patches cut there."""

import copy

import torch

from pin_lightning.augmentation import AffineAugmentation
from pin_lightning.geometry import Grid
from pin_lightning.patches import BorderedVolumes, cut_patches
from pin_lightning.shape_models import ShapeModel
from pin_lightning.types import Float, Int, Num, Tensor


class ShapePatchSampler:
    """Draws shape parameters at random and cuts the patches of the shapes they stand for.

    Args:
        shape_model: Fitted shape model.
        grid: Working grid of the volumes.
        patch_side: Patch side P in voxels, odd.
        interpolation: ``nearest`` or ``linear``.
        approach_fraction: Share of samples moved towards the truth; 0 in the paper.
        augmentation: For volume and landmarks, each time a volume is visited.
        seed: Seed of the draws.
        device: Where samples are drawn and cut.

    Raises:
        ValueError: The share is not between 0 and 1.
    """

    def __init__(
        self,
        shape_model: ShapeModel,
        grid: Grid,
        patch_side: int,
        interpolation: str,
        approach_fraction: float,
        augmentation: AffineAugmentation,
        seed: int,
        device: torch.device = torch.device("cpu"),  # noqa: B008 (immutable)
    ) -> None:
        if not 0 <= approach_fraction <= 1:
            raise ValueError(
                f"model.approach_fraction={approach_fraction}: give a share between 0 and 1"
            )
        # A copy: the trained one moves to the device of the network.
        self.shape_model = copy.deepcopy(shape_model).to(device)
        self.grid = grid
        self.patch_side = patch_side
        self.interpolation = interpolation
        self.approach_fraction = approach_fraction
        self.augmentation = augmentation
        self.seed = seed
        self.generator = torch.Generator(device).manual_seed(seed)

    def on(self, device: torch.device) -> "ShapePatchSampler":
        """The same sampler on a device, from its first draw on; another device draws otherwise."""
        return ShapePatchSampler(
            self.shape_model,
            self.grid,
            self.patch_side,
            self.interpolation,
            self.approach_fraction,
            self.augmentation,
            self.seed,
            device,
        )

    def draw(self, true_parameters: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Shape parameters of N samples: uniform within +-3 SD, some moved towards the truth.

        The moved ones lie at a random point on the straight way from there to the truth, which is
        where the iteration goes.

        Args:
            true_parameters: Those of each sample's volume.
        """
        count, device = len(true_parameters), self.generator.device
        uniform = self.shape_model.sample(count, self.generator)
        moved, share = torch.rand(2, count, 1, generator=self.generator, device=device)
        distance = torch.where(moved < self.approach_fraction, share, 1.0)
        return true_parameters + distance * (uniform - true_parameters)

    def cut(
        self,
        bordered: BorderedVolumes,
        volume_index: Int[Tensor, " N"],
        parameters: Float[Tensor, "N K"],
    ) -> Num[Tensor, "N C P P"]:
        """Patches at N points in shape space.

        Args:
            bordered: Volumes with their border.
            volume_index: Which of them each point lies in.
            parameters: The points.
        """
        positions_ijk = self.grid.mm_to_ijk(self.shape_model.decode(parameters))
        return cut_patches(
            bordered, volume_index, positions_ijk, self.patch_side, self.interpolation
        )
