"""The self-contained run folder, written by a training and read for predictions.

``config.yaml`` is the resolved config, ``run.json`` holds what the data decided (landmark names,
working grid, split), ``checkpoints/`` the weights together with the fitted shape model.
"""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from pin_lightning.common.errors import failure
from pin_lightning.common.files import output_folder, write_json, write_text
from pin_lightning.common.geometry import Grid
from pin_lightning.common.spelling import check_one_line, one_spelling
from pin_lightning.data.images.limits import check_memory
from pin_lightning.data.intensity_windows import DEFAULT_WINDOW, WINDOWS
from pin_lightning.data.splits import Split
from pin_lightning.data.usual_images import UsualImages
from pin_lightning.runs.formats import FORMAT_VERSION, damaged, plain_yaml, read_versioned, upgraded
from pin_lightning.runs.model_record import AnyRecord, record_of_config, record_of_json

CONFIG, RECORD, CHECKPOINTS, LOGS = "config.yaml", "run.json", "checkpoints", "logs"
LAST_CHECKPOINT = f"{CHECKPOINTS}/last.ckpt"
METRICS, PREDICTIONS, FIGURES = "metrics.json", "predictions.csv", "figures"
MEAN_VOLUME = "mean_volume.nii.gz"  # of the training cases
PLANES, CONVERGENCE, PAGE = "planes.csv", "convergence.csv", "report.html"
POSES = "poses.csv"  # of runs with a pose stage
CONTRADICTIONS = "contradictions.csv"  # of a cross-validation
FOLDS = "folds.json"  # of a cross-validation
UNFINISHED = "unfinished"  # an empty file, removed when a training has been evaluated
EXPORTED = "onnx"  # written by `pin_lightning.export`
FIRST_STAGE = "first_stage"  # a run folder inside the run folder
_NEEDED_SETTINGS = ("model", "seed")
_NEEDED_OF_PIN = ("shape", "network", "update_rule")
_REMEDY = "train again"
# Bounds far above any use, so that a damaged or hostile record ends in one line.
MOST_VOXELS = (4096, 2**31)  # along a side, and in all
VOXEL_BYTES = 12  # of a working volume while it is made
MOST_MM, MOST_NAMES = 1e4, 10_000


@dataclass(frozen=True)
class RunRecord:
    """Record of what the training data decided.

    Attributes:
        names: Landmarks in the order of the network's channels.
        grid: Working grid.
        num_parameters: Shape parameters K; of a system beside PIN all coordinates, 3 L.
        split: Case names of each split.
        window: Rule of the intensity window, a name in `WINDOWS`.
        training_images: What the training volumes look like; None in runs of earlier versions.
        apart_mm: How far apart starts end in training volumes, once it is trained; None where that
            is not known.
    """

    names: tuple[str, ...]
    grid: Grid
    num_parameters: int
    split: Split
    window: str = DEFAULT_WINDOW
    training_images: UsualImages | None = None
    apart_mm: float | None = None


def difference(record: RunRecord, other: RunRecord) -> tuple[str, object, object] | None:
    """Name of what keeps two runs from working together, with both values; None if nothing does."""
    for what, own, others in (
        ("landmarks", ", ".join(record.names), ", ".join(other.names)),
        ("working grid", record.grid, other.grid),
        ("intensity window", record.window, other.window),
    ):
        if own != others:
            return what, own, others
    return None


def clear_results(run_dir: Path, keep_checkpoints: bool) -> None:
    """Remove results of an earlier training, which must not be taken for those of a new one."""
    if not run_dir.is_dir():
        return
    for name in (METRICS, PREDICTIONS, PLANES, CONVERGENCE, POSES, PAGE):
        (run_dir / name).unlink(missing_ok=True)
    shutil.rmtree(run_dir / FIGURES, ignore_errors=True)
    if not keep_checkpoints:
        for name in (CHECKPOINTS, EXPORTED):
            shutil.rmtree(run_dir / name, ignore_errors=True)
        (run_dir / MEAN_VOLUME).unlink(missing_ok=True)


def write_run(
    run_dir: Path, config: DictConfig, record: RunRecord, first_stage: Path | None = None
) -> None:
    """Write config, record and a copy of the first stage's run folder, before training starts.

    Raises:
        ValueError: The folder cannot be written to.
    """
    output_folder("run_dir", run_dir)
    shutil.rmtree(run_dir / FIRST_STAGE, ignore_errors=True)  # of an attempt with another one
    if first_stage is not None:
        _copy_run(first_stage, run_dir / FIRST_STAGE)
    write_text(run_dir / CONFIG, OmegaConf.to_yaml(config, resolve=True))
    write_record(run_dir, record_of_config(config), record)


def write_record(run_dir: Path, model: AnyRecord, record: RunRecord) -> None:
    """Write `run.json`."""
    content = {"format_version": FORMAT_VERSION, **asdict(record), "model": model.to_json()}
    write_json(run_dir / RECORD, content)


def _copy_run(source: Path, target: Path) -> None:
    weights = best_checkpoint(source)
    (target / CHECKPOINTS).mkdir(parents=True)
    for name in (CONFIG, RECORD):
        shutil.copy(source / name, target / name)
    shutil.copy(weights, target / CHECKPOINTS / weights.name)
    if (source / FIRST_STAGE).is_dir():
        _copy_run(source / FIRST_STAGE, target / FIRST_STAGE)


def read_record(run_dir: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        ValueError: The folder has no record, or a damaged one, or one of a later version.
    """
    path = run_dir / RECORD
    if not path.is_file():
        raise ValueError(f"run={run_dir}: has no {RECORD}; give a folder that train.py wrote")
    return read_versioned(path, _record, _REMEDY)


def _record(data: dict[str, Any]) -> RunRecord:
    size, spacing_mm, names = data["grid"]["size"], data["grid"]["spacing_mm"], data["names"]
    parameters = data["num_parameters"]
    if not all(type(side) is int and 1 <= side <= MOST_VOXELS[0] for side in size):
        raise ValueError(f"grid.size={str(size)[:80]}")
    if len(size) != 3 or math.prod(size) > MOST_VOXELS[1]:
        raise ValueError(f"grid.size={size}")
    check_memory(f"grid.size={size}", math.prod(size) * VOXEL_BYTES)
    if not 0 < float(spacing_mm) < MOST_MM:
        raise ValueError(f"grid.spacing_mm={spacing_mm}")
    if not 1 <= len(names) <= MOST_NAMES or not all(isinstance(name, str) for name in names):
        raise ValueError(f"names: {len(names)} of them")
    if type(parameters) is not int or not 1 <= parameters <= 3 * len(names):
        raise ValueError(f"num_parameters={parameters}")
    names = tuple(map(one_spelling, names))
    for name in names:
        check_one_line("names", name)
    if len(set(names)) < len(names):
        raise ValueError("names: two landmarks have the same one")
    split = Split(
        **{part: tuple(map(one_spelling, members)) for part, members in data["split"].items()}
    )
    window, images = data.get("window", DEFAULT_WINDOW), data.get("training_images")
    if window not in WINDOWS:
        raise ValueError(f"window={str(window)[:80]}")
    usual = None if images is None else UsualImages.of_json(images)
    apart_mm = data.get("apart_mm")
    if apart_mm is not None and not 0 < float(apart_mm) < MOST_MM:
        raise ValueError(f"apart_mm={str(apart_mm)[:80]}")
    grid = Grid(tuple(size), float(spacing_mm))
    return RunRecord(names, grid, parameters, split, window, usual, apart_mm)


def read_model(run_dir: Path) -> AnyRecord:
    """Read what the model of a run is rebuilt from.

    Raises:
        ValueError: The folder lacks a file, or one is damaged or of a later version.
    """

    def parse(content: dict[str, Any]) -> AnyRecord:
        if content["format_version"] > 1:
            return record_of_json(content["model"])
        # Version 1 has no record; the one of its config passes the same checks.
        return record_of_json(record_of_config(read_config(run_dir)).to_json())

    return read_versioned(run_dir / RECORD, parse, _REMEDY)


@contextmanager
def in_record(run_dir: Path) -> Iterator[None]:
    """Let errors of what is built in the block from values of the record name its file.

    Of values that are possible, but not together, libraries raise errors of many kinds.
    """
    try:
        yield
    except ValueError as error:
        if str(run_dir) in str(error):
            raise
        raise ValueError(f"{run_dir / RECORD}: {error}") from error
    except Exception as error:
        raise ValueError(failure(run_dir / RECORD, error)) from error


def read_config(run_dir: Path) -> DictConfig:
    """Read `config.yaml`, brought to the present format.

    Raises:
        ValueError: It is absent, damaged, of a later version, or lacks a setting that prediction
            needs.
    """
    path = run_dir / CONFIG
    if not path.is_file():
        raise ValueError(f"run={run_dir}: has no {CONFIG}; give a folder that train.py wrote")
    version = _version(run_dir)
    try:
        config = OmegaConf.create(plain_yaml(path))
        if not isinstance(config, DictConfig):
            raise ValueError("no settings")
        config = upgraded(config, version)
        OmegaConf.set_struct(config, True)  # a setting that is absent is an error, not none
        needed = (*_NEEDED_SETTINGS, *(_NEEDED_OF_PIN if config.get("system") is None else ()))
        absent = [key for key in needed if OmegaConf.select(config, key) is None]
        if absent:
            raise ValueError(f"lacks {', '.join(absent)}")
    except (OSError, ValueError, YAMLError) as error:
        raise damaged(path, error, _REMEDY) from error
    return config


def _version(run_dir: Path) -> int:
    for name in (RECORD, FOLDS):
        if (path := run_dir / name).is_file():
            return read_versioned(path, lambda content: int(content["format_version"]), _REMEDY)
    return 1


def best_checkpoint(run_dir: Path) -> Path:
    """The checkpoint to predict with: the best in validation, else the last.

    Raises:
        ValueError: There is none.
    """
    for name in ("best.ckpt", "last.ckpt"):
        if (path := run_dir / CHECKPOINTS / name).is_file():
            return path
    raise ValueError(f"run={run_dir}: has no {CHECKPOINTS}/best.ckpt or last.ckpt; train it first")
