"""Which hosts the server answers to: python -m pytest tests/web/test_guard.py -v"""

import socket
from urllib.parse import urlsplit
from urllib.request import Request

import pytest
from serving import ask, connect, fetch, serving

from mnist_exp.web.guard import HEADERS, is_own_host


@pytest.mark.parametrize(
    "header",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000", "10.0.0.7:80", "lab.example"],
)
def test_own_names_and_addresses_are_own_hosts(header: str):
    assert is_own_host(header, {"localhost", "lab.example"})


@pytest.mark.parametrize(
    "header",
    [
        "",
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1/evil.example",
        "localhost:evil",
        "localhost:",
        "localhost:123456",
        "[::1].evil.example",
        "[::1",
        "[evil]",
        "::1",
        "localhost\n",
        "1.2.3",
        "127.1",
    ],
)
def test_other_names_are_not_own_hosts(header: str):
    assert not is_own_host(header, {"localhost", "lab.example"})


def test_a_page_of_another_site_that_leads_to_this_machine_gets_no_answer():
    with serving(hosts=("Digits.example",)) as url:
        for host in ("evil.example", f"evil.example:{urlsplit(url).port}"):
            for path in ("/", "/models", "/nothing"):
                status, reply = fetch(Request(url + path, headers={"Host": host}))
                assert (status, list(reply)) == (421, ["detail"])
            assert ask(url, b"", Host=host)[0] == 421
        for host in ("digits.example", socket.gethostname(), "localhost"):
            assert fetch(Request(f"{url}/models", headers={"Host": host}))[0] == 200


def test_a_request_without_a_host_is_refused_and_every_answer_has_the_protecting_headers():
    with serving() as url, connect(url) as connection:
        connection.sendall(b"GET /models HTTP/1.0\r\n\r\n")
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 421 ")
    assert all(f"{name.lower()}: {value}\r\n" in answer for name, value in HEADERS.items())


def test_the_headers_are_these():
    assert {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }.items() <= HEADERS.items()
