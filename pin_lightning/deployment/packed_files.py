"""The files of a packed run: what is read to predict, without what tells of cases and machines.

Everything is read by the functions that predict, and written anew in the present format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.files import write_text
from pin_lightning.data.splits import Split
from pin_lightning.reports.pages.run_facts import without_folders
from pin_lightning.runs.folder import (
    CHECKPOINTS,
    CONFIG,
    FIRST_STAGE,
    LAST_CHECKPOINT,
    PREDICTIONS,
    best_checkpoint,
    read_model,
    read_record,
    write_record,
)
from pin_lightning.runs.folds import (
    config_of,
    fold_folder,
    is_folds_folder,
    read_calibration,
    read_folds,
    write_calibration,
    write_folds,
)
from pin_lightning.runs.model import LOCALIZER_PREFIX, read_weights
from pin_lightning.runs.pose_stage import (
    FINDER_PREFIX,
    pose_folder,
    read_pose_record,
    write_pose_record,
)

# Settings that are packed, whole or in part: how the model was made, and what predictions need.
_WHOLE = (
    *("seed", "system", "model", "shape", "network", "update_rule", "pose", "report"),
    *("sampling", "displacement_loss", "augmentation"),
)
_PARTS = {
    "trainer": ("max_steps", "precision"),
    "loader": ("batch_size",),
    "data": (
        "spacing_mm",
        "grid_size",
        "rename",
        "mirror_pairs",
        "mirror_axis",
        "planes",
        "suffix",
    ),
}


def write_files(run: Path, folder: Path, name: str) -> None:
    """Write what is packed of a run, or of the folds of a cross-validation, into an empty folder.

    Args:
        run: Folder of the run.
        folder: Receives the files of a run folder that predicts the same.
        name: Name of the model, which becomes that of the run.

    Raises:
        ValueError: The run lacks a file, or one is damaged.
    """
    unnamed = Unnamed()
    config = packed_settings(config_of(run), name)
    write_text(folder / CONFIG, OmegaConf.to_yaml(config))
    if is_folds_folder(run):
        folds = read_folds(run)
        write_folds(folder, len(folds))
        for index, fold in enumerate(folds):
            target = fold_folder(folder, index)
            _write_run(fold, target, unnamed)
            write_text(target / PREDICTIONS, "")  # that the fold is finished
    else:
        folds = [run]
        _write_run(run, folder, unnamed)
    calibration = read_calibration(run, read_record(folds[0]).names)
    if calibration is not None:
        write_calibration(folder, calibration)


class Unnamed:
    """Cases without their names: the same one has the same number in all records of a model."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> tuple[str, ...]:
        """Numbered names in place of those of cases.

        >>> Unnamed().of(["ANNA", "BERT", "ANNA"])
        ('unnamed case 1', 'unnamed case 2', 'unnamed case 1')
        """
        numbers = self._numbers
        return tuple(f"unnamed case {numbers.setdefault(one, len(numbers) + 1)}" for one in names)


def packed_settings(config: DictConfig, name: str) -> DictConfig:
    """Settings of a run without data, folders, command line and loggers."""
    given: Any = OmegaConf.to_container(config)
    kept: dict[str, Any] = {"run_name": name}
    kept |= {key: given[key] for key in _WHOLE if key in given}
    for group, keys in _PARTS.items():
        own: Mapping[str, Any] = given.get(group) or {}
        kept[group] = {key: own[key] for key in keys if key in own}
    if "run" in kept["pose"]:
        kept["pose"]["run"] = None
    if "report" in kept:
        kept["report"]["others"] = {}
    return OmegaConf.create(without_folders(kept))


def _write_run(run: Path, folder: Path, unnamed: Unnamed) -> None:
    record, model, weights = read_record(run), read_model(run), best_checkpoint(run)
    split = record.split
    split = Split(*map(unnamed.of, (split.train, split.val, split.test)))
    write_record(folder, model, replace(record, split=split))
    _copy_weights(weights, LOCALIZER_PREFIX, folder / CHECKPOINTS / weights.name)
    if model.pose is not None:
        pose = read_pose_record(run)
        write_pose_record(folder, replace(pose, trained_on=unnamed.of(pose.trained_on)))
        source, target = (pose_folder(one) / LAST_CHECKPOINT for one in (run, folder))
        _copy_weights(source, FINDER_PREFIX, target)
    if (run / FIRST_STAGE).is_dir():
        _write_run(run / FIRST_STAGE, folder / FIRST_STAGE, unnamed)


def _copy_weights(source: Path, prefix: str, target: Path) -> None:
    """Write the weights of a checkpoint alone, bit by bit, without states, folders and dates."""
    # Copies: a view would bring along all that it is a view of.
    state = {f"{prefix}{name}": one.clone() for name, one in read_weights(source, prefix).items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state}, target)
