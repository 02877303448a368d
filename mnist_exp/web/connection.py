"""Run the web server: a socket, and connections that cannot be held open for ever."""

import asyncio
import errno
import socket

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

EXCHANGE_SECONDS = 20.0  # from the first byte of a request, or the start of a connection, to the end of the answer
MAX_CONNECTIONS = 256  # more are answered with status 503
SHUTDOWN_SECONDS = 3  # for answers that are being computed when the server stops


class TimedConnection(H11Protocol):
    """uvicorn's HTTP connection, with a time limit for each request and its answer.

    uvicorn itself limits only the pause between two requests. A client that sends its request a byte at a time, or
    does not read the answer, would keep the connection for ever.
    """

    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_clock()

    def data_received(self, data: bytes) -> None:
        self._start_clock()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._stop_clock()
        super().on_response_complete()
        if self.conn.their_state is not h11.IDLE:  # the next request is here already, or the rest of a refused one
            self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):  # nobody waits for the rest of a request
            self.transport.abort()
        else:
            super().shutdown()

    def _start_clock(self) -> None:
        if self.deadline is None:
            self.deadline = self.loop.call_later(EXCHANGE_SECONDS, self.transport.abort)

    def _stop_clock(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


def make_server(app: ASGIApp) -> uvicorn.Server:
    """A server of `app`: `server.run(sockets=[listen(host, port)])` runs it until Ctrl+C."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=TimedConnection,
            ws="none",
            log_level="warning",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            server_header=False,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections at `host`; port 0 takes a free one. Raises ValueError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if not 0 <= port <= 65_535:
            raise OSError("ports are numbers from 0 to 65535")
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            advice = f"another program listens there; choose another port, such as port={port + 1}"
        else:
            advice = f"{error}; try host=127.0.0.1 port=8000"
        raise ValueError(f"cannot listen at {host}, port {port}: {advice}") from error
    # asyncio turns off the delay of small packets (Nagle) only on sockets that name their protocol. With the delay
    # each answer takes 40 ms longer.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, listening.detach())
