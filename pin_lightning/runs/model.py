"""The model of a run: built from its config, loaded from its checkpoint."""

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from pin_lightning.common.geometry import Grid
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.pyramid import check_spacings
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.method.update_rules import UpdateRule
from pin_lightning.runs.folder import (
    FIRST_STAGE,
    RunRecord,
    best_checkpoint,
    read_config,
    read_record,
)

LOCALIZER_PREFIX = "localizer."


def build_localizer(
    config: DictConfig,
    shape_model: ShapeModel,
    grid: Grid,
    num_landmarks: int,
    num_parameters: int,
    prior: ShapeModel | None = None,
    first_stage: Localizer | None = None,
    update_rule: UpdateRule | None = None,
) -> Localizer:
    """The localizer that a config describes, with fresh network weights.

    Args:
        config: Resolved settings of a run.
        shape_model: Fitted, or about to be loaded.
        grid: Working grid.
        num_landmarks: Landmarks L.
        num_parameters: Shape parameters K.
        prior: Fitted `model.prior`; none makes one that is about to be loaded.
        first_stage: Where its starts begin; none begins at those of the shape model.
        update_rule: That of the config; none makes it.
    """
    model = config.model
    spacings = check_spacings(model.patch_spacings)
    network = instantiate(
        config.network,
        in_channels=3 * num_landmarks * len(spacings),
        num_parameters=num_parameters,
        patch_side=model.patch_side,
        _convert_="all",
    )
    return Localizer(
        network,
        shape_model,
        instantiate(config.update_rule) if update_rule is None else update_rule,
        grid,
        patch_side=model.patch_side,
        interpolation=model.interpolation,
        displacement_unit=model.displacement_unit,
        num_starts=model.num_starts,
        tolerance_mm=model.tolerance_voxels * grid.spacing_mm,
        seed=config.seed,
        patch_spacings=spacings,
        prior=instantiate(model.prior) if prior is None else prior,
        prior_share=model.prior_share,
        first_stage=first_stage,
        precision=config.trainer.precision,
    )


def load_localizer(run_dir: Path) -> tuple[Localizer, RunRecord]:
    """Localizer of a run with its best weights and its first stage, and the run's record.

    Raises:
        ValueError: The folder lacks a file, or a file is damaged or of another version.
    """
    record, config = read_record(run_dir), read_config(run_dir)
    first = run_dir / FIRST_STAGE
    localizer = build_localizer(
        config,
        instantiate(config.shape),
        record.grid,
        len(record.names),
        record.num_parameters,
        first_stage=load_localizer(first)[0] if first.is_dir() else None,
    )
    load_weights(localizer, best_checkpoint(run_dir))
    return localizer.eval(), record


def load_weights(localizer: Localizer, checkpoint: Path) -> None:
    """Load weights and fitted shape model; a checkpoint that holds code is refused.

    Raises:
        ValueError: The file is not a checkpoint of plain tensors, or does not fit the config.
    """
    state = read_checkpoint(checkpoint)["state_dict"]
    own = {
        name.removeprefix(LOCALIZER_PREFIX): value
        for name, value in state.items()
        if name.startswith(LOCALIZER_PREFIX)
    }
    try:
        localizer.load_state_dict(own)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{checkpoint}: does not fit its config.yaml ({reason})") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Contents of a Lightning checkpoint, loaded as plain tensors and containers only.

    Raises:
        ValueError: The file is absent or cannot be read that way.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such checkpoint; give one that train.py wrote")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged and for unsafe files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path}: is not a checkpoint of plain tensors ({reason}); restore it, or train again"
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise ValueError(
            f"{path}: is not a checkpoint of this program (no state_dict); "
            f"give one that train.py wrote"
        )
    return content
