"""Prediction of volumes one by one, as a server asks for them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.inference.beginning import at_work
from pin_lightning.inference.header import PredictionHeader, read_header
from pin_lightning.inference.inputs import Input
from pin_lightning.inference.lines import say
from pin_lightning.inference.outputs import VolumeOutputs
from pin_lightning.inference.part import Part
from pin_lightning.inference.run import load_predictor, predict_volumes
from pin_lightning.inference.settings import header_of
from pin_lightning.inference.work import what_is_left


def predict_as_told(config: DictConfig, inputs: Mapping[str, Input], names: Iterable[str]) -> None:
    """Predict volumes in the order in which they are named.

    What another run or other settings have left in the output folder is removed.

    Args:
        config: Composed from `conf/infer.yaml`; `log` is ``json``.
        inputs: Volumes by the names of their outputs.
        names: Names of volumes, which may come again.

    Raises:
        ValueError: The run, a setting or the output folder is wrong.
    """
    predictor, folder, part = load_predictor(config), Path(config.output), Part()
    header = header_of(predictor, [], config)
    volumes = {name: one.key for name, one in inputs.items()}
    before = read_header(folder)
    other = before is not None and _is_other(before, header)
    with at_work(folder, header, part, volumes, overwrite=other):
        work = what_is_left(folder, header, inputs, retry=False)
        outputs = VolumeOutputs(folder, header, (), slices=False)
        say(state="ready", by=header.by, todo=list(work.todo))
        for name in names:
            predict_volumes(predictor, outputs, {name: inputs[name].file}, config)


def _is_other(before: object, header: PredictionHeader) -> bool:
    return not isinstance(before, PredictionHeader) or header.difference(before) is not None
