"""A session that learns: its trainings, its proposals, and the run that predicts for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pin_lightning.annotation.learning.proposer import RegistrationProposer
from pin_lightning.annotation.learning.trainings import TrainingLearner
from pin_lightning.annotation.learning.unlike import Unlike
from pin_lightning.annotation.on_disk import PRIVATE
from pin_lightning.annotation.predicting_run import PredictingRun
from pin_lightning.annotation.session import Session

TRAININGS, APPEARANCE = "trainings", "appearance"


def connect(
    session: Session,
    settings: Mapping[str, Any],
    train: tuple[str, ...] = (),
    given: PredictingRun | None = None,
) -> PredictingRun | None:
    """Let a session train, propose and predict by what it has trained.

    Args:
        session: The session, before it is started.
        settings: Settings of predictions, such as the device.
        train: Further settings of the cross-validation.
        given: The run that predicts until one is trained here.

    Returns:
        The run that predicts at first: the newest that was trained here, else the one given.
    """

    def finished(run: Path) -> None:
        session.use_run(_predicting(run, settings))

    private = session.folder / PRIVATE
    session.learner = TrainingLearner(
        private / TRAININGS,
        Unlike(session, private / APPEARANCE),
        lambda status: session.events.publish("training", status),
        finished,
        train,
        proposes=given is None,
    )
    session.proposer = RegistrationProposer()
    newest = session.learner.run()
    return given if newest is None else _predicting(newest, settings)


def _predicting(run: Path, settings: Mapping[str, Any]) -> PredictingRun:
    return PredictingRun.of(run, settings, f"training {int(run.parent.name)}")
