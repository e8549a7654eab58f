"""Names of the systems beside PIN."""

from collections.abc import Mapping

from pin_lightning.baselines.base import System
from pin_lightning.baselines.heatmap import HeatmapRegression

SYSTEMS: Mapping[str, type[System]] = {one.name: one for one in (HeatmapRegression,)}
