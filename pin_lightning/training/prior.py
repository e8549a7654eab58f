"""The prior of a training: the one of its config, or affine maps where there are few shapes."""

import logging
from collections.abc import Sequence
from copy import deepcopy

from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.settings import asked_settings
from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.shape_models import AffineShapeModel, PCAShapeModel, ShapeModel
from pin_lightning.method.shape_models.base import ENOUGH_SHAPES

log = logging.getLogger(__name__)

AFFINE = f"pin_lightning.method.shape_models.{AffineShapeModel.__name__}"


def fit_prior(
    config: DictConfig,
    prior: ShapeModel | None,
    shapes_mm: Float[Tensor, "M L 3"],
    extent_mm: Sequence[float],
) -> ShapeModel | None:
    """Fit a copy of the prior, or affine maps of the mean shape where a PCA knows too few shapes.

    Args:
        config: Its `model.prior` is set to what is fitted, so that the run's record says so.
        prior: Prior of the config, not fitted; None for none.
        shapes_mm: Training shapes.
        extent_mm: Extent of the working volume.

    Raises:
        ValueError: The prior cannot learn from the shapes.
    """
    if prior is None:
        return None
    if len(shapes_mm) < ENOUGH_SHAPES and type(prior) is PCAShapeModel and not _asked(config):
        prior = AffineShapeModel(prior.components)
        settings = {"_target_": AFFINE, "components": prior.components}
        OmegaConf.update(config, "model.prior", settings, merge=False)
        log.info("model.prior: affine maps of the mean shape, as only %d train", len(shapes_mm))
    try:
        return deepcopy(prior).fit(shapes_mm, extent_mm)
    except ValueError as error:
        raise ValueError(f"model.prior: {error}") from error


def _asked(config: DictConfig) -> bool:
    """Tell whether the command line names the prior, which then stays."""
    return any(f"{one}.".startswith("model.prior.") for one in asked_settings(config))
