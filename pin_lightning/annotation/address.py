"""The address at which a server listens, and who may ask there."""

import errno
import ipaddress
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SHORTEST_TOKEN = 8
WAITING = 128  # connections


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Name or number.
        port: 0 is any free one.
        token: What everybody has to give; None asks for nothing.
        is_loopback: Whether only this machine can ask.
    """

    host: str
    port: int
    token: str | None
    is_loopback: bool

    @classmethod
    def of(cls, host: str, port: int, token: str | None) -> "Address":
        """Address of settings; a token is made up where others can ask and none is given.

        Raises:
            ValueError: The token is short, or no plain text.
        """
        is_loopback = _is_loopback(host)
        if token is not None:
            token = str(token)
            plain = (token.isascii() and token.isalnum()) or set(token) <= set(_PLAIN)
            if len(token) < SHORTEST_TOKEN or not plain:
                raise ValueError(
                    f"token: give at least {SHORTEST_TOKEN} letters, digits, hyphens or underscores"
                )
        elif not is_loopback:
            token = secrets.token_urlsafe(18)
        return cls(host, port, token, is_loopback)

    def page(self, port: int) -> str:
        """Address of the page, with the token."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}/" + (f"?token={self.token}" if self.token else "")


_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


@contextmanager
def listening(address: Address) -> Iterator[socket.socket]:
    """Socket that listens at an address.

    Raises:
        ValueError: The port is taken, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio sends at once, without Nagle's wait, only where the protocol is named.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((address.host, address.port))
            made.listen(WAITING)
        except OSError as error:
            raise _refusal(address, error) from error
        yield made


def _refusal(address: Address, error: OSError) -> ValueError:
    if error.errno == errno.EADDRINUSE:
        return ValueError(
            f"port={address.port}: is taken by another program; give another one, or port=0 for "
            f"any free one"
        )
    if error.errno == errno.EACCES:
        return ValueError(f"port={address.port}: needs other rights; give one above 1023")
    return ValueError(f"host={address.host}: is no address of this machine ({error.strerror})")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
