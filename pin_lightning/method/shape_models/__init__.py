"""Shape models: maps between points in shape space and sets of landmarks."""

from pin_lightning.method.shape_models.affine import AffineShapeModel
from pin_lightning.method.shape_models.autoencoder import AutoencoderShapeModel
from pin_lightning.method.shape_models.base import ShapeModel
from pin_lightning.method.shape_models.identity import IdentityShapeModel
from pin_lightning.method.shape_models.pca import PCAShapeModel
from pin_lightning.method.shape_models.points import PointsShapeModel

__all__ = [
    "AffineShapeModel",
    "AutoencoderShapeModel",
    "IdentityShapeModel",
    "PCAShapeModel",
    "PointsShapeModel",
    "ShapeModel",
]
