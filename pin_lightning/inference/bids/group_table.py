"""The landmarks of all participants as one table, ``group_afids.tsv``, beside what describes it."""

from collections.abc import Iterable
from pathlib import Path

from pin_lightning.common.files import whole_file, write_json
from pin_lightning.inference.bids.data_set import PREDICTIONS, SUFFIX
from pin_lightning.inference.bids.images import BidsImage
from pin_lightning.inference.bids.tables import NOTHING, columns_of, described, rows_of, tsv_line
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.records import Records
from pin_lightning.runs.doubts import Reviewed

TABLE, SIDECAR = f"group_{SUFFIX}.tsv", f"group_{SUFFIX}.json"
_FIRST = {
    "participant_id": "Participant.",
    "session_id": "Session, where there are any.",
    "image": "Path of the image below the data set.",
}


def write_group_table(
    output: Path, images: Iterable[BidsImage], header: PredictionHeader
) -> tuple[list[str], list[str]]:
    """Write the table, image by image, so that memory does not grow with their number.

    Args:
        output: Folder of the derivatives.
        images: Images of the data set.
        header: What predicts.

    Returns:
        Names of the images that could not be predicted, and of those without a record.
    """
    records = Records(output / PREDICTIONS)
    failed, missing = list[str](), list[str]()
    with whole_file(output / TABLE) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(tsv_line([*_FIRST, *columns_of(header)]))
        for image in images:
            record = records.read(image.name, header.by)
            if record is None:
                missing.append(image.name)
            elif isinstance(record.one, Reviewed):
                session = f"ses-{image.entities['ses']}" if "ses" in image.entities else NOTHING
                first = (str(image.participant), session, image.key)
                rows = rows_of(record.one, header)
                file.writelines(tsv_line([*first, *row]) for row in rows)
            else:
                failed.append(image.name)
    about = {name: {"Description": text} for name, text in _FIRST.items()}
    write_json(output / SIDECAR, {**about, **described(header)})
    return failed, missing


def remove_group_table(output: Path) -> None:
    """Remove the table, which no longer says what was predicted."""
    for name in (TABLE, SIDECAR):
        (output / name).unlink(missing_ok=True)
