"""Facts about a run from the files of its folder: settings, data, model, versions."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pin_lightning.data.checks.cases import listed
from pin_lightning.data.skipped import read_skipped
from pin_lightning.evaluation.conformal import Calibration
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.poses import PoseResult, read_poses
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs import folds as fold_files
from pin_lightning.runs.folder import (
    METRICS,
    POSES,
    PREDICTIONS,
    RunRecord,
    best_checkpoint,
    read_record,
)

_PACKAGES = ("pin-lightning", "torch", "pytorch-lightning", "torchio")


@dataclass(frozen=True, eq=False)
class RunFacts:
    """A run, or the folds of a cross-validation, as read from its folder.

    Attributes:
        folder: The run folder.
        folds: Run folders of the folds, empty for a single run.
        config: Resolved settings, of the first fold.
        records: Contents of `run.json`, of the run or of each fold.
        evaluations: Predictions of each evaluated split.
        metrics: Contents of `metrics.json`.
        calibration: Error bars, None without them.
        skipped: Errors of the cases that were left out, by case.
        poses: Found poses of each evaluated split, empty without a pose stage.
    """

    folder: Path
    folds: tuple[Path, ...]
    config: DictConfig
    records: tuple[RunRecord, ...]
    evaluations: Mapping[str, Evaluation]
    metrics: Mapping[str, Any]
    calibration: Calibration | None
    skipped: Mapping[str, str]
    poses: Mapping[str, Sequence[PoseResult]]

    @property
    def part(self) -> str | None:
        """The split that a page reports: the test cases, else the validation cases."""
        known = [part for part, one in self.evaluations.items() if one.defined.any()]
        return next((part for part in ("test", "val") if part in known), None)

    @property
    def name(self) -> str:
        """Name of the run, or of all folds together."""
        name = str(self.setting("run_name") or self.folder.resolve().name)
        return name.removesuffix("_fold0") if self.folds else name

    def setting(self, key: str) -> Any:
        """A setting by its dotted name, None if the config lacks it."""
        return OmegaConf.select(self.config, key, default=None)


def read_run_facts(run_dir: Path) -> RunFacts:
    """Read the folder of a run or of a cross-validation; no checkpoint and no image is opened.

    Raises:
        ValueError: A file is absent or damaged.
    """
    is_folder = fold_files.is_folds_folder(run_dir)
    folds = tuple(fold_files.read_folds(run_dir)) if is_folder else ()
    runs = folds or (run_dir,)
    records = tuple(read_record(one) for one in runs)
    if not (run_dir / PREDICTIONS).is_file():
        raise ValueError(f"run={run_dir}: has no {PREDICTIONS}; let the training finish first")
    metrics = run_dir / METRICS
    return RunFacts(
        folder=run_dir,
        folds=folds,
        config=fold_files.config_of(run_dir),
        records=records,
        evaluations=read_predictions(run_dir / PREDICTIONS),
        metrics=_read_metrics(metrics) if metrics.is_file() else {},
        calibration=fold_files.read_calibration(run_dir, records[0].names),
        skipped={case: why for one in (run_dir, *folds) for case, why in read_skipped(one).items()},
        poses=read_poses(run_dir / POSES),
    )


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(metrics, dict):
            raise ValueError("holds no numbers by split")
    except ValueError as error:
        raise ValueError(f"{path}: is damaged ({error}); restore it, or train again") from error
    return metrics


def seen_before(run: RunFacts) -> set[str]:
    """Test cases of an evaluation with the names of cases that the run was trained on."""
    split = run.records[0].split
    return set() if run.folds else {*split.test} & {*split.train, *split.val}


def data_name(run: RunFacts) -> str:
    """Name of the data set's folder, without its path."""
    root = str(run.setting("data.root"))
    return _last_part(root) if root.strip("./") else Path(root).resolve().name


def training_facts(run: RunFacts) -> list[tuple[str, str]]:
    """Data, model and training of the run: labels and values."""
    record, setting, grid = run.records[0], run.setting, run.records[0].grid
    size = " \u00d7 ".join(map(str, grid.size))
    batch = setting("loader.batch_size")  # null follows the number of landmarks
    of_batch = "" if batch is None else f" of {batch}"
    facts = [
        ("Data", data_name(run)),
        ("Cases", _cases(run)),
        ("Landmarks", str(len(record.names))),
        ("Working grid", f"{size} voxels of {grid.spacing_mm:g} mm"),
        *(_model_of_pin(run) if setting("system") is None else _system(run)),
        ("Training", f"{setting('trainer.max_steps')} steps{of_batch}"),
        ("Seed", str(setting("seed"))),
    ]
    if run.skipped:
        facts.insert(2, ("Left out", f"{len(run.skipped)} with errors: {listed([*run.skipped])}"))
    if setting("first_stage") is not None:
        facts.append(("First stage", _last_part(str(setting("first_stage")))))
    return facts + _checkpoint(run)


def _model_of_pin(run: RunFacts) -> list[tuple[str, str]]:
    parameters, patch_side = run.records[0].num_parameters, run.setting("model.patch_side")
    return [
        ("Shape model", f"{_class_of(run, 'shape')}, {parameters} parameters"),
        ("Network", f"{_class_of(run, 'network')}, patches of {patch_side} voxels"),
        ("Iteration", _iteration(run)),
        ("Weight of direction", f"alpha = {run.setting('model.alpha')}"),
    ]


def _system(run: RunFacts) -> list[tuple[str, str]]:
    settings = {key: one for key, one in run.setting("system").items() if key != "_target_"}
    shown = ", ".join(f"{key} = {one}" for key, one in settings.items())
    return [("System", _class_of(run, "system")), *([("Its settings", shown)] if shown else [])]


def _cases(run: RunFacts) -> str:
    split = run.records[0].split
    if run.folds:
        tested = sum(len(record.split.test) for record in run.records)
        fold = f"fold 0 trains on {len(split.train)}"
        return f"{tested}, each tested once in {len(run.folds)} folds ({fold})"
    if run.setting("evaluated_run") is not None:
        return f"{len(split.test)}; the run was trained on {len(split.train)} others"
    counts = {"training": split.train, "validation": split.val, "test": split.test}
    return ", ".join(f"{len(names)} {part}" for part, names in counts.items())


def _iteration(run: RunFacts) -> str:
    steps, starts = run.setting("update_rule.max_iterations"), run.setting("model.num_starts")
    return f"{_class_of(run, 'update_rule')}, {starts} starts, at most {steps} iterations"


def _checkpoint(run: RunFacts) -> list[tuple[str, str]]:
    """Choice of the weights, empty for a folder without them."""
    try:
        chosen = best_checkpoint((run.folds or (run.folder,))[0]).name == "best.ckpt"
    except ValueError:
        return []
    return [("Weights", "lowest validation error" if chosen else "as training ended")]


def _class_of(run: RunFacts, group: str) -> str:
    return str(run.setting(f"{group}._target_")).rsplit(".", 1)[-1]


def settings_text(config: DictConfig) -> str:
    """All settings as YAML, without the folders of this machine."""
    return OmegaConf.to_yaml(OmegaConf.create(without_folders(OmegaConf.to_container(config))))


def without_folders(value: Any) -> Any:
    """Replace absolute paths among settings by their last part.

    >>> without_folders({"data": {"root": "/home/ann/skulls"}, "seed": 0})
    {'data': {'root': 'skulls'}, 'seed': 0}
    """
    if isinstance(value, dict):
        return {key: without_folders(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_folders(one) for one in value]
    return _last_part(value) if isinstance(value, str) else value


def _last_part(text: str) -> str:
    key, sign, value = text.partition("=")
    if sign:  # an override of a command line
        return f"{key}={_last_part(value.strip(chr(39)))}"
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(text)
        if path.is_absolute():
            return path.name or text
    return text


def versions() -> list[tuple[str, str]]:
    """Versions of Python and the main packages of this process."""
    found = [("python", platform.python_version())]
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:  # run from a checkout that is not installed
            found.append((package, "not installed"))
    return found
