"""Doubt about the predictions of all volumes, beside what is usual among them."""

import threading

import numpy as np
from jaxtyping import Float64

from pin_lightning.annotation.doubtful import Doubtful, doubtful, usual
from pin_lightning.annotation.predicting_run import PredictingRun
from pin_lightning.annotation.predictions import Predictions
from pin_lightning.annotation.volumes import Scan
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed
from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.folds import read_calibration


class DoubtOfVolumes:
    """Doubt about volumes; what is usual is computed once for each change of the predictions."""

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions
        self._usual: tuple[int, Float64[np.ndarray, " L"] | None] = (-1, None)
        self._bars: tuple[PredictingRun | None, ErrorBars | None] = (None, None)
        self._lock = threading.Lock()

    def of(self, scan: Scan, fault: str) -> Doubtful:
        """Doubt about a volume.

        Args:
            scan: The volume.
            fault: Why it cannot be opened; else empty.
        """
        known: Reviewed | Failed | None = self._predictions.of(scan.name)
        run = self._predictions.run
        if fault:
            known = Failed(scan.name, scan.file.shown, fault)
        names = () if run is None else run.names
        with self._lock:
            usual_mm, bars = self._usual_now(), self._bars_of(run)
        return doubtful(known, names, usual_mm, bars)

    def _usual_now(self) -> Float64[np.ndarray, " L"] | None:
        changes = self._predictions.changes
        if self._usual[0] != changes:
            self._usual = changes, usual(self._predictions.known)
        return self._usual[1]

    def _bars_of(self, run: PredictingRun | None) -> ErrorBars | None:
        if run is not self._bars[0]:
            calibration = None if run is None else read_calibration(run.folder, run.names)
            self._bars = run, None if calibration is None else ErrorBars(calibration, None)
        return self._bars[1]
