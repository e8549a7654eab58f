"""The window of the Slicer module, with stand-ins for Qt and Slicer: its own code, not theirs."""

import importlib.util
import sys
from unittest.mock import MagicMock

import pytest

from conftest import REPOSITORY
from PINLandmarksLib.client import Conflict, ServerError

FILE = REPOSITORY / "slicer" / "PINLandmarks" / "PINLandmarks.py"
SHOWN = [{"name": "nose", "position": [1.0, 2.0, 3.0], "predicted": None, "missing": False}]
VOLUME = {
    **{"id": "a", "name": "ANNA", "version": 3, "state": "new", "reason": "", "doubts": []},
    "landmarks": SHOWN,
}
PREDICTED = {**VOLUME, "landmarks": [{**SHOWN[0], "predicted": [1.0, 2.0, 3.0]}]}


class Widget:
    """What the module's window is a kind of."""

    def __init__(self, parent=None):
        self.layout = MagicMock()

    def setup(self):
        pass


class Errors:
    """Slicer shows an error in a window of its own."""

    def __init__(self):
        self.shown = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _trace):
        self.shown += [] if error is None else [str(error)]
        return isinstance(error, Exception)


@pytest.fixture
def slicer(monkeypatch):
    """Stand-in for the modules of the application."""
    slicer, scripted, errors = MagicMock(), MagicMock(), Errors()
    scripted.ScriptedLoadableModule = scripted.ScriptedLoadableModuleWidget = Widget
    slicer.util.tryWithErrorDisplay = lambda _message, waitCursor: errors
    slicer.errors = errors.shown
    modules = {"slicer": slicer, "slicer.ScriptedLoadableModule": scripted}
    modules.update({"qt": MagicMock(), "ctk": MagicMock()})
    for name, one in modules.items():
        monkeypatch.setitem(sys.modules, name, one)
    monkeypatch.delitem(sys.modules, "PINLandmarksLib.scene", raising=False)
    yield slicer
    sys.modules.pop("PINLandmarksLib.scene", None)


@pytest.fixture
def window(slicer, monkeypatch, tmp_path):
    """A window that shows a scan of a server that is a stand-in."""
    spec = importlib.util.spec_from_file_location("window_of_slicer", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = MagicMock()
    server.volume.return_value, server.next_scan.return_value = VOLUME, "a"
    server.volumes.return_value = [VOLUME]
    server.download.return_value = tmp_path / "ANNA.nii.gz"
    module.Server = MagicMock(return_value=server)
    module.add_points = MagicMock(side_effect=lambda _scene, volume: MagicMock(name=volume["name"]))
    module.points_of = MagicMock(return_value=SHOWN)
    window = module.PINLandmarksWidget()
    window.setup()
    window.module, window.stand_in = module, server
    window.on_connect()
    window.on_next()
    assert slicer.errors == []
    return window


def test_the_next_scan_is_shown(window, slicer):
    window.stand_in.next_scan.assert_called_once()
    assert slicer.util.loadVolume.call_args.args[0] == str(window.stand_in.download.return_value)
    window.stand_in.look.assert_called_once_with("a", window.tab)
    window.stand_in.next_scan.return_value = None
    window.on_next()
    slicer.util.infoDisplay.assert_called_once()


def test_points_are_saved_with_the_version_that_was_shown(window, slicer):
    window.stand_in.save.return_value = {"version": 4, "state": "accepted"}
    window.on_save(done=True)
    window.on_save(done=False)
    first, second = (call.args for call in window.stand_in.save.call_args_list)
    assert (first[:4], second[1:4]) == (("a", 3, SHOWN, True), (4, SHOWN, False))
    assert slicer.errors == []


def test_what_another_person_saved_is_shown_beside_ones_own(window, slicer):
    moved = [{**SHOWN[0], "position": [9.0, 2.0, 3.0]}]
    window.module.points_of.return_value, own = moved, window.points
    window.stand_in.save.side_effect = Conflict("saved meanwhile", {**VOLUME, "version": 9})
    window.on_save(done=True)
    assert own.SetName.call_args.args[0].endswith("(not saved)")
    slicer.mrmlScene.RemoveNode.assert_not_called()
    assert (window.volume["version"], window.points is own) == (9, False)
    assert "saved meanwhile" in slicer.util.warningDisplay.call_args.args[0]


def test_points_that_are_saved_are_not_kept_twice(window, slicer):
    own, scan = window.points, window.scan
    window.on_chosen(0)
    assert [call.args[0] for call in slicer.mrmlScene.RemoveNode.call_args_list] == [scan, own]
    own.SetName.assert_not_called()


def test_a_prediction_is_waited_for(window, slicer):
    window.on_predict()
    window.stand_in.predict.assert_called_once_with("a")
    window.on_waiting()
    assert window.volume is VOLUME
    window.stand_in.volume.return_value = PREDICTED
    window.on_waiting()
    assert window.volume is PREDICTED
    window.on_predict()
    assert window.stand_in.predict.call_count == 1
    window.on_predict()
    slicer.util.infoDisplay.assert_called()


def test_why_there_is_no_prediction_is_said(window):
    window.on_predict()
    failed = {**VOLUME, "state": "failed", "reason": "no anatomy"}
    window.stand_in.volume.return_value = failed
    window.on_waiting()
    assert window.state.text == "failed: no anatomy"
    window.stand_in.volume.side_effect = ServerError("gone")
    window.on_waiting()
    assert window.state.text == "gone"


def test_errors_are_shown_in_a_window(window, slicer):
    window.stand_in.volume.side_effect = ServerError("gone")
    window.on_next()
    window.stand_in.save.side_effect = ServerError("full")
    window.on_save(done=True)
    window.stand_in.look.side_effect = ServerError("gone")
    window.on_looking()
    assert slicer.errors == ["gone", "full"]
    window.cleanup()


def test_points_are_marked_and_taken_up(window, slicer):
    chosen = window.table.tableWidget().selectionModel().selectedIndexes
    chosen.return_value = [MagicMock(**{"row.return_value": 0})] * 2
    window.on_missing()
    window.points.SetNthControlPointPositionMissing.assert_called_once_with(0)
    window.on_place()
    window.points.SetControlPointPlacementStartIndex.assert_called_once_with(0)
    slicer.modules.markups.logic().StartPlaceMode.assert_called_once_with(False)
