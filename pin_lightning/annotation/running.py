"""The HTTP server, until this process is asked to end."""

import logging
import socket

import uvicorn
from fastapi import FastAPI

from pin_lightning.annotation.address import Address
from pin_lightning.annotation.session import Session

SECONDS_TO_END = 2  # for requests that are being answered

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Ends streams of events when it is asked to end: they would not end by themselves."""

    def __init__(self, config: uvicorn.Config, session: Session) -> None:
        super().__init__(config)
        self._session = session

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams, then as always."""
        self._session.events.close()
        await super().shutdown(sockets)


def run_server(app: FastAPI, at: socket.socket, address: Address, session: Session) -> None:
    """Answer requests at a socket until SIGTERM or Ctrl-C."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # it would have the token
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_END,
        h11_max_incomplete_event_size=2**16,
        proxy_headers=False,
        ws="none",
        log_config=None,
    )
    log.info("open %s (Ctrl-C ends it)", address.page(at.getsockname()[1]))
    _Server(config, session).run(sockets=[at])
