"""Training samples: random points in shape space, and the 2.5D patches cut there."""

import copy

import torch

from pin_lightning.augmentation import Augmentation
from pin_lightning.geometry import Grid
from pin_lightning.intensity import change_intensity
from pin_lightning.patches import BorderedVolumes, cut_patches
from pin_lightning.shape_models import ShapeModel
from pin_lightning.types import Float, Int, Num, Tensor
from pin_lightning.warped_patches import cut_warped_patches
from pin_lightning.warps import Warp


class ShapePatchSampler:
    """Draws shape parameters at random and cuts the patches of the shapes they stand for.

    Args:
        shape_model: Fitted shape model.
        grid: Working grid of the volumes.
        patch_side: Patch side P in voxels, odd.
        interpolation: ``nearest`` or ``linear``.
        approach_fraction: Share of samples moved towards the truth; 0 in the paper.
        augmentation: Of patches and landmarks, drawn for each sample.
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
        augmentation: Augmentation,
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
        warp: Warp | None = None,
    ) -> Num[Tensor, "N C P P"]:
        """Patches at N points in shape space.

        Args:
            bordered: Volumes with their border.
            volume_index: Which of them each point lies in.
            parameters: The points.
            warp: Maps to the volumes from those that the points lie in.
        """
        centres_mm = self.shape_model.decode(parameters)
        settings = (self.patch_side, self.interpolation)
        if warp is None:
            positions_ijk = self.grid.mm_to_ijk(centres_mm)
            return cut_patches(bordered, volume_index, positions_ijk, *settings)
        return cut_warped_patches(bordered, volume_index, centres_mm, warp, self.grid, *settings)

    def samples(
        self,
        bordered: BorderedVolumes,
        volume_index: Int[Tensor, " N"],
        landmarks_mm: Float[Tensor, "N L 3"],
    ) -> dict[str, Tensor]:
        """N training samples, augmented.

        The truth of a sample is what the shape model makes of the landmarks in its augmented
        volume; a PCA knows only shapes like those it was fitted to, and takes the nearest.

        Args:
            bordered: Volumes with their border.
            volume_index: Which of them each sample comes from.
            landmarks_mm: Landmarks of each sample's volume, grid mm.

        Returns:
            ``patches`` [N, C, P, P], ``parameters`` [N, K] and ``true_parameters`` [N, K] in mm
            (paper, "Network Input" and "Multiple Landmarks").
        """
        augmentation, count = self.augmentation, len(volume_index)
        warp = augmentation.draw_warp(count, self.grid, self.generator)
        if warp is not None:
            landmarks_mm = augmentation.move_landmarks(warp, landmarks_mm)
        true_parameters = self.shape_model.encode(landmarks_mm)
        parameters = self.draw(true_parameters)
        patches = self.cut(bordered, volume_index, parameters, warp)
        return {
            "patches": self._other_intensities(patches, parameters),
            "parameters": parameters,
            "true_parameters": true_parameters,
        }

    def _other_intensities(
        self, patches: Num[Tensor, "N C P P"], parameters: Float[Tensor, "N K"]
    ) -> Num[Tensor, "N C P P"]:
        if self.augmentation.intensity.is_identity:
            return patches
        intensity = self.augmentation.intensity.draw(len(patches), self.generator)
        centres_mm = self.shape_model.decode(parameters)
        return change_intensity(patches, centres_mm, intensity, self.grid, self.generator)
