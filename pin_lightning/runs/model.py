"""The model of a run: built from its config, loaded from its checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from pin_lightning.baselines.base import Problem, System
from pin_lightning.common.geometry import Grid
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.pyramid import check_spacings
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.method.trajectory import LandmarkLocalizer
from pin_lightning.method.update_rules import UpdateRule
from pin_lightning.runs import folder
from pin_lightning.runs.model_parts import REGISTRY
from pin_lightning.runs.model_record import ModelRecord, SystemRecord

LOCALIZER_PREFIX = "localizer."
MOST_PATCH_VOXELS = 2**32  # of one volume at once, far above any use


def build_localizer(
    model: ModelRecord,
    shape_model: ShapeModel,
    grid: Grid,
    num_landmarks: int,
    num_parameters: int,
    prior: ShapeModel | None = None,
    first_stage: LandmarkLocalizer | None = None,
    update_rule: UpdateRule | None = None,
    trust_run: bool = False,
) -> Localizer:
    """Build the localizer of a record, with fresh network weights.

    Args:
        model: Settings of the model.
        shape_model: Fitted, or to be loaded.
        grid: Working grid.
        num_landmarks: Landmarks L.
        num_parameters: Shape parameters K.
        prior: Fitted prior; None makes the one of the record, to be loaded.
        first_stage: Localizer whose ends are the starts; None takes those of the shape model.
        update_rule: Rule of the record; None makes it.
        trust_run: Import classes of the user's own that the record names.

    Raises:
        ValueError: The record names an unknown class, or a setting is wrong.
    """
    spacings = check_spacings(model.patch_spacings)
    return Localizer(
        build_network(model, num_landmarks, num_parameters, trust_run),
        shape_model,
        model.build("update_rule", trust_run) if update_rule is None else update_rule,
        grid,
        patch_side=model.patch_side,
        interpolation=model.interpolation,
        displacement_unit=model.displacement_unit,
        num_starts=model.num_starts,
        tolerance_mm=model.tolerance_voxels * grid.spacing_mm,
        seed=model.seed,
        patch_spacings=spacings,
        prior=model.build("prior", trust_run) if prior is None else prior,
        prior_share=model.prior_share,
        first_stage=first_stage,
        precision=model.precision,
    )


def build_network(
    model: ModelRecord, num_landmarks: int, num_parameters: int, trust_run: bool = False
) -> nn.Module:
    """Build the network of a record, with fresh weights; arguments as of `build_localizer`.

    Raises:
        ValueError: The record names an unknown class, or a setting is wrong.
    """
    network: nn.Module = model.build(
        "network",
        trust_run,
        in_channels=3 * num_landmarks * len(model.patch_spacings),
        num_parameters=num_parameters,
        patch_side=model.patch_side,
    )
    return network


def build_system(
    model: SystemRecord, grid: Grid, num_landmarks: int, trust_run: bool = False
) -> System:
    """Build the system of a record, with fresh weights; arguments as of `build_localizer`.

    Raises:
        ValueError: The record names an unknown class, a setting is wrong, or a package that the
            system needs is not installed.
    """
    problem = Problem(grid, num_landmarks, model.seed, model.precision)
    system: System = model.build("system", trust_run, problem=problem)
    return system


def load_localizer(
    run_dir: Path, trust_run: bool = False
) -> tuple[LandmarkLocalizer, folder.RunRecord]:
    """Load the localizer of a run with its best weights and its first stage, and the record.

    Args:
        run_dir: The run folder.
        trust_run: Import and call classes of the user's own that the run names.

    Raises:
        ValueError: The folder lacks a file, a file is damaged or of another version, or the run
            names a class that is not of this program, or needs a package that is not installed.
    """
    record, model = folder.read_record(run_dir), folder.read_model(run_dir)
    checkpoint = folder.best_checkpoint(run_dir)
    weights = read_weights(checkpoint)
    with folder.in_record(run_dir):
        if isinstance(model, SystemRecord):
            localizer: LandmarkLocalizer = _system(model, record, weights, checkpoint, trust_run)
        else:
            localizer = _pin(model, record, weights, checkpoint, trust_run)
    _set_weights(localizer, weights, checkpoint)
    return localizer.eval(), record


def _pin(
    model: ModelRecord,
    record: folder.RunRecord,
    weights: Mapping[str, torch.Tensor],
    checkpoint: Path,
    trust_run: bool,
) -> Localizer:
    """The localizer of PIN that a checkpoint fits, with fresh weights."""
    run_dir = checkpoint.parent.parent
    first, sizes = run_dir / folder.FIRST_STAGE, (len(record.names), record.num_parameters)
    voxels = model.num_starts * sizes[0] * 3 * len(model.patch_spacings) * model.patch_side**2
    if voxels > MOST_PATCH_VOXELS:
        raise ValueError(
            f"{run_dir}: patches of {model.num_starts} starts have {voxels:.3g} voxels, more than "
            f"{MOST_PATCH_VOXELS:.3g}; the record is damaged or hostile"
        )
    if model.network.name in REGISTRY["network"]:
        with torch.device("meta"):  # no memory for one that is larger than its file
            network = build_network(model, *sizes)
        own = {name: one for name, one in weights.items() if name.startswith("network.")}
        state = {f"network.{name}": one for name, one in network.state_dict().items()}
        _check_sizes(state, own, checkpoint)
    return build_localizer(
        model,
        model.build("shape", trust_run),
        record.grid,
        *sizes,
        first_stage=load_localizer(first, trust_run)[0] if first.is_dir() else None,
        trust_run=trust_run,
    )


def _system(
    model: SystemRecord,
    record: folder.RunRecord,
    weights: Mapping[str, torch.Tensor],
    checkpoint: Path,
    trust_run: bool,
) -> System:
    """The system that a checkpoint fits, with fresh weights."""
    sizes = (record.grid, len(record.names))
    if model.system.name in REGISTRY["system"]:
        with torch.device("meta"):
            state = build_system(model, *sizes).state_dict()
        # The sizes of learnt buffers are those in the file.
        fixed = [
            {n: one for n, one in of.items() if not n.endswith("_")} for of in (state, weights)
        ]
        _check_sizes(fixed[0], fixed[1], checkpoint)
    return build_system(model, *sizes, trust_run)


def load_weights(localizer: LandmarkLocalizer, checkpoint: Path) -> None:
    """Load weights and fitted shape model; refuse a checkpoint that holds code.

    Raises:
        ValueError: The file is not a checkpoint of plain tensors, or does not fit the localizer.
    """
    _set_weights(localizer, read_weights(checkpoint), checkpoint)


def read_weights(checkpoint: Path, prefix: str = LOCALIZER_PREFIX) -> dict[str, torch.Tensor]:
    """Read weights and fitted shape models of a localizer, or of what else has a prefix.

    Raises:
        ValueError: The file is not a checkpoint of plain tensors, or a weight is not finite.
    """
    state = read_checkpoint(checkpoint)["state_dict"]
    own = {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
    for name, value in own.items():
        is_plain = isinstance(value, torch.Tensor) and value.layout == torch.strided
        if not is_plain or value.is_complex() or value.is_quantized:
            raise ValueError(f"{checkpoint}: {name} is not a plain tensor; restore the file")
        if not torch.isfinite(value).all():
            raise ValueError(f"{checkpoint}: {name} is not finite; train again or restore it")
    return own


def _check_sizes(
    state: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor], checkpoint: Path
) -> None:
    """Refuse a checkpoint that has other weights than a model."""
    expected, found = ({name: one.shape for name, one in of.items()} for of in (state, weights))
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(f"{checkpoint}: does not fit its {folder.RECORD} ({name})")


def _set_weights(
    localizer: LandmarkLocalizer, weights: Mapping[str, torch.Tensor], checkpoint: Path
) -> None:
    try:
        localizer.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{checkpoint}: does not fit its {folder.RECORD} ({reason})") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a Lightning checkpoint of plain tensors and containers.

    Raises:
        ValueError: The file is absent or cannot be read that way.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such checkpoint; give one that train.py wrote")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged and for unsafe files
        kind = "it holds code or other objects" if _holds_code(error) else type(error).__name__
        raise ValueError(
            f"{path}: is not a checkpoint of plain tensors ({kind}); restore it, or train again"
        ) from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(
            f"{path}: is not a checkpoint of this program (no state_dict); "
            f"give one that train.py wrote"
        )
    return content


def _holds_code(error: Exception) -> bool:
    """Tell whether torch refused the contents of a file, whose form is right."""
    return isinstance(error, UnpicklingError) and "weights_only" in str(error).lower()
