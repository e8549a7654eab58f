"""What the server says of volumes."""

from typing import Any

from nibabel.affines import voxel_sizes

from pin_lightning.annotation.answers import (
    Doubt,
    Frame,
    Landmark,
    SessionAnswer,
    Summary,
    Training,
    Volume,
)
from pin_lightning.annotation.answers import Run as RunAnswer
from pin_lightning.annotation.doubtful import Doubtful
from pin_lightning.annotation.frames import FRAMES, ViewFrame
from pin_lightning.annotation.learning.settings import FEWEST_TO_TRAIN
from pin_lightning.annotation.points import Point
from pin_lightning.annotation.session import Session
from pin_lightning.annotation.volumes import Scan, volume_id
from pin_lightning.common.geometry import canonical_affine
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed


def session_answer(session: Session) -> SessionAnswer:
    """What a page needs to know first."""
    progress, run = session.progress(), session.predictions.run
    known = None
    if run is not None:
        waiting, problem = session.predictions.waiting, session.predictions.problem
        known = RunAnswer(name=run.shown, waiting=waiting, problem=problem)
    return SessionAnswer(
        title=session.title,
        key=volume_id(str(session.folder.absolute())),
        landmarks=list(session.names),
        run=known,
        frames=list(FRAMES),
        progress=progress,
        training=Training(**session.learner.status()),
        fewest_to_train=FEWEST_TO_TRAIN,
        advice=session.learner.advice(progress.done, progress.total),
        planes=list(session.planes),
    )


def summaries(session: Session) -> list[Summary]:
    """All volumes, the most doubtful first, those that are done last."""
    made = [(session.store.glance(key).state.done, summary(session, key)) for key in session.scans]
    made.sort(key=lambda one: (one[0], -one[1].doubt))
    return [one for _, one in made]


def summary(session: Session, key: str) -> Summary:
    """A volume in the list."""
    scan, saved, doubt = session.scans[key], session.store.glance(key), session.doubt(key)
    return Summary(
        id=key,
        name=scan.name,
        state=session.state(key),
        version=saved.version,
        prediction=session.number_of_prediction(key),
        doubt=doubt.number,
        doubts=_doubts(scan, doubt),
        looking=session.looking.at(key),
        coming=session.is_coming(key),
        readable=not session.fault(key),
        largest_radius_mm=max(_radii(session, key), default=None),
        moved=len(session.moved(key)),
        seconds=saved.state.seconds,
    )


def volume(session: Session, key: str) -> Volume:
    """A volume with its landmarks and frames."""
    scan, saved, doubt = session.scans[key], session.store.read(key), session.doubt(key)
    prediction = session.number_of_prediction(key)  # before it is looked at
    known, image, unread = session.predictions.of(scan.name), dict[str, Any](), ""
    try:
        shape, affine = session.scans.header(scan)
        canonical, size = canonical_affine(affine, shape)
        image["spacing_mm"] = voxel_sizes(canonical).tolist()
        image["size"] = size
        image["frames"] = {name: _frame(one) for name, one in session.frames(key).items()}
        image["window"] = session.images.window(scan)
    except ValueError as error:
        image, unread = {"spacing_mm": None, "size": None, "frames": {}, "window": None}, str(error)
    session.scans.note(scan, unread)
    failed = known.reason if isinstance(known, Failed) else ""
    return Volume(
        **image,
        id=key,
        name=scan.name,
        state=session.state(key),
        version=saved.version,
        prediction=prediction,
        reason=saved.problem or scan.without_path(scan.fault or unread or failed),
        landmarks=landmarks(session, key),
        doubts=_doubts(scan, doubt),
        looking=session.looking.at(key),
        done=saved.state.done,
        seconds=saved.state.seconds,
    )


def landmarks(session: Session, key: str) -> list[Landmark]:
    """Landmarks of a volume."""
    points, predicted = session.points(key), session.predicted(key)
    radii, reasons = _radii(session, key), session.doubt(key).reasons
    by_name = dict(zip(session.names, radii, strict=False))
    why = dict(zip(session.names, reasons, strict=False))
    return [
        Landmark(
            name=name,
            position=one.position,
            predicted=predicted.get(name),
            radius_mm=by_name.get(name),
            missing=one.missing,
            reason=why.get(name, ""),
        )
        for name, one in points.items()
        if name in session.names or one != Point()
    ]


def _doubts(scan: Scan, doubt: Doubtful) -> list[Doubt]:
    named = list(doubt.named)
    return [
        Doubt(
            kind=kind,
            text=scan.without_path(text),
            landmarks=named if kind == "radius" else [],
        )
        for kind, text in doubt.texts
    ]


def _radii(session: Session, key: str) -> list[float]:
    known = session.predictions.of(session.scans[key].name)
    if not isinstance(known, Reviewed) or known.radius_mm is None:
        return []
    radii: list[float] = known.radius_mm.tolist()
    return radii


def _frame(one: ViewFrame) -> Frame:
    rows = one.to_world.tolist()
    return Frame(to_world=rows, low_mm=one.low_mm, extent_mm=one.extent_mm)
