"""The choice of frame by the settings of ``pose``."""

from collections.abc import Callable, Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.settings import check_count, is_number
from pin_lightning.data.framing import AsScanned, ByLandmarks, Framing, InAnatomy
from pin_lightning.data.splits import Split
from pin_lightning.data.survey import Survey
from pin_lightning.method.pose.finder import check_finder
from pin_lightning.runs.folder import read_model
from pin_lightning.runs.folds import fold_folder, is_folds_folder
from pin_lightning.runs.model_record import POSE_SETTINGS
from pin_lightning.runs.pose_stage import read_pose_record

COVERED_DEGREES = 40.0  # by patches and a shape model that have seen turned shapes
COVERED_SDS = 3.0  # of the rotations of the augmentation


def _as_scanned(config: DictConfig) -> Framing:
    return AsScanned()


def _find(config: DictConfig) -> InAnatomy:
    if config.pose.run is None:
        return InAnatomy(config.pose.with_scale)
    return InAnatomy(anatomy=read_pose_record(reused_run(config)).anatomy)


def _auto(config: DictConfig) -> Framing:
    covered = config.pose.covered_degrees
    if covered is None:
        sd = config.augmentation.get("rotation_sd_degrees", 0.0)
        covered = max(COVERED_DEGREES, COVERED_SDS * sd)
    return ByLandmarks(float(covered), _find(config))


KINDS: Mapping[str, Callable[[DictConfig], Framing]] = {
    "as_scanned": _as_scanned,
    "find": _find,
    "auto": _auto,
}


def reused_run(config: DictConfig) -> Path:
    """Run folder of ``pose.run``; of folds, the fold that is trained, the first while none is."""
    folder, fold = Path(config.pose.run), config.data.split.fold
    return fold_folder(folder, fold or 0) if is_folds_folder(folder) else folder


def check_reused(config: DictConfig, split: Split) -> None:
    """Check that a reused pose stage was not trained on cases that are measured on here.

    Raises:
        ValueError: It was.
    """
    if config.pose.run is None or config.pose.kind == "as_scanned":
        return
    seen = {*read_pose_record(reused_run(config)).trained_on} & {*split.test, *split.val}
    if seen:
        raise ValueError(
            f"pose.run={config.pose.run}: {', '.join(sorted(seen))} trained it and would be "
            f"measured on here; give a run with the same data.split"
        )


def check_pose(config: DictConfig) -> None:
    """Raise a ValueError for wrong settings of ``pose``."""
    pose = config.pose
    if pose.kind not in KINDS:
        raise ValueError(f"pose.kind={pose.kind}: give one of {', '.join(KINDS)}")
    if pose.kind == "as_scanned":
        return
    check_finder(*(pose[name] for name in POSE_SETTINGS))
    for name in ("steps", "batch_size"):
        check_count(f"pose.{name}", pose[name])
    check_count("pose.calibration_folds", pose.calibration_folds, least=0)
    spacings = list(pose.spacings)
    if not spacings or not all(is_number(one) and 0 < one < 1 for one in spacings):
        raise ValueError(
            f"pose.spacings={spacings}: give shares of the anatomy's extent between 0 and 1"
        )
    if sorted(set(spacings)) != spacings:
        raise ValueError(f"pose.spacings={spacings}: give different ones, the finest first")
    if pose.run is not None and read_model(reused_run(config)).pose is None:
        raise ValueError(f"pose.run={pose.run}: has no pose stage; give one of pose=find, or null")


def framing_of(config: DictConfig) -> Framing:
    """Make what chooses the frame of the working volumes."""
    return KINDS[config.pose.kind](config)


def settle(config: DictConfig, surveyed: Survey) -> None:
    """Set, in place, the kind that the data decided, and what a reused stage was made with."""
    framed = surveyed.framed
    config.pose.kind = "as_scanned" if framed.anatomy is None else "find"
    if framed.spread is not None:
        OmegaConf.update(
            config, "pose.found_degrees", round(framed.spread.largest_degrees, 2), force_add=True
        )
    if framed.anatomy is not None and config.pose.run is not None:
        part = read_model(reused_run(config)).pose
        assert part is not None
        for name in POSE_SETTINGS:
            config.pose[name] = part.settings[name]
