"""Window of the module PINLandmarks; what it does is in PINLandmarksLib."""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget

import slicer
from PINLandmarksLib.client import Conflict, Server, ServerError
from PINLandmarksLib.points import are_same
from PINLandmarksLib.scene import add_points, mark_missing, points_of, remove, take_up

ADDRESS = "PINLandmarks/address"  # of a setting of Slicer; the token is not kept
STRATEGIES = ("doubt", "random", "diverse")
LOOKING_SECONDS = 10
WAITING_SECONDS, MOST_WAITS = 2, 300
THEIRS = "Its points are shown; yours are hidden in the list that is named (not saved)."
HELP = """Landmarks of a server of <tt>pin-lightning serve</tt>: fetch the next scan, correct its
points, and send them back. Points are dragged in any view; one that cannot be seen is marked
missing."""


class PINLandmarks(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent: Any):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "PIN Landmarks"
        parent.categories = ["Markups"]
        parent.dependencies = ["Markups", "Volumes"]
        parent.contributors = ["PIN-Lightning contributors"]
        parent.helpText = HELP


class PINLandmarksWidget(ScriptedLoadableModuleWidget):
    """The window: server, scan, points."""

    def setup(self) -> None:
        """Make the window."""
        ScriptedLoadableModuleWidget.setup(self)
        self.server: Server | None = None
        self.volume: dict[str, Any] | None = None
        self.points = self.scan = None  # nodes of the scene
        self.waits = 0
        self.tab, self.since = uuid.uuid4().hex, time.monotonic()
        self._make_server_form()
        self._make_scan_form()
        self._make_points_form()
        self.layout.addStretch(1)
        self.looking = _timer(LOOKING_SECONDS, self.on_looking)
        self.waiting = _timer(WAITING_SECONDS, self.on_waiting)
        self._enable()

    def cleanup(self) -> None:
        """Stop the timers with the window."""
        self.looking.stop()
        self.waiting.stop()

    def _make_server_form(self) -> None:
        form = self._form("Server")
        self.address = qt.QLineEdit(slicer.util.settingsValue(ADDRESS, "http://127.0.0.1:8765"))
        self.token = qt.QLineEdit()
        self.token.setEchoMode(qt.QLineEdit.Password)
        self.token.setPlaceholderText("only where the server asks for one")
        form.addRow("Address", self.address)
        form.addRow("Token", self.token)
        form.addRow(_button("Connect", self.on_connect))

    def _make_scan_form(self) -> None:
        form = self._form("Scan")
        self.strategy, self.scans, self.state = qt.QComboBox(), qt.QComboBox(), qt.QLabel()
        self.strategy.addItems(list(STRATEGIES))
        self.scans.connect("activated(int)", self.on_chosen)
        self.next = _button("Next scan", self.on_next)
        self.predict = _button("Predict", self.on_predict)
        form.addRow("Next by", self.strategy)
        form.addRow(self.next)
        form.addRow("Scans", self.scans)
        form.addRow(self.predict)
        form.addRow("State", self.state)

    def _make_points_form(self) -> None:
        form = self._form("Points")
        self.table = slicer.qSlicerSimpleMarkupsWidget()
        self.table.setMRMLScene(slicer.mrmlScene)
        self.place = _button("Place the selected point anew", self.on_place)
        self.missing = _button("Mark the selected points missing", self.on_missing)
        self.keep = _button("Save, not done yet", lambda: self.on_save(done=False))
        self.done = _button("Save as done", lambda: self.on_save(done=True))
        for widget in (self.table, self.place, self.missing, self.keep, self.done):
            form.addRow(widget)

    def _form(self, title: str) -> Any:
        box = ctk.ctkCollapsibleButton()
        box.text = title
        self.layout.addWidget(box)
        return qt.QFormLayout(box)

    def on_connect(self) -> None:
        """Ask the server for its scans."""
        with _shown_errors("Could not connect."):
            self.server = None
            server = Server(self.address.text, self.token.text)
            server.session()
            self.server = server
            slicer.app.userSettings().setValue(ADDRESS, server.address)
            self._list_scans()
        self._enable()

    def on_next(self) -> None:
        """Fetch the scan to look at next."""
        with _shown_errors("Could not fetch the next scan."):
            scan = self.server.next_scan(self.strategy.currentText)
            if scan is None:
                slicer.util.infoDisplay("All scans are done.")
            else:
                self._open(scan)

    def on_chosen(self, index: int) -> None:
        """Fetch the scan that was chosen from the list."""
        with _shown_errors("Could not fetch the scan."):
            self._open(self.scans.itemData(index))

    def on_predict(self) -> None:
        """Ask for the prediction of this scan, and wait for it beside other work."""
        if any(one["predicted"] for one in self.volume["landmarks"]):
            slicer.util.infoDisplay("This scan is predicted already.")
            return
        with _shown_errors("Could not ask for a prediction."):
            self.server.predict(self.volume["id"])
            self.state.text, self.waits = "is being predicted", MOST_WAITS
            self.waiting.start()

    def on_waiting(self) -> None:
        """Show the points once they are predicted."""
        self.waits -= 1
        try:
            volume = self.server.volume(self.volume["id"])
        except ServerError as error:
            self.waiting.stop()
            self.state.text = str(error)
            return
        if any(one["predicted"] for one in volume["landmarks"]):
            self._show(volume)
        elif self.waits == 0 or volume["state"] not in ("new", self.volume["state"]):
            self.waiting.stop()
            self.state.text = f"{volume['state']}: {volume['reason']}"

    def on_looking(self) -> None:
        """Tell others that this scan is being looked at."""
        try:
            self.server.look(self.volume["id"], self.tab)
        except ServerError as error:
            self.looking.stop()
            self.state.text = str(error)

    def on_missing(self) -> None:
        """Mark what is selected in the table."""
        for row in self._selected_rows():
            mark_missing(self.points, row)

    def on_place(self) -> None:
        """Place the first selected point by the next click into a view."""
        for row in self._selected_rows()[:1]:
            take_up(self.points, row)
            logic = slicer.modules.markups.logic()
            logic.SetActiveList(self.points)
            logic.StartPlaceMode(False)

    def on_save(self, done: bool) -> None:
        """Send the points back."""
        with _shown_errors("Could not save the points."):
            landmarks = self._landmarks()
            spent = time.monotonic() - self.since
            volume = self.volume
            try:
                saved = self.server.save(volume["id"], volume["version"], landmarks, done, spent)
            except Conflict as conflict:
                self._show(conflict.volume)
                slicer.util.warningDisplay(f"{conflict}\n{THEIRS}")
                return
            self.volume, self.since = {**volume, **saved, "landmarks": landmarks}, time.monotonic()
            self.state.text = f"{saved['state']}, version {saved['version']}"
            self._list_scans()

    def _open(self, scan: str) -> None:
        volume = self.server.volume(scan)
        with tempfile.TemporaryDirectory() as folder:
            file = self.server.download(scan, Path(folder))
            properties = {"name": volume["name"], "singleFile": True}
            node = slicer.util.loadVolume(str(file), properties)
        remove(slicer.mrmlScene, self.scan)
        self.scan = node
        self._show(volume)
        self.looking.start()
        self.on_looking()

    def _show(self, volume: dict[str, Any]) -> None:
        """Show the points of a scan; those that are not saved stay beside them, hidden."""
        self.waiting.stop()
        self._put_aside()
        self.volume, self.since = volume, time.monotonic()
        self.points = add_points(slicer.mrmlScene, volume)
        self.table.setCurrentNode(self.points)
        doubts = [f"{one['kind']}: {one['text']}" for one in volume["doubts"]]
        self.state.text = "\n".join([volume["state"], *doubts])
        self.scans.setCurrentIndex(self.scans.findData(volume["id"]))
        self._enable()

    def _put_aside(self) -> None:
        if self.points is None or not slicer.mrmlScene.IsNodePresent(self.points):
            return
        try:
            is_saved = are_same(self._landmarks(), self.volume["landmarks"])
        except ValueError:  # no list of landmarks any more
            is_saved = False
        if is_saved:
            remove(slicer.mrmlScene, self.points)
        else:
            self.points.SetName(f"{self.points.GetName()} (not saved)")
            self.points.GetDisplayNode().SetVisibility(False)

    def _landmarks(self) -> list[dict[str, Any]]:
        names = [one["name"] for one in self.volume["landmarks"]]
        return points_of(slicer.mrmlScene, self.points, names)

    def _list_scans(self) -> None:
        self.scans.clear()
        for one in self.server.volumes():
            self.scans.addItem(f"{one['name']} ({one['state']})", one["id"])
        if self.volume is not None:
            self.scans.setCurrentIndex(self.scans.findData(self.volume["id"]))

    def _selected_rows(self) -> list[int]:
        chosen = self.table.tableWidget().selectionModel().selectedIndexes
        return sorted({one.row() for one in chosen()})

    def _enable(self) -> None:
        for widget in (self.strategy, self.next, self.scans):
            widget.enabled = self.server is not None
        for widget in (self.predict, self.place, self.missing, self.keep, self.done):
            widget.enabled = self.server is not None and self.volume is not None


def _shown_errors(message: str) -> Any:
    return slicer.util.tryWithErrorDisplay(message, waitCursor=True)


def _button(text: str, called: Any) -> Any:
    button = qt.QPushButton(text)
    button.connect("clicked(bool)", lambda _checked=False: called())
    return button


def _timer(seconds: int, called: Any) -> Any:
    timer = qt.QTimer()
    timer.setInterval(seconds * 1000)
    timer.connect("timeout()", called)
    return timer
