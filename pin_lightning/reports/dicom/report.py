"""The DICOM structured report of a volume: a Measurement Report (DICOM PS3.16 TID 1500).

Its points are coordinates in space (SCOORD3D), which of the classes of reports Comprehensive 3D SR
allows (PS3.3 A.35.13), and Enhanced SR does not.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import highdicom.sr as sr
from pydicom import Dataset
from pydicom.sr.codedict import codes

from pin_lightning.data.images.dicom_evidence import REQUIRED, Evidence
from pin_lightning.reports.dicom.codes import PROJECT, coding_scheme, modality_code, procedure
from pin_lightning.reports.dicom.groups import landmark_groups
from pin_lightning.runs.doubts import Reviewed
from pin_lightning.runs.error_bars import ErrorBars

# Names that are hashed for UIDs are in a space of their own (RFC 9562, section 5.5).
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/pin-lightning/pin-lightning")
SERIES_NUMBER = 9001  # away from those of scanners
_SOURCE = sr.CodedConcept("260753009", "SCT", "Source")


@dataclass(frozen=True)
class PredictedBy:
    """What predicted, for a report.

    Attributes:
        run: Name of the run.
        version: Of this program.
        by: Hash of run and settings, as of `PredictionHeader.by`.
        names: Landmark names.
        error_bars: Error bars of the run, if it has any.
    """

    run: str
    version: str
    by: str
    names: tuple[str, ...]
    error_bars: ErrorBars | None


def uid_of(*parts: str) -> str:
    """A UID that follows from some words: 2.25 and a UUID (DICOM PS3.5 section B.2).

    >>> uid_of("report", "a") == uid_of("report", "a") != uid_of("report", "b")
    True
    """
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(0).join(parts)).int}"


def landmark_report(
    one: Reviewed, evidence: Evidence, predicted: PredictedBy
) -> sr.Comprehensive3DSR:
    """Make the report of a volume.

    The same run, settings and objects of the series give the same UIDs, and the same content but
    for the time at which it was made. The landmarks of a series keep their tracking UIDs whichever
    run finds them.

    Args:
        one: The prediction; positions in world RAS+ mm.
        evidence: Its series.
        predicted: What predicted it.

    Raises:
        ValueError, and errors of pydicom: What is copied from the series is not valid DICOM.
    """
    key = (predicted.by, *evidence.uids)
    series = str(evidence.instances[0].SeriesInstanceUID)
    groups = landmark_groups(
        one,
        predicted.names,
        predicted.error_bars,
        evidence.frame_of_reference,
        lambda name: uid_of("landmark", series, name),
    )
    content = sr.MeasurementReport(
        observation_context=_observer(predicted),
        procedure_reported=procedure(evidence.modality),
        imaging_measurements=list(groups),
    )
    content[0].ContentSequence.insert(-1, _image_library(evidence))
    report = sr.Comprehensive3DSR(
        evidence=_of_nobody(evidence),
        content=content[0],
        series_instance_uid=uid_of("series", *key),
        series_number=SERIES_NUMBER,
        series_description=_description(predicted.run),
        sop_instance_uid=uid_of("report", *key),
        instance_number=1,
        manufacturer=PROJECT,
        manufacturer_model_name=PROJECT,
        software_versions=predicted.version,
        coding_schemes=[coding_scheme()],
        specific_character_set="ISO_IR 192",
        is_complete=True,
    )
    for element in evidence.patient:
        report[element.tag] = element
    return report


def _description(run: str) -> str:
    """What lists of series show: 64 characters at most, and no backslash (DICOM PS3.5, VR LO).

    >>> _description("skulls")
    'Anatomical landmarks, skulls'
    """
    return f"Anatomical landmarks, {run}".replace("\\", "/")[:64]


def _observer(predicted: PredictedBy) -> sr.ObservationContext:
    """The program as a device (TID 1004); its serial number is that of run and settings."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uid_of("observer", predicted.version, predicted.by),
        name=f"{PROJECT} {predicted.version}",
        manufacturer_name=PROJECT,
        model_name=f"{PROJECT}, run {predicted.run}",
        serial_number=predicted.by,
    )
    context = sr.ObserverContext(
        observer_type=codes.DCM.Device, observer_identifying_attributes=device
    )
    return sr.ObservationContext(observer_device_context=context)


def _image_library(evidence: Evidence) -> sr.ContainerContentItem:
    """All objects of the series, with what they have in common (TID 1600)."""
    said = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
    group = sr.ContainerContentItem(
        codes.DCM.ImageLibraryGroup, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    frame = sr.UIDRefContentItem(
        codes.DCM.FrameOfReferenceUID, evidence.frame_of_reference, relationship_type=said
    )
    modality = modality_code(evidence.modality)
    common = [] if modality is None else [sr.CodeContentItem(codes.DCM.Modality, modality, said)]
    group.ContentSequence = sr.ContentSequence([*common, frame, *_images(evidence)])
    library = sr.ContainerContentItem(
        codes.DCM.ImageLibrary, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    library.ContentSequence = sr.ContentSequence([group])
    return library


def _images(evidence: Evidence) -> Sequence[sr.ImageContentItem]:
    uids = {str(one.SOPInstanceUID): str(one.SOPClassUID) for one in evidence.instances}
    contains = sr.RelationshipTypeValues.CONTAINS
    return [
        sr.ImageContentItem(_SOURCE, kind, uid, relationship_type=contains)
        for uid, kind in uids.items()
    ]


def _of_nobody(evidence: Evidence) -> list[Dataset]:
    """The objects, the first with nothing for highdicom to judge: values are copied afterwards."""
    first = evidence.instances[0].copy()
    for name in REQUIRED:
        setattr(first, name, "")
    return [first, *evidence.instances[1:]]
