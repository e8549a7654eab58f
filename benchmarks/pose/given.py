"""Settings of a measurement: its own, and those of the training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.cli.conf import CONF

OUTPUT = "outputs/poses"
# A few small phantoms and steps: to see that a measurement runs.
SMALL = [
    *("data=phantom", "data.source.turned=scan", "data.source.field=1.5"),
    *("data.source.num_cases=8", "data.source.size=[32,21,28]", "data.source.spacing_mm=[5,5,5]"),
    *("pose.steps=20", "trainer.max_steps=4", "trainer.val_check_interval=4"),
    *("data.spacing_mm=5", "loader.batch_size=2", "pose.calibration_folds=0"),
]


def own_settings(
    what: str, given: Sequence[str], defaults: Mapping[str, Any], small: Sequence[str] = SMALL
) -> tuple[dict[str, Any], list[str]]:
    """Part settings of a measurement from those of a training.

    Args:
        what: The measurement.
        given: Arguments ``SETTING=VALUE``.
        defaults: Its own settings; ``output`` and ``small`` are added.
        small: Settings of the training that come first with ``small=true``.

    Returns:
        Values of its own settings, the folder among them, and the other arguments.
    """
    known = {"output": f"{OUTPUT}/{what}", "small": False, **defaults}
    values, others = dict(known), []
    for one in given:
        key, _, value = one.partition("=")
        if key in known:
            values[key] = yaml.safe_load(value)
        else:
            others.append(one)
    if values["small"]:
        others = [*small, *others]
    return {**values, "output": Path(values["output"])}, others


def composed(program: str, settings: Sequence[str], run_dir: Path) -> DictConfig:
    """The config of a training or cross-validation, without pictures."""
    names = [f"run_name={run_dir.name}", f"run_dir={run_dir}", "report.pictures=false"]
    given = quote_arguments([*names, *settings])
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(program, given)
