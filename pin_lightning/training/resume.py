"""Resumption: ``ckpt_path=last`` goes on with the same training in the same folder."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.errors import FULL
from pin_lightning.common.files import remove_leftovers
from pin_lightning.method.trajectory import LandmarkLocalizer
from pin_lightning.runs import folder
from pin_lightning.runs.model import LOCALIZER_PREFIX, read_checkpoint
from pin_lightning.runs.pose_stage import pose_folder

# Settings without effect on the weights.
FREE_SETTINGS = (
    *("run_dir", "run_name", "method", "overrides", "ckpt_path", "trust_run", "logger", "report"),
    *("summary", "data.cache_dir", "data.on_error", "data.planes", "checkpoint"),
)

log = logging.getLogger(__name__)

LAST = "last"
# Settings of the trainer that may differ on resumption: devices, the end without a schedule, the
# frequency of validation and logs. Others, such as precision, would train other weights.
_TRAINER = (
    *("accelerator", "devices", "num_nodes", "strategy", "deterministic", "benchmark"),
    *("max_steps", "max_epochs", "max_time", "val_check_interval", "num_sanity_val_steps"),
    *("log_every_n_steps", "profiler", "enable_progress_bar", "enable_model_summary"),
)
_LOADER = ("loader.num_workers", "loader.memory_gb")
_FREE_SETTINGS = (*FREE_SETTINGS, *(f"trainer.{one}" for one in _TRAINER), *_LOADER)


def find_checkpoint(config: DictConfig, run_dir: Path, record: folder.RunRecord) -> Path | None:
    """Return the checkpoint of ``ckpt_path``, if any; ``last`` is the last one of the run folder.

    Raises:
        ValueError: With ``ckpt_path=last``, the run folder is that of another training.
    """
    if config.ckpt_path != LAST:
        return None if config.ckpt_path is None else Path(config.ckpt_path)
    path = run_dir / folder.LAST_CHECKPOINT
    if begun(run_dir):
        check_same_training(run_dir, config, record, _FREE_SETTINGS)
    if path.is_file():
        return path
    log.info("ckpt_path=last: %s is not there yet, training begins", path)
    return None


def begun(run_dir: Path) -> bool:
    """Tell whether a run folder has a checkpoint of the training or of its pose stage."""
    last = folder.LAST_CHECKPOINT
    return (run_dir / last).is_file() or (pose_folder(run_dir) / last).is_file()


def is_own(checkpoint: Path | None, run_dir: Path) -> bool:
    """Tell whether a checkpoint is of the run folder, whose best one and log then go on, too."""
    own = (run_dir / folder.CHECKPOINTS).resolve()
    return checkpoint is not None and checkpoint.parent.resolve() == own


def steps_done(
    checkpoint: Path | None, run_dir: Path, config: DictConfig, localizer: LandmarkLocalizer
) -> int:
    """Check that a training can go on from a checkpoint, and return its completed steps.

    Raises:
        ValueError: The checkpoint is damaged, of another model or of a schedule of another length,
            or nothing is left to do.
    """
    if checkpoint is None:
        return 0
    content = read_checkpoint(checkpoint)
    _check_weights(checkpoint, content["state_dict"], localizer)
    step, most = int(content["global_step"]), config.trainer.max_steps
    # A number of epochs, null by default, may end a training and its schedule sooner.
    if config.model.get("scheduler") is not None and config.trainer.get("max_epochs") is None:
        _check_schedules(checkpoint, content.get("lr_schedulers", []), most)
    if 0 < most <= step and not is_own(checkpoint, run_dir):
        raise ValueError(
            f"ckpt_path={checkpoint}: has done all steps of trainer.max_steps={most}; "
            f"predict with its run, or begin anew in another run_dir without ckpt_path"
        )
    log.info("goes on after step %d, from %s", step, checkpoint)
    return step


def _check_weights(path: Path, state: dict[str, Any], localizer: LandmarkLocalizer) -> None:
    saved = {name: tuple(value.shape) for name, value in state.items()}
    weights = localizer.state_dict().items()
    own = {f"{LOCALIZER_PREFIX}{name}": tuple(value.shape) for name, value in weights}
    to_learn = {name for name, size in own.items() if name.endswith("_") and 0 in size}
    for name in sorted((saved.keys() | own.keys()) - (to_learn & saved.keys())):
        if saved.get(name) != own.get(name):
            there, here = (str(one.get(name, "absent")) for one in (saved, own))
            raise ValueError(
                f"ckpt_path={path}: is of another model ({name} is {there}, now {here}); "
                f"give the settings that it was trained with, or another checkpoint"
            )


def _check_schedules(path: Path, schedules: Sequence[dict[str, Any]], most: int) -> None:
    for total in (one["total_steps"] for one in schedules if "total_steps" in one):
        if total != most:
            raise ValueError(
                f"trainer.max_steps={most}: model.scheduler was made for {total} steps in {path}; "
                f"give trainer.max_steps={total}, or train anew, "
                f"with model.scheduler=null where it is to go on for longer"
            )


def clear_leftovers(run_dir: Path) -> None:
    """Remove half-written files of a killed training from its run folder."""
    for stage in (run_dir, pose_folder(run_dir)):
        for place in (stage, stage / folder.CHECKPOINTS, stage / folder.LOGS):
            remove_leftovers(place)


@contextmanager
def full_disk_named(run_dir: Path) -> Iterator[None]:
    """Turn the error of a full disk in the block into a ValueError that says how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f" ({error.filename})" if error.filename else ""
        reason = f"no space left to write to: {error.strerror}{where}"
        raise ValueError(f"run_dir={run_dir}: {reason}; {_kept(run_dir)}") from error


def _kept(run_dir: Path) -> str:
    path = run_dir / folder.LAST_CHECKPOINT
    if not path.is_file():
        return "no checkpoint was saved yet; free space and start again"
    step = read_checkpoint(path)["global_step"]
    return f"the checkpoint of step {step} is kept; free space and go on with ckpt_path=last"


def check_same_training(
    run_dir: Path, config: DictConfig, record: folder.RunRecord, free: Sequence[str] = FREE_SETTINGS
) -> None:
    """Check that a run folder was trained with the same settings and data, `free` ones excepted.

    Raises:
        ValueError: It was trained otherwise; the message names the setting.
    """
    before = _settings(folder.read_config(run_dir), free)
    now = _settings(config, free)
    for setting in sorted(before.keys() | now.keys()):
        if before.get(setting) != now.get(setting):
            raise ValueError(
                f"{run_dir}: was trained with {setting}={before.get(setting)}, now it is "
                f"{now.get(setting)}; give the same setting, or another run_dir"
            )
    trained = replace(folder.read_record(run_dir), apart_mm=None)  # which no training has yet
    if trained != record:
        raise ValueError(
            f"{run_dir}: was trained on other cases, landmarks or another working grid than "
            f"the data have now; give another run_dir"
        )


def _settings(config: Any, free: Sequence[str]) -> dict[str, Any]:
    """Values that a training depends on, by their dotted names."""

    def flat(node: Any, path: str) -> dict[str, Any]:
        if path in free:
            return {}
        if isinstance(node, dict):
            parts = [flat(value, f"{path}.{key}".lstrip(".")) for key, value in node.items()]
            return {key: value for part in parts for key, value in part.items()}
        return {path: node}

    return flat(OmegaConf.to_container(config, resolve=True), "")
