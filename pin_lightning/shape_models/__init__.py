"""Shape models: what a point in shape space means as a set of landmarks."""

from pin_lightning.shape_models.base import ShapeModel
from pin_lightning.shape_models.identity import IdentityShapeModel
from pin_lightning.shape_models.pca import PCAShapeModel

__all__ = ["IdentityShapeModel", "PCAShapeModel", "ShapeModel"]
