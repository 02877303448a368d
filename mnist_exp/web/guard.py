"""Protect the page: only this server's own names are answered, and the page may load nothing from elsewhere."""

import re
import socket
from collections.abc import Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::\d{1,5})?", re.ASCII)


class Guard:
    """ASGI middleware: adds HEADERS to every response, and answers 421 to requests for another host.

    A page of another site can have its own name lead to 127.0.0.1 (DNS rebinding). The browser then lets that page
    read what this server answers, but still names the other site in the Host header.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app = app
        self.hosts = {host.lower() for host in (*hosts, "localhost", socket.gethostname())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        app = self.app
        if not is_own_host(Headers(scope=scope).get("host", ""), self.hosts):
            app = JSONResponse({"detail": "unknown host; if this is your server, set hosts=[NAME]"}, 421)
        await app(scope, receive, send_with_headers)


def is_own_host(header: str, hosts: Iterable[str]) -> bool:
    """Whether a Host header holds one of `hosts` or an IP address, with or without a port.

    An address cannot be led elsewhere: only names go through the DNS.
    """
    match = HOST.fullmatch(header.lower())
    if match is None:
        return False
    host = match["ipv6"] or match["name"]
    return host in hosts or is_address(host)


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
