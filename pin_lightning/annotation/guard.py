"""Guard: who may ask, from where, and for how much; headers that keep a page safe."""

import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD", "OPTIONS")
MOST_BODY = 4 * 2**20  # bytes of a request
COOKIE = "pin_lightning"
LOGIN = ("/auth/", "/auth/token")  # of clients of MONAI Label, which give the token there
HEADERS = {
    # NiiVue holds its font and textures as addresses "data:".
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """ASGI middleware that answers what may not be asked.

    Args:
        app: What answers the rest.
        token: What everybody has to give, as ``Authorization: Bearer TOKEN`` or by a cookie, which
            ``/?token=TOKEN`` sets; None asks for nothing.
        any_host: Answer whatever name this machine was called by; else only names of the loopback,
            so that a page of another site cannot ask under a name of its own (DNS rebinding).
        limits: Most bytes of a request, by the beginning of its path; for others `MOST_BODY`.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None = None,
        any_host: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self.app, self.token, self.any_host = app, token, any_host
        self.limits = dict(limits or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        sending = _Sending(send, self._cookie(scope))
        refused = self._refused(scope)
        if refused is not None:
            code, detail = refused
            await JSONResponse({"detail": detail}, code)(scope, receive, sending)
            return
        await self.app(scope, _Receiving(receive, self._limit(scope)), sending)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return 400, "give one Host"
        if not self.any_host and _name(hosts[0]) not in LOOPBACK:
            return 421, "ask for 127.0.0.1 or localhost; host= lets others in"
        if scope["method"] not in READING and not _is_same_origin(headers, hosts[0]):
            return 403, "a page of another site may not ask for this"
        if scope["path"] != "/" and headers.get("sec-fetch-site") == "cross-site":
            return 403, "a page of another site may not ask for this"
        if self.token is not None and not self._knows_token(scope, headers):
            return 401, "give the token: open the address that the server has printed"
        length = headers.get("content-length", "0")
        if not re.fullmatch("[0-9]{1,18}", length):
            return 400, "give a Content-Length that is a number"
        if int(length) > self._limit(scope):
            return 413, f"more than {self._limit(scope)} bytes"
        return None

    def _limit(self, scope: Scope) -> int:
        path = scope["path"]
        return max(
            (most for begin, most in self.limits.items() if path.startswith(begin)),
            default=MOST_BODY,
        )

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        given = [headers.get("authorization", "").removeprefix("Bearer ")]
        given += [_cookies(headers).get(self._cookie_name(scope), "")]
        known = scope["path"] in LOGIN or self._gives_token(scope)
        return known or any(map(self._is_token, given))

    def _gives_token(self, scope: Scope) -> bool:
        """Whether the address of the page has the token."""
        if self.token is None or scope["path"] != "/" or scope["method"] not in READING:
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return len(given) == 1 and self._is_token(given[0])

    def _is_token(self, given: str) -> bool:
        assert self.token is not None
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _cookie(self, scope: Scope) -> str | None:
        """The cookie to set: once the address of the page had the token."""
        if not self._gives_token(scope):
            return None
        return f"{self._cookie_name(scope)}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    @staticmethod
    def _cookie_name(scope: Scope) -> str:
        """Of this server: cookies do not tell ports apart."""
        server = scope.get("server") or ("", 0)
        return f"{COOKIE}_{server[1]}"


class _Sending:
    """Adds headers to a response."""

    def __init__(self, send: Send, cookie: str | None) -> None:
        self._send, self._cookie = send, cookie

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
            if self._cookie is not None:
                headers.append("set-cookie", self._cookie)
        await self._send(message)


class _Receiving:
    """Counts the bytes of a request whose length was not given."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, "too many bytes")
        return message


def _name(host: str) -> str:
    """Name of a host without its port.

    >>> _name("127.0.0.1:8765"), _name("[::1]:80"), _name("EVIL.example")
    ('127.0.0.1', '[::1]', 'evil.example')
    """
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]@/]+)(:[0-9]{1,5})?", host)
    return found.group(1).lower() if found else ""


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    origins = headers.getlist("origin")
    if not origins:
        return headers.get("sec-fetch-site") in (None, "same-origin", "none")
    return len(origins) == 1 and origins[0] in (f"http://{host}", f"https://{host}")


def _cookies(headers: Headers) -> dict[str, str]:
    """Cookies; those of other programs on this machine, whatever they hold, hide none of ours."""
    return cookie_parser("; ".join(headers.getlist("cookie")))
