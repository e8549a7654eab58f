"""Training from a config to an evaluated run folder."""

import gc
import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.ownership import owned_folder
from pin_lightning.common.settings import check_count, refuse_missing
from pin_lightning.data.renaming import Renaming
from pin_lightning.data.skipped import count_skipped, write_skipped
from pin_lightning.data.survey import Survey, refuse_errors, survey
from pin_lightning.distributed.group import speak_if_first
from pin_lightning.distributed.process import return_freed_memory
from pin_lightning.distributed.ranks import is_first
from pin_lightning.distributed.strategies import Several, check_strategy
from pin_lightning.evaluation.planes.groups import check_groups, plane_groups
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.method.patches import default_patch_side
from pin_lightning.reports.run_report import report
from pin_lightning.runs.agreement import usual_apart_mm
from pin_lightning.runs.folder import (
    UNFINISHED,
    best_checkpoint,
    clear_results,
    write_record,
    write_run,
)
from pin_lightning.runs.mean_volume import write_mean_volume
from pin_lightning.runs.model import load_weights, read_checkpoint
from pin_lightning.runs.model_record import record_of_config
from pin_lightning.runs.other_methods import read_others
from pin_lightning.runs.predictor import Predictor, choose_device
from pin_lightning.training import resume
from pin_lightning.training.combinations import (
    AnyParts,
    check_combination,
    parts_of,
    without_effect,
)
from pin_lightning.training.loggers import experiment_loggers, name_group
from pin_lightning.training.plan import check_steps, plan_run, prepare_run
from pin_lightning.training.pose.choice import check_pose, framing_of, settle
from pin_lightning.training.pose.stage import pose_stage
from pin_lightning.training.prepared import Prepared
from pin_lightning.training.wandb_results import log_to_wandb

log = logging.getLogger(__name__)


def train(config: DictConfig, run_dir: Path, several: Several | None = None) -> dict[str, Any]:
    """Train, evaluate on the held-out cases, and leave a self-contained run folder.

    Args:
        config: Composed from `conf/train.yaml`; values that are null are filled in from the data.
        run_dir: Folder to write the run to.
        several: The trainings that this is one of, if any.

    Returns:
        The contents of `metrics.json`; empty in all processes but the first.

    Raises:
        ValueError: A setting or a data file is wrong; the message names it.
    """
    config, surveyed, parts = survey_data(config, several)
    return train_prepared(config, surveyed, prepare_run(config, surveyed, parts), run_dir)


def train_job(config: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Train as a job of a sweep, which loggers then show as a group."""
    config.run_name = f"{config.run_name}_{run_dir.name}"
    name_group(config, run_dir.parent.name)
    return train(config, run_dir, Several("a sweep"))


def survey_data(
    config: DictConfig, several: Several | None = None
) -> tuple[DictConfig, Survey, AnyParts]:
    """Read and check the data of a training, or of several that share them.

    Args:
        config: Composed from `conf/train.yaml`.
        several: The trainings that this is one of, if any.

    Returns:
        The config with values from the data filled in, the data, and the parts of the config.

    Raises:
        ValueError: A setting or a data file is wrong; the message names it.
    """
    speak_if_first(logging.ERROR)
    refuse_missing(config)
    check_count("seed", config.seed, least=0)
    check_steps(config)
    parts = parts_of(config)
    check_combination(parts)
    check_strategy(config, several)
    check_pose(config)
    if config.ckpt_path not in (None, resume.LAST):
        read_checkpoint(Path(config.ckpt_path))  # refuses what is damaged or holds code
    for line in without_effect(config, parts):
        log.warning("%s", line)
    config = config.copy()
    surveyed = _survey(config)
    settle(config, surveyed)
    refuse_errors(surveyed.findings)
    check_groups(plane_groups(config.data.planes), surveyed.known_names, surveyed.names)
    return config, surveyed, parts


def train_prepared(
    config: DictConfig, surveyed: Survey, prepared: Prepared, run_dir: Path
) -> dict[str, Any]:
    """Train on data that were read already, with the config that came with them."""
    alone = owned_folder("run_dir", run_dir) if is_first() else nullcontext()
    with alone, resume.full_disk_named(run_dir):
        return _train(config, surveyed, prepared, run_dir)


def _train(
    config: DictConfig, surveyed: Survey, prepared: Prepared, run_dir: Path
) -> dict[str, Any]:
    pl.seed_everything(config.seed, workers=True, verbose=False)
    config = config.copy()
    config.run_dir = str(run_dir)  # in a sweep it is the folder of the job
    settings = ReportSettings.of(config.report, config.data.planes)
    read_others(dict(settings.others))  # refuses a wrong file now rather than after the training
    plan = plan_run(config, prepared)
    cases, record = prepared.cases, prepared.record
    checkpoint = resume.find_checkpoint(config, run_dir, record)
    done = resume.steps_done(checkpoint, run_dir, config, plan.localizer)
    goes_on = resume.is_own(checkpoint, run_dir)
    keeps_pose = goes_on or config.ckpt_path == resume.LAST
    config.ckpt_path = None if checkpoint is None else str(checkpoint)
    if is_first():
        resume.clear_leftovers(run_dir)
        clear_results(run_dir, keep_checkpoints=goes_on)
        write_run(run_dir, config, record, prepared.first_stage)
        (run_dir / UNFINISHED).touch()
        write_skipped(run_dir, surveyed.skipped)
        write_mean_volume(run_dir, [surveyed.volumes[one.case.name] for one in cases["train"]])
    log.info(
        "%d landmarks, %s; %d training, %d validation and %d test cases",
        *(len(record.names), prepared.fitted.described, *map(len, cases.values())),
    )
    train = [one.case.name for one in cases["train"]]
    pose = pose_stage(config, surveyed, train, run_dir, keeps_pose)
    if surveyed.framed.anatomy is not None:  # the same draws follow, trained now or before
        pl.seed_everything(config.seed, workers=True, verbose=False)
    with experiment_loggers(config, run_dir, done if goes_on else 0) as loggers:
        plan.fit(config, run_dir, surveyed.volumes, loggers)
        if not is_first():
            return {}
        gc.collect()  # trainer and module refer to each other, and to the volumes
        return_freed_memory()
        load_weights(plan.localizer, best_checkpoint(run_dir))
        volumes = [surveyed.volumes[name] for name in train]
        apart_mm = usual_apart_mm(plan.localizer, volumes, choose_device("auto"))
        record = replace(record, apart_mm=apart_mm)
        write_record(run_dir, record_of_config(config), record)
        evaluated = {part: cases[part] for part in ("val", "test") if cases[part]}
        if not evaluated:
            log.warning("no held-out cases: nothing is measured")
        predictor = Predictor(
            plan.localizer,
            record.names,
            poses=[] if pose is None else [pose],
            window=record.window,
            usual=record.training_images,
            apart_mm=record.apart_mm,
        )
        metrics = report(run_dir, predictor, evaluated, settings, config.data.on_error)
        log_to_wandb(loggers, run_dir, metrics)
    (run_dir / UNFINISHED).unlink(missing_ok=True)
    return metrics


def _survey(config: DictConfig) -> Survey:
    """Read and check the data, and fill in the working grid that they decide in the config."""
    data, model = config.data, config.model
    surveyed = survey(
        Renaming.of(data.rename).cases(instantiate(data.source)),
        Path(data.cache_dir),
        None if model.landmarks is None else list(model.landmarks),
        data.spacing_mm,
        None if data.grid_size is None else list(data.grid_size),
        data.on_error,
        framing_of(config),
    )
    grid = surveyed.grid
    chosen = {
        "data.spacing_mm": grid.spacing_mm,
        "data.grid_size": list(grid.size),
    }
    if "patch_side" in model:
        chosen["model.patch_side"] = default_patch_side(grid.size)
    for key, value in chosen.items():
        if OmegaConf.select(config, key) is None:
            OmegaConf.update(config, key, value)
            log.info("%s=%s (from the data)", key, value)
    log.info("working volumes of %s voxels of %s mm", grid.size, grid.spacing_mm)
    if "patch_side" in model:
        log.info("patches of %d voxels, %s", model.patch_side, model.interpolation)
    for finding in surveyed.findings:
        if finding.level == "warning":
            log.warning("%s", finding)
    count_skipped(surveyed.skipped, len(surveyed.found))
    return surveyed
