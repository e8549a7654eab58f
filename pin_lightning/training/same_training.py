"""Whether a run folder holds the same training that is about to go on in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pin_lightning.runs.folder import CONFIG, RunRecord, read_record

# What has no effect on the weights.
FREE_SETTINGS = (
    *("run_dir", "run_name", "method", "overrides", "ckpt_path", "logger", "report", "summary"),
    *("data.cache_dir", "data.on_error", "data.planes", "checkpoint"),
)


def check_same_training(
    run_dir: Path, config: DictConfig, record: RunRecord, free: Sequence[str] = FREE_SETTINGS
) -> None:
    """Refuse a folder of other settings or cases.

    Args:
        run_dir: Run folder that a training has begun in.
        config: Settings now.
        record: What the data decides now.
        free: Settings that may differ, or groups of them.

    Raises:
        ValueError: It was trained otherwise; the message names the setting.
    """
    before = _settings(OmegaConf.load(run_dir / CONFIG), free)
    now = _settings(config, free)
    for setting in sorted(before.keys() | now.keys()):
        if before.get(setting) != now.get(setting):
            raise ValueError(
                f"{run_dir}: was trained with {setting}={before.get(setting)}, now it is "
                f"{now.get(setting)}; give the same setting, or another run_dir"
            )
    if read_record(run_dir) != record:
        raise ValueError(
            f"{run_dir}: was trained on other cases, landmarks or another working grid than "
            f"the data have now; give another run_dir"
        )


def _settings(config: Any, free: Sequence[str]) -> dict[str, Any]:
    """All values that a training depends on, by their dotted names."""

    def flat(node: Any, path: str) -> dict[str, Any]:
        if path in free:
            return {}
        if isinstance(node, dict):
            parts = [flat(value, f"{path}.{key}".lstrip(".")) for key, value in node.items()]
            return {key: value for part in parts for key, value in part.items()}
        return {path: node}

    return flat(OmegaConf.to_container(config, resolve=True), "")
