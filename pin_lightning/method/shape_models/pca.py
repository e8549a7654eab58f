"""The PCA shape model: landmarks as a mean shape and K modes of variation (paper, Eq. 3 and 4)."""

from collections.abc import Sequence

import torch

from pin_lightning.common.settings import is_number
from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.shape_models.base import ShapeModel, check_shapes


class PCAShapeModel(ShapeModel):
    """``X = mean + W b`` with orthonormal modes W: one unit of b is one mm of landmark motion.

    Args:
        components: Number of modes, or when below 1 the share of variance to explain (the paper's
            99.5 % is 0.995).

    Attributes:
        modes_: Orthonormal modes of variation [K, 3 L], largest variance first.
    """

    modes_: Tensor

    def __init__(self, components: float = 0.995) -> None:
        super().__init__()
        self.components = components
        self.register_buffer("modes_", torch.zeros(0, 0))

    def fit(self, shapes_mm: Float[Tensor, "M L 3"], extent_mm: Sequence[float]) -> "PCAShapeModel":
        """Learn mean, modes and their standard deviations by scikit-learn's PCA.

        Raises:
            ValueError: Fewer than two shapes, or more components than the shapes can give.
        """
        from sklearn.decomposition import PCA  # heavy, and not needed to predict

        flat = check_shapes(shapes_mm).flatten(1).double().cpu().numpy()
        pca = PCA(self._check_components(*flat.shape), svd_solver="full").fit(flat)
        self.mean_mm_ = torch.from_numpy(pca.mean_).float().unflatten(0, (-1, 3))
        self.modes_ = torch.from_numpy(pca.components_).float().contiguous()
        self.sd_ = torch.from_numpy(pca.explained_variance_).float().sqrt()
        return self

    def encode(self, landmarks_mm: Float[Tensor, "*batch L 3"]) -> Float[Tensor, "*batch K"]:
        """``b = W^T (X - mean)``, Eq. 4."""
        return (landmarks_mm - self.mean_mm_).flatten(-2) @ self.modes_.transpose(0, 1)

    def decode(self, parameters: Float[Tensor, "*batch K"]) -> Float[Tensor, "*batch L 3"]:
        """``X = mean + W b``, Eq. 3."""
        return self.mean_mm_ + (parameters @ self.modes_).unflatten(-1, (-1, 3))

    def _check_components(self, num_shapes: int, num_coordinates: int) -> int | float:
        most = min(num_shapes - 1, num_coordinates)
        if most < 1:
            raise ValueError(
                f"shape=pca: needs at least 2 training cases, there is {num_shapes}; "
                f"give model=shared (the presets), for which one is enough"
            )
        if is_number(self.components) and 0 < self.components < 1:
            return float(self.components)
        whole = is_number(self.components) and self.components == int(self.components)
        if not whole or not 1 <= self.components <= most:
            raise ValueError(
                f"shape.components={self.components}: give a share of variance below 1, "
                f"or a number from 1 to {most} (training cases - 1, at most 3 per landmark)"
            )
        return int(self.components)
