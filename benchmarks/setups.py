"""The two configurations that are timed: the paper's, and that of `model=multi`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.precision import network_dtype
from pin_lightning.common.types import Float, Tensor, UInt8
from pin_lightning.data.volume_facts import VolumeFacts, write_facts
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.networks import CompactNetwork, PaperNetwork, TwoHeadCNN
from pin_lightning.method.patches import BorderedVolumes, add_border
from pin_lightning.method.sampling import Approach
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.method.update_rules import RuleB, RuleC, UpdateRule
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.module import PINModule
from pin_lightning.training.samples.sampler import ShapePatchSampler

BATCH = 64


@dataclass(frozen=True)
class Setup:
    """A configuration on random volumes: time does not depend on what they show.

    Attributes:
        name: What the rows are called.
        size: Voxels of a working volume.
        spacing_mm: Their side.
        landmarks: Landmarks L.
        components: Shape parameters K.
        patch_side: Patch side P.
        network: Kind of network.
        rule: Update rule.
        device: Where it runs.
        volumes: How many volumes to draw from.
    """

    name: str
    size: tuple[int, int, int]
    spacing_mm: float
    landmarks: int
    components: int
    patch_side: int
    network: type[PaperNetwork | CompactNetwork]
    rule: Callable[[], UpdateRule]
    device: torch.device
    volumes: int = 16

    @property
    def grid(self) -> Grid:
        """Working grid."""
        return Grid(self.size, self.spacing_mm)

    @cached_property
    def intensities(self) -> UInt8[Tensor, "V X Y Z"]:
        """The volumes, on the CPU."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.volumes, *self.size)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)

    @cached_property
    def bordered(self) -> BorderedVolumes:
        """The volumes as `loader=resident` lays them out."""
        return add_border(self.intensities, turned=True).to(self.device)

    @cached_property
    def shapes_mm(self) -> Float[Tensor, "V L 3"]:
        """Landmarks of each volume, scattered as in the paper: 10 mm in a volume of 160 mm."""
        generator = torch.Generator().manual_seed(1)
        extent = torch.tensor(self.grid.extent_mm)
        mean = (torch.rand(self.landmarks, 3, generator=generator) - 0.5) * 0.6 * extent
        scatter = torch.randn(self.volumes, self.landmarks, 3, generator=generator)
        return mean + 0.04 * extent.max() * scatter

    @cached_property
    def shape_model(self) -> PCAShapeModel:
        """PCA of these shapes."""
        return PCAShapeModel(self.components).fit(self.shapes_mm, self.grid.extent_mm)

    def build(self) -> TwoHeadCNN:
        """A fresh network."""
        torch.manual_seed(0)
        return self.network(3 * self.landmarks, self.components, self.patch_side)

    def localizer(self, network: TwoHeadCNN | None = None) -> Localizer:
        """The localizer of a network, six starts."""
        made = Localizer(
            self.build() if network is None else network,
            PCAShapeModel(self.components).fit(self.shapes_mm, self.grid.extent_mm),
            self.rule(),
            self.grid,
            self.patch_side,
        ).to(self.device)
        made.network_dtype = network_dtype(self.device)
        return made

    def module(self) -> PINModule:
        """Trainings to time: what Lightning trains."""
        optimizer = partial(torch.optim.Adam, lr=1e-4, fused=True)
        return PINModule(self.localizer(), 0.5, optimizer)

    def write_volumes(self, folder: Path) -> list[Path]:
        """The volumes as cached working volumes."""
        paths = []
        for number, intensity in enumerate(self.intensities):
            image = nib.Nifti1Image(intensity.numpy(), np.diag([*3 * [self.spacing_mm], 1]))
            write_facts(image.header, VolumeFacts(low=0, high=255, digest=f"{number:016x}"))
            paths.append(folder / f"{number}.nii")
            nib.save(image, paths[-1])
        return paths

    def sampler(self, device: torch.device) -> ShapePatchSampler:
        """Draws and cuts training samples."""
        none = Augmentation()
        settings = (self.grid, self.patch_side, "nearest", Approach(0.0), none, 0)
        return ShapePatchSampler(self.shape_model, *settings).on(device)


def setups(device: torch.device) -> list[Setup]:
    """The configurations."""
    paper = Setup(
        "paper", (324, 207, 279), 0.5, 10, 15, 101, PaperNetwork, partial(RuleC, 10), device
    )
    multi = Setup(
        "multi, 45 landmarks",
        (158, 116, 106),
        0.19,
        45,
        10,
        47,
        CompactNetwork,
        partial(RuleB, 10),
        device,
    )
    return [paper, multi]
