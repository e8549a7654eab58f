"""The affine shape model: a mean shape moved by an affine map, plus modes of what that leaves."""

from collections.abc import Sequence

import torch

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.shape_models.base import (
    check_shapes,
    scatter_variance,
    usual_scatter_mm,
)
from pin_lightning.method.shape_models.pca import PCAShapeModel

AFFINE_LANDMARKS = 8  # with fewer, an affine map (12 numbers) would follow single landmarks
_FLAT = 1e-4  # share of the largest extent below which a shape has none


class AffineShapeModel(PCAShapeModel):
    """``X = mean + W b``: the first modes are maps of the mean shape; one shape is enough to fit.

    Shifts and linear maps of a mean shape move its landmarks linearly, so that the shapes made by
    them are a linear space like that of a PCA: encoding and decoding is the least-squares fit of
    the map. With fewer than `AFFINE_LANDMARKS` landmarks the maps are similarities: shifts, a
    scale, and rotations, which are linear for small angles. Maps that move no landmark, as of
    landmarks in a plane or on a line, have no mode. Other modes are those of a PCA of the shapes
    without the part that the maps explain.

    Args:
        components: Number of modes besides the maps, or when below 1 the share of the remaining
            variance to explain, as for PCA; 0 has none.

    Attributes:
        modes_: Orthonormal modes [K, 3 L], those of the maps first.
    """

    def __init__(self, components: float = 0.98) -> None:
        super().__init__(components)

    def fit(
        self, shapes_mm: Float[Tensor, "M L 3"], extent_mm: Sequence[float]
    ) -> "AffineShapeModel":
        """Learn the mean, and the modes of what maps of the mean cannot explain.

        Raises:
            ValueError: More components than the shapes can give.
        """
        shapes = check_shapes(shapes_mm).double().cpu()
        mean, number = shapes.mean(dim=0), len(shapes)
        deviations = (shapes - mean).flatten(1)
        maps = map_modes(mean)
        rest = deviations - deviations @ maps.T @ maps
        modes = torch.cat([maps, self._modes_of(rest, float(mean.std()) * _FLAT)])
        own = (deviations @ modes.T).square().sum(dim=0) / max(1, number - 1)
        # The usual scatter of all coordinates, shared by the modes.
        usual_mm = usual_scatter_mm(mean, extent_mm) * (mean.numel() / len(modes)) ** 0.5
        self.mean_mm_, self.modes_ = mean.float(), modes.float().contiguous()
        self.sd_ = scatter_variance(own, usual_mm, number).sqrt().float()
        return self

    def _modes_of(self, rest: Float[Tensor, "M D"], least_mm: float) -> Float[Tensor, "K D"]:
        """PCA modes of what is left of the shapes; none of nothing."""
        if self.components == 0 or len(rest) < 2 or rest.abs().max() <= least_mm:
            return rest[:0]
        left = PCAShapeModel(self.components).fit(rest.unflatten(1, (-1, 3)), ())
        # They are orthogonal to the maps but for rounding.
        return left.modes_.double()


def map_modes(mean_mm: Float[Tensor, "L 3"]) -> Float[Tensor, "K D"]:
    """Orthonormal basis of the movements [3 L] of a shape's landmarks by affine maps of it.

    Similarities with fewer than `AFFINE_LANDMARKS` landmarks. At most 12 or 7 modes.
    """
    centred = mean_mm - mean_mm.mean(dim=0)
    shifts = torch.eye(3).to(mean_mm).repeat(1, len(mean_mm))
    if len(mean_mm) >= AFFINE_LANDMARKS:
        linear = torch.eye(9).to(mean_mm).view(9, 3, 3)
    else:
        linear = _similarities().to(mean_mm)
    moved = torch.einsum("kij,lj->kli", linear, centred).flatten(1)
    # Shifts are orthogonal to the others, which have no mean.
    values, basis = torch.linalg.svd(moved, full_matrices=False)[1:]
    largest = values.max()
    kept = basis[values > _FLAT * largest] if largest > 0 else basis[:0]
    return torch.cat([shifts / len(mean_mm) ** 0.5, kept])


def _similarities() -> Float[Tensor, "4 3 3"]:
    """Scaling, and rotation by small angles about each axis."""
    eye = torch.eye(3)
    turns = [torch.linalg.cross(axis.expand(3, 3), eye, dim=1).T for axis in eye]
    return torch.stack([eye, *turns])
