"""Texts of a model card, which nobody but the maker of a run knows."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from yaml import YAMLError

from pin_lightning.common.names import did_you_mean
from pin_lightning.runs.formats import plain_yaml

MOST_BYTES = 2**20


@dataclass(frozen=True)
class CardTexts:
    """Texts of a model card, None for what is not known.

    Attributes:
        title: Title.
        data: Source and licence of the training data.
        licence: Licence of the weights.
        intended_use: What the model is for.
        not_in_training: What is not among the training cases.
        limits: Limits.
    """

    title: str | None = None
    data: str | None = None
    licence: str | None = None
    intended_use: str | None = None
    not_in_training: str | None = None
    limits: str | None = None

    @classmethod
    def of(cls, config: DictConfig) -> "CardTexts":
        """Texts of `conf/pack.yaml`, and those of the file ``texts`` where these are null.

        Raises:
            ValueError: A setting or the file is wrong.
        """
        names = [one.name for one in fields(cls)]
        texts = {} if config.texts is None else _read_texts(str(config.texts), names)
        for name in names:
            if config[name] is not None:
                texts[name] = _text(name, str(config[name]))
        return cls(**texts)


def read_text(setting: str, path: str) -> str:
    """Read a text file that a setting names.

    Raises:
        ValueError: It is absent, too large, or no UTF-8 text.
    """
    try:
        if (size := Path(path).stat().st_size) > MOST_BYTES:
            raise ValueError(f"{size} bytes, more than {MOST_BYTES}")
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _unreadable(setting, path, error) from error


def _read_texts(path: str, names: list[str]) -> dict[str, str]:
    try:
        content: Any = plain_yaml(Path(path))
        if not isinstance(content, dict):
            raise ValueError("no settings")
    except (OSError, ValueError, YAMLError) as error:
        raise _unreadable("texts", path, error) from error
    for key in content:
        if key not in names:
            raise ValueError(
                f"texts={path}: {key}: is no text of a card; {did_you_mean(str(key), names)}"
            )
    known = {key: one for key, one in content.items() if one is not None}
    return {key: _text(f"texts={path}: {key}", one) for key, one in known.items()}


def _text(setting: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{setting}={str(value)[:80]}: give a text")
    return value.strip()


def _unreadable(setting: str, path: str, error: Exception) -> ValueError:
    reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
    return ValueError(f"{setting}={path}: cannot be read ({reason}); give another file")
