"""Requests to a server of `pin-lightning serve`, by Python's standard library alone."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SECONDS = 60.0  # without an answer
LOOKING_SECONDS = 3.0  # the same, of a request that nobody waits for


class ServerError(Exception):
    """A request that failed, in one line."""


class Conflict(ServerError):
    """Somebody else saved the scan in the meantime.

    Attributes:
        volume: What there is now, as of `Server.volume`.
    """

    def __init__(self, message: str, volume: dict[str, Any]):
        super().__init__(message)
        self.volume = volume


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, which would take the token elsewhere."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


class Server:
    """A server of `pin-lightning serve`.

    Args:
        address: Such as ``http://127.0.0.1:8765``.
        token: The token that it shows at its start, where it has one.

    Raises:
        ServerError: The address is none of http or https.
    """

    def __init__(self, address: str, token: str = ""):
        address = address.strip()
        self.address = (address if "://" in address else f"http://{address}").rstrip("/")
        try:
            parts = urlsplit(self.address)
            known = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:  # brackets that are not closed
            known = False
        if not known:
            raise ServerError(f"{address}: not the address of a server; give http://HOST:PORT")
        self.token = token.strip()
        # A proxy between a machine and itself would be another machine.
        proxies = [urllib.request.ProxyHandler({})] if parts.hostname in LOOPBACK else []
        self._opener = urllib.request.build_opener(_Stay, *proxies)

    def session(self) -> dict[str, Any]:
        """Title, landmark names, run and progress."""
        return self._json("GET", "/api/session")

    def volumes(self) -> list[dict[str, Any]]:
        """All scans, the most doubtful first."""
        return list(self._json("GET", "/api/volumes")["volumes"])

    def next_scan(self, strategy: str) -> str | None:
        """Id of the scan to look at next; None where all are done."""
        return self._json("GET", f"/api/next?{urlencode({'strategy': strategy})}").get("id")

    def volume(self, scan: str) -> dict[str, Any]:
        """One scan with its landmarks (world RAS mm), state and version."""
        return self._json("GET", _place(scan))

    def predict(self, scan: str) -> None:
        """Ask for the prediction of a scan before others."""
        self._json("POST", f"{_place(scan)}/predict", {})

    def look(self, scan: str, tab: str) -> None:
        """Say that a scan is being looked at."""
        with self._answer("POST", f"{_place(scan)}/looking", {"tab": tab}, timeout=LOOKING_SECONDS):
            pass

    def save(
        self,
        scan: str,
        version: int,
        landmarks: list[dict[str, Any]],
        done: bool,
        seconds: float = 0.0,
    ) -> dict[str, Any]:
        """Save the landmarks of a scan; gives its new version and state.

        Args:
            scan: Id of the scan.
            version: The version that was looked at.
            landmarks: As of `points.landmarks_of`.
            done: Whether nothing is left to do.
            seconds: Time that a person spent.

        Raises:
            Conflict: The version is no longer the newest.
        """
        content = {"landmarks": landmarks, "done": done, "seconds": seconds}
        return self._json("PUT", _place(scan), content, {"If-Match": f'"{version}"'})

    def download(self, scan: str, folder: Path) -> Path:
        """The file of a scan, in a folder.

        Raises:
            ServerError: It cannot be had, or cannot be written.
        """
        path = f"/datastore/image?{urlencode({'image': scan})}"
        with self._answer("GET", path) as answer:
            file = folder / _file_name(answer.headers.get("Content-Disposition") or "")
            try:
                with file.open("wb") as target:
                    shutil.copyfileobj(answer, target, 1 << 20)
            except OSError as error:
                raise ServerError(f"{file}: could not be received ({error})") from error
        return file

    def _json(
        self,
        method: str,
        path: str,
        content: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        with self._answer(method, path, content, headers) as answer:
            try:
                value = json.loads(answer.read() or b"{}")
            except (ValueError, OSError) as error:
                raise ServerError(f"{self.address}: answers something else ({error})") from error
        if not isinstance(value, dict):
            raise ServerError(f"{self.address}: is no server of pin-lightning serve")
        return value

    def _answer(
        self,
        method: str,
        path: str,
        content: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = SECONDS,
    ) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, body, headers or {}, method=method)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except (OSError, ValueError) as error:  # also a line break in the token
            reason = getattr(error, "reason", error)
            raise ServerError(f"{self.address}: no answer ({reason})") from error

    def _refusal(self, error: urllib.error.HTTPError) -> ServerError:
        with error:
            said = _read_json(error)
        detail = said.get("detail")
        line = detail if isinstance(detail, str) else f"status {error.code} {error.reason}"
        if error.code == 409 and "landmarks" in said:
            return Conflict(line, said)
        if error.code == 401:
            line += "; give the token that the server shows at its start"
        return ServerError(f"{self.address}: {line}")


def _read_json(answer: Any) -> dict[str, Any]:
    try:
        said = json.loads(answer.read())
    except (ValueError, OSError):
        return {}
    return said if isinstance(said, dict) else {}


def _place(scan: str) -> str:
    return f"/api/volumes/{quote(scan, safe='')}"


def _file_name(disposition: str) -> str:
    """A file name without folders of what a server says."""
    match = re.search(r"filename\*=utf-8''([^;]+)|filename=\"([^\"]+)\"", disposition, re.I)
    said = next(filter(None, match.groups()), "") if match else ""
    name = re.split(r"[/\\]", unquote(said))[-1]
    return re.sub(r"[^\w.\- ]", "_", name).lstrip(".") or "scan.nii.gz"
