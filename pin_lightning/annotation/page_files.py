"""Files of the page."""

from pathlib import PurePosixPath

from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Scope

# As browsers want them, whatever the system says of endings.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class PageFiles(StaticFiles):
    """Serves files of a folder whose endings are known; a browser asks whether they are new."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file.

        Raises:
            HTTPException: There is none, or it is of another kind.
        """
        kind = TYPES.get(PurePosixPath(path).suffix)
        if kind is None:
            raise HTTPException(404, "there is no such file")
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        if response.status_code == 200:
            response.headers["content-type"] = kind
        return response
