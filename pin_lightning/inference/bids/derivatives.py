"""The derivatives of each image, made from its record: what has none was not predicted.

They are a copy of what the records say, as the tables of a prediction are: made again, they are the
same, and after a kill they are made from the records that there are.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.common.files import remove_leftovers, write_json, write_text
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.inference.bids.data_set import DESC, PREDICTIONS, RAW, SUFFIX
from pin_lightning.inference.bids.images import BidsImage
from pin_lightning.inference.bids.tables import columns_of, described, rows_of, tsv_text
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.outputs import descriptions
from pin_lightning.inference.records import Record, Records
from pin_lightning.runs.doubts import Reviewed

ENDINGS = (".fcsv", ".tsv", ".json")  # the last one is written last


def derivative(output: Path, image: BidsImage, ending: str) -> Path:
    """Path of a derivative.

    The image's own space is named by its suffix, as in AFIDs, so that the landmarks of a T1w and a
    T2w image have different names, and `data=bids` finds each.

    Args:
        output: Folder of the derivatives.
        image: The image.
        ending: One of `ENDINGS`.
    """
    source = image.name.removesuffix(f"_{image.suffix}")
    name = f"{source}_space-{image.suffix}_desc-{DESC}_{SUFFIX}{ending}"
    return output.joinpath(image.key).parent / name


def write_derivatives(output: Path, images: Iterable[BidsImage], header: PredictionHeader) -> bool:
    """Bring the derivatives of images in line with their records.

    Args:
        output: Folder of the derivatives, in whose `PREDICTIONS` the records are.
        images: The images, for which nobody else writes.
        header: What predicts.

    Returns:
        Whether anything was changed.
    """
    records, changed = Records(output / PREDICTIONS), False
    for image in images:
        record = records.read(image.name, header.by)
        if record is not None and isinstance(record.one, Reviewed):
            changed |= _write(output, image, header, record, record.one)
        else:
            changed |= _remove(output, image)
    return changed


def remove_temporary(output: Path, images: Iterable[BidsImage]) -> None:
    """Remove temporary files that killed processes left beside the derivatives of images."""
    for folder in {derivative(output, image, ".tsv").parent for image in images}:
        remove_leftovers(folder)


def _write(
    output: Path, image: BidsImage, header: PredictionHeader, record: Record, one: Reviewed
) -> bool:
    fcsv, tsv, sidecar = (derivative(output, image, ending) for ending in ENDINGS)
    content = _sidecar(image, header, record, one)
    if fcsv.is_file() and tsv.is_file() and _said(sidecar) == content:
        return False
    sidecar.unlink(missing_ok=True)
    seen = np.where(one.outside[:, None], np.nan, one.positions_world)
    texts = descriptions(one, header.error_bars)
    write_landmarks(fcsv, LandmarkSet.of(header.names, seen), texts, absent="missing")
    write_text(tsv, tsv_text(columns_of(header), rows_of(one, header)))
    write_json(sidecar, content)
    return True


def _remove(output: Path, image: BidsImage) -> bool:
    there = [path for ending in ENDINGS if (path := derivative(output, image, ending)).exists()]
    for path in there:
        path.unlink()
    return bool(there)


def _sidecar(
    image: BidsImage, header: PredictionHeader, record: Record, one: Reviewed
) -> dict[str, Any]:
    about = f"Landmarks of {image.name}, predicted with the run {header.run}."
    pose = None
    if one.pose is not None:
        numbers = {"Score": one.pose.score, "Lead": one.pose.lead}
        finite = {key: value if np.isfinite(value) else None for key, value in numbers.items()}
        pose = {"State": "uncertain" if one.pose.uncertain else "sure", **finite}
    return {
        "Description": f"{about} The .fcsv beside the table is for 3D Slicer, and names its frame.",
        "Sources": [f"bids:{RAW}:{image.key}"],
        "Run": header.run,
        "PredictedBy": record.by,
        "SourceStamp": record.stamp,
        "Seconds": one.seconds,
        "Pose": pose,
        "Remarks": list(one.remarks),
        **described(header),
    }


def _said(path: Path) -> object:
    with suppress(OSError, ValueError, RecursionError):
        return json.loads(path.read_text("utf-8"))
    return None
