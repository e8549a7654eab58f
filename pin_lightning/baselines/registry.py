"""Names of the systems beside PIN."""

from collections.abc import Mapping

from pin_lightning.baselines.action_map import ActionMap
from pin_lightning.baselines.agent import Agent
from pin_lightning.baselines.base import System
from pin_lightning.baselines.heatmap import HeatmapRegression
from pin_lightning.baselines.patch_classification import PatchClassification
from pin_lightning.baselines.patch_voting import PatchVoting
from pin_lightning.baselines.registration import AtlasRegistration

SYSTEMS: Mapping[str, type[System]] = {
    one.name: one
    for one in (
        ActionMap,
        AtlasRegistration,
        HeatmapRegression,
        PatchClassification,
        PatchVoting,
        Agent,
    )
}
