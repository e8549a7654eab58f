"""Derivatives that belong to no record, as of a prediction that was overwritten."""

import re
from pathlib import Path

from pin_lightning.inference.bids.data_set import DESC, PREDICTIONS, SUFFIX
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.records import Records
from pin_lightning.runs.doubts import Reviewed

_OWN = re.compile(rf"(.+)_space-([0-9a-zA-Z]+)_desc-{DESC}_{SUFFIX}\.(?:fcsv|tsv|json)")


def remove_strays(output: Path, header: PredictionHeader) -> None:
    """Remove derivatives of images without a prediction; nobody else may be at work.

    Args:
        output: Folder of the derivatives.
        header: What predicts.
    """
    records = Records(output / PREDICTIONS)
    for pattern in ("sub-*/anat/*", "sub-*/ses-*/anat/*"):
        for path in sorted(output.glob(pattern)):
            if found := _OWN.fullmatch(path.name):
                record = records.read(f"{found[1]}_{found[2]}", header.by)
                if record is None or not isinstance(record.one, Reviewed):
                    path.unlink()
