"""Connections that come and go as they should not: python -m pytest tests/web/test_connection.py -v"""

import asyncio
import logging
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from serving import connect, fetch, serving

from mnist_exp.web import connection
from mnist_exp.web.connection import listen

UPLOAD = b"POST /answers HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
SLOW = [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", UPLOAD, UPLOAD + bytes(999)]


def closed_by_the_server(client: socket.socket) -> bool:
    """Waits for the end of the connection; False if it does not come within the socket's timeout."""
    try:
        while client.recv(65_536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def test_slow_connections_are_closed_and_others_are_answered_meanwhile(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "EXCHANGE_SECONDS", 1.0)
    with serving() as url, ExitStack() as stack:
        clients = [stack.enter_context(connect(url)) for _ in range(200)]
        for index, client in enumerate(clients):
            client.sendall(SLOW[index % len(SLOW)])
        assert answered_in_the_end(f"{url}/models")
        assert all(map(closed_by_the_server, clients))


def answered_in_the_end(url: str) -> bool:
    """Whether a request is answered. On a busy machine this one, too, may take longer than the server allows."""
    for _ in range(30):
        with suppress(OSError):
            return fetch(url)[0] == 200
    return False


def test_a_client_that_sends_a_byte_at_a_time_gains_no_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "EXCHANGE_SECONDS", 0.5)
    with serving() as url, connect(url) as client:
        sent = 0
        with suppress(ConnectionError):  # the server has closed the connection
            for byte in UPLOAD:
                client.sendall(bytes([byte]))
                sent += 1
                time.sleep(0.02)
    assert sent < len(UPLOAD)


def test_the_second_request_of_a_connection_has_the_same_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "EXCHANGE_SECONDS", 0.5)
    with serving() as url:
        for rest in (b"G", UPLOAD):
            with connect(url) as client:
                client.sendall(b"GET /models HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
                client.sendall(rest)
                assert closed_by_the_server(client)


def test_a_connection_that_is_used_again_and_again_stays_open(monkeypatch: pytest.MonkeyPatch):
    limit = 1.0
    monkeypatch.setattr(connection, "EXCHANGE_SECONDS", limit)
    started = time.monotonic()
    with serving() as url, connect(url) as client, client.makefile("rb") as answers:
        while time.monotonic() - started < 1.5 * limit:
            asked = time.monotonic()
            client.sendall(b"GET /models HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status = answers.readline()
            if time.monotonic() - asked > limit / 2:
                pytest.skip("this machine is too busy to answer within the limit")
            assert status.startswith(b"HTTP/1.1 200")
            length = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split()[1])
            assert len(answers.read(length)) == length > 0
            time.sleep(0.05)


def test_a_client_that_does_not_read_its_answers_is_let_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "EXCHANGE_SECONDS", 0.5)
    lost = threading.Event()
    before = connection.TimedConnection.connection_lost

    def connection_lost(self: connection.TimedConnection, error: Exception | None) -> None:
        before(self, error)
        lost.set()

    monkeypatch.setattr(connection.TimedConnection, "connection_lost", connection_lost)
    with serving() as url, connect(url) as client:
        client.settimeout(0.2)
        with suppress(TimeoutError, ConnectionError):  # the answers fill what lies between, so nothing more is read
            while True:
                client.sendall(1000 * b"GET /demo.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert lost.wait(30)


def test_the_server_stops_although_clients_have_not_sent_all(caplog: pytest.LogCaptureFixture):
    with ExitStack() as stack:
        with serving() as url:  # its end fails if the server goes on
            for begun in SLOW:
                stack.enter_context(connect(url)).sendall(begun)
            fetch(f"{url}/models")
            started = time.monotonic()
        assert time.monotonic() - started < connection.EXCHANGE_SECONDS / 2
    assert not [record for record in caplog.records if record.exc_info]


def test_a_broken_upload_leaves_one_line_in_the_log(caplog: pytest.LogCaptureFixture):
    with serving() as url:
        for _ in range(30):
            with connect(url) as client:
                client.sendall(UPLOAD + bytes(500))
        deadline = time.monotonic() + 30
        while len(caplog.records) < 30 and time.monotonic() < deadline:
            time.sleep(0.01)
        fetch(f"{url}/models")
    assert [record.getMessage() for record in caplog.records] == 30 * ["an upload ended before it was complete"]
    assert all(record.levelno == logging.WARNING and not record.exc_info for record in caplog.records)


def test_answers_are_sent_without_the_delay_of_small_packets():
    async def accepted_option() -> int:
        option = asyncio.get_running_loop().create_future()

        def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            option.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(accept, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                result = await option
                writer.close()
        return result

    assert asyncio.run(accepted_option()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_only_this_machine_can_reach_a_loopback_address(host: str):
    try:
        listening = listen(host, 0)
    except ValueError:
        pytest.skip(f"there is no {host} here")
    with listening:
        assert listening.getsockname()[0] == host


def test_a_port_in_use_is_named_with_another_to_choose():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port}: another program listens there.* port={port + 1}$"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("no such host", 8000), ("192.0.2.1", 8000)])
def test_a_host_or_port_that_cannot_be_used_is_named_with_one_that_can(host: str, port: int):
    with pytest.raises(ValueError, match=f"cannot listen at {host}, port {port}: .*; try host=127.0.0.1 port=8000$"):
        listen(host, port)


def test_more_connections_than_the_limit_are_told_to_try_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 5)
    upload = UPLOAD.removesuffix(b"\r\n") + b"Expect: 100-continue\r\n\r\n"
    with serving() as url, ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(connect(url))
            client.sendall(upload)
            assert client.recv(100).startswith(b"HTTP/1.1 100")  # the server waits for the rest of this one
        with connect(url) as client:
            client.sendall(b"GET /models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 503")
