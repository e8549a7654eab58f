"""What a report on a DICOM series says of it: whose it is, and which objects it consists of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pin_lightning.data.images.dicom import dicom_files
from pin_lightning.data.images.dicom_file import readable_dicom

# Of the Patient, General Study and Patient Study modules (DICOM PS3.3 C.7.1 and C.7.2): these may
# be empty, but not absent,
REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName"),
)
# and these are copied where they are.
COPIED = (
    *("IssuerOfPatientID", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "StudyDescription", "PatientAge", "PatientSize"),
    "PatientWeight",
)
UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


@dataclass(frozen=True, eq=False)
class Evidence:
    """The series that a report is about.

    Attributes:
        patient: Data set of pydicom with what is copied of patient and study; text is decoded.
        modality: Such as ``CT``; empty if it does not say.
        frame_of_reference: UID of what its positions refer to.
        instances: One data set for each object, with its `UIDS`, in the order of the UIDs of
            objects, whatever the files are named.
    """

    patient: Any
    modality: str
    frame_of_reference: str
    instances: Sequence[Any]

    @property
    def uids(self) -> list[str]:
        """UIDs of all objects."""
        return [str(one.SOPInstanceUID) for one in self.instances]


def read_evidence(path: Path) -> Evidence:
    """Read whose a DICOM series is and what it consists of; voxels are not read.

    Args:
        path: What `open_series` or `open_dicom` accept: a folder, or a file of many frames.

    Raises:
        ValueError: It is no DICOM series, is damaged, or lacks what a report refers to.
    """
    import pydicom

    files = dicom_files(path)
    if not files:
        raise ValueError("it is no DICOM series")
    instances, frames = list[Any](), dict[str, None]()
    tags = [*UIDS, "FrameOfReferenceUID"]
    for file in files:
        with readable_dicom(file):
            one = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
            lacking = [name for name in UIDS if not one.get(name)]
            frames.setdefault(str(one.get("FrameOfReferenceUID") or ""))
        if lacking:
            raise ValueError(f"{file.name} has no {', '.join(lacking)}")
        instances.append(_only(one, UIDS))
    instances.sort(key=lambda one: str(one.SOPInstanceUID))
    frames.pop("", None)
    if not frames:
        raise ValueError("its series has no FrameOfReferenceUID, in which positions would be")
    with readable_dicom(files[0]):
        first = pydicom.dcmread(files[0], stop_before_pixels=True, force=True)
        first.decode()
        modality = str(first.get("Modality") or "")
        return Evidence(_patient(first), modality, next(iter(frames)), instances)


def _patient(first: Any) -> Any:
    kept = _only(first, (*REQUIRED, *COPIED))
    for name in REQUIRED:
        if kept.get(name) is None:
            setattr(kept, name, "")
    for name in ("PatientName", "ReferringPhysicianName"):
        setattr(kept, name, str(kept[name].value))  # without the bytes of its own encoding
    return kept


def _only(dataset: Any, names: Sequence[str]) -> Any:
    from pydicom import Dataset

    kept = Dataset()
    for name in names:
        if name in dataset:
            kept[name] = dataset[name]
    return kept
