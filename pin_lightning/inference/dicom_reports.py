"""Files of DICOM structured reports, ``NAME.dcm``, of volumes that are DICOM series."""

import logging
import warnings
from contextlib import suppress
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from pin_lightning.common.errors import failure
from pin_lightning.common.files import whole_file
from pin_lightning.common.spelling import readable
from pin_lightning.data.images.dicom_evidence import read_evidence
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.runs.doubts import Reviewed

log = logging.getLogger(__name__)


def refuse_without_highdicom() -> None:
    """Refuse reports where the package that makes them is not installed.

    Raises:
        ValueError: It is not.
    """
    if find_spec("highdicom") is None:
        raise ValueError("dicom=true: needs highdicom; pip install 'pin-lightning[dicom]'")


def write_report(path: Path, source: Path, one: Reviewed, header: PredictionHeader) -> bool:
    """Write the report of a volume; where there can be none, log why, and remove an earlier one.

    Args:
        path: The file.
        source: The image that was predicted.
        one: Its numbers.
        header: What predicted it.

    Returns:
        Whether there is a report.

    Raises:
        OSError: The file cannot be written.
    """
    from pydicom.config import disable_value_validation

    from pin_lightning.reports.dicom.report import PredictedBy, landmark_report

    predicted = PredictedBy(header.run, header.version, header.by, header.names, header.error_bars)
    content = BytesIO()
    logging.getLogger("highdicom").setLevel(logging.WARNING)  # it says which modules it copies
    try:
        evidence = read_evidence(source)
        # What a series says of its patient is copied, right or wrong.
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            report = landmark_report(one, evidence, predicted)
            report.save_as(content, enforce_file_format=True)
    except Exception as error:  # whatever a header holds: the landmarks are there all the same
        if isinstance(error, OSError):
            raise
        log.warning("%s: no DICOM report: %s", one.name, readable(failure("report", error)))
        with suppress(FileNotFoundError):
            path.unlink()
        return False
    with whole_file(path) as temporary:
        temporary.write_bytes(content.getvalue())
    return True
