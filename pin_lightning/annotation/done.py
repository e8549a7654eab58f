"""Volumes that are done, as a training takes them."""

from collections.abc import Sequence

from pin_lightning.annotation.learner import DoneVolume
from pin_lightning.annotation.points import changed_names, landmarks_of
from pin_lightning.annotation.store import AnnotationStore
from pin_lightning.annotation.volumes import Scans
from pin_lightning.inference.files import LocalInput


def done_volumes(scans: Scans, store: AnnotationStore, names: Sequence[str]) -> list[DoneVolume]:
    """Volumes that are done and whose images are on this machine.

    Args:
        scans: All volumes.
        store: What is saved of them.
        names: Landmarks that are wanted, in their order.
    """
    found = []
    for key, scan in scans.items():
        saved = store.read(key)
        if saved.state.done and isinstance(scan.file, LocalInput) and not scans.fault(scan):
            landmarks = landmarks_of(saved.points).select(names)
            is_corrected = bool(changed_names(saved.points, saved.state.predicted))
            path = scan.file.path.absolute()
            before = (saved.state.predicted, saved.state.by)
            found.append(DoneVolume(key, scan.name, path, landmarks, is_corrected, *before))
    return found
