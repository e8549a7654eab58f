"""How a server trains."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pin_lightning.annotation.learner import DoneVolume
from pin_lightning.annotation.learning.training_folder import CASES, RUN
from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.cli.config_tree import composed
from pin_lightning.cli.refusals import hydra_refusal

FEWEST_TO_TRAIN = 5
FEW, FOLDS_OF_FEW, FOLDS = 10, 3, 5  # so many folds with fewer cases, and with as many or more
PROGRAM, PRESET = "cross_validate", "preset=fast"
OWN = ("data", "data.root", "data.table", "data.cache_dir", "run_name", "run_dir", "ckpt_path")


def settings_of(folder: Path, cases: int, cache: Path, more: Sequence[str] = ()) -> list[str]:
    """Settings of the cross-validation of a training folder.

    Args:
        folder: The training folder.
        cases: Number of its cases.
        cache: Folder of cached volumes, which trainings share.
        more: Further settings, such as ``preset=accurate``; they have precedence.
    """
    folds = min(FOLDS_OF_FEW if cases < FEW else FOLDS, cases)
    own = {
        "data": "listed",
        "data.root": str(folder),
        "data.table": CASES,
        "data.cache_dir": str(cache),
        "data.on_error": "skip",  # the rest is worth training on; it is said what was left out
        "data.split.folds": folds,
        "report.pictures": "false",
        "run_name": folder.name,
        "run_dir": str(folder / RUN),
    }
    given = {one.partition("=")[0] for one in more}
    first = [] if "preset" in given else [PRESET]
    settings = [f"{key}={value}" for key, value in own.items() if key not in given]
    return [*first, *settings, *more]


def checked_settings(train: str | None) -> tuple[str, ...]:
    """Settings of trainings as ``train=`` gives them: apart by blanks, quoted as in a shell.

    Raises:
        ValueError: They are no settings, one is set by the server, or a cross-validation has no
            such setting or option.
    """
    try:
        settings = tuple(shlex.split(train or ""))
    except ValueError as error:
        raise ValueError(f"train={train}: {error}; quote as in a shell") from error
    for one in settings:
        key, equals, _ = one.partition("=")
        if not equals or not key:
            raise ValueError(f"train={train}: {one} is no setting; give 'train=preset=accurate'")
        if key in OWN:
            raise ValueError(f"train={train}: {key} is set by the server; leave it out")
    arguments = quote_arguments(settings_of(Path("training"), FEW, Path("cache"), settings))
    try:
        config = composed(PROGRAM, arguments)
        own = [str(key) for key in config if key != "hydra"]
        OmegaConf.resolve(OmegaConf.masked_copy(config, own))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ValueError(f"train={train}: {hydra_refusal(error, PROGRAM, arguments)}") from error
    return settings


def check_volumes(volumes: Sequence[DoneVolume]) -> None:
    """Check that volumes can be trained on.

    Raises:
        ValueError: They are too few, or none has a landmark.
    """
    if len(volumes) < FEWEST_TO_TRAIN:
        counted = "1 volume is" if len(volumes) == 1 else f"{len(volumes)} volumes are"
        raise ValueError(
            f"{counted} done: training needs {FEWEST_TO_TRAIN}; "
            f"finish {FEWEST_TO_TRAIN - len(volumes)} more"
        )
    names = volumes[0].landmarks.names
    placed = {
        name
        for one in volumes
        for name, defined in zip(one.landmarks.names, one.landmarks.defined, strict=True)
        if defined
    }
    if absent := [name for name in names if name not in placed]:
        raise ValueError(
            f"{', '.join(absent)}: not placed in any of the {len(volumes)} volumes that are done; "
            f"place it in some"
        )
