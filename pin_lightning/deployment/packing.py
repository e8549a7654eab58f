"""Packing of a run into one file, written only if what it holds is what the run predicts with."""

import logging
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from omegaconf import DictConfig
from torch import nn

from pin_lightning.baselines.registration import AtlasRegistration
from pin_lightning.common.files import whole_file, write_text
from pin_lightning.common.settings import check_flag, refuse_missing
from pin_lightning.deployment.card_numbers import read_numbers
from pin_lightning.deployment.card_texts import CardTexts, read_text
from pin_lightning.deployment.model_card import model_card
from pin_lightning.deployment.packed_files import write_files
from pin_lightning.runs.folds import calibration_json
from pin_lightning.runs.found import ENDING
from pin_lightning.runs.packed import CARD, LICENCE, NAME, unpack, write_packed
from pin_lightning.runs.predictor import Predictor

log = logging.getLogger(__name__)


def pack(config: DictConfig) -> Path:
    """Pack a run, or the folds of a cross-validation, and print the model card.

    Args:
        config: Composed from `conf/pack.yaml`.

    Returns:
        The file.

    Raises:
        ValueError: A setting or the run is wrong, or the file is there. Then nothing is written.
    """
    refuse_missing(config)
    check_flag("overwrite", config.overwrite)
    run = Path(config.run)
    if not run.is_dir():
        raise ValueError(f"run={run}: is no folder; give one of train.py or of cross_validate")
    output = _output(config, run)
    texts = CardTexts.of(config)
    licence = read_text("licence_file", config.licence_file) if config.licence_file else None
    predictor = Predictor.load(run, "cpu", config.trust_run)
    numbers = read_numbers(run, config.evaluation, predictor.names)
    holds_scans = any(
        isinstance(one, AtlasRegistration) for made in _modules(predictor) for one in made.modules()
    )
    name = output.name.removesuffix(ENDING)
    card = model_card(name, texts, predictor, numbers, holds_scans)
    with TemporaryDirectory(prefix="pin-lightning-") as place, whole_file(output) as temporary:
        staged, read = Path(place) / "staged", Path(place) / "read"
        write_files(run, staged, name)
        write_text(staged / CARD, card)
        if licence is not None:
            write_text(staged / LICENCE, licence)
        write_packed(temporary, staged, name, version("pin-lightning"))
        _check_same(predictor, Predictor.load(unpack(temporary, read), "cpu", config.trust_run))
    print(card)
    if holds_scans:
        log.warning("%s: holds training scans, which whoever has it can look at", output)
    content = output.read_bytes()
    log.info("%s: %.2f MB, SHA-256 %s", output, len(content) / 1e6, sha256(content).hexdigest())
    return output


def _output(config: DictConfig, run: Path) -> Path:
    """The file to write, whose name is that of the model."""
    output = Path(run.resolve().name + ENDING if config.output is None else str(config.output))
    setting = f"output={output}"
    if output.suffix != ENDING or not NAME.fullmatch(output.name.removesuffix(ENDING)):
        raise ValueError(
            f"{setting}: give a name of letters, digits, -, _ and . that ends in {ENDING}"
        )
    if output.is_dir() or (output.exists() and not config.overwrite):
        raise ValueError(f"{setting}: is there already; give another file, or overwrite=true")
    return output


def _modules(predictor: Predictor) -> list[nn.Module]:
    """The localizer of a predictor, and the finders of its pose stages."""
    assert isinstance(predictor.localizer, nn.Module)
    locator = predictor.locator
    return [predictor.localizer, *(() if locator is None else locator.ensemble.members)]


def _check_same(run: Predictor, packed: Predictor) -> None:
    """Check that what was packed is what the run predicts with, to the last bit."""
    for own, other in zip(_modules(run), _modules(packed), strict=True):
        states = own.state_dict(), other.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())
    for name in ("names", "window", "usual", "apart_mm"):
        assert getattr(run, name) == getattr(packed, name), name
    bars = [one.calibration and calibration_json(one.calibration) for one in (run, packed)]
    assert bars[0] == bars[1]
    assert (run.locator and run.locator.limits) == (packed.locator and packed.locator.limits)
