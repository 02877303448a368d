"""The command that serves the demo: python -m pytest tests/test_demo.py -v"""

import json
import sys
import threading
from pathlib import Path
from socket import socket
from typing import Any
from urllib.request import Request, urlopen

import pytest
from conftest import Compose

from mnist_exp.demo import demo

pytest.importorskip("uvicorn", reason="needs the extra: demo")
connection = pytest.importorskip("mnist_exp.web.connection", reason="needs the extra: demo")


@pytest.fixture
def config() -> Any:
    from hydra import compose, initialize_config_dir

    from mnist_exp.cli.overrides import CONF

    def composed(*overrides: str) -> Any:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("demo", list(overrides))

    return composed


def test_the_command_serves_the_checkpoints_on_this_machine_alone_and_says_where(
    checkpoint: Path, config: Compose, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    replies: list[tuple[str, dict[str, Any]]] = []
    make_server = connection.make_server

    def make_asked_server(app: Any) -> Any:
        server = make_server(app)
        run = server.run

        def run_and_ask(sockets: list[socket]) -> None:
            host, port = sockets[0].getsockname()
            threading.Thread(target=ask, args=(host, port)).start()
            run(sockets=sockets)

        def ask(host: str, port: int) -> None:
            request = Request(f"http://{host}:{port}/models", headers={"Host": "digits.example"})
            with urlopen(request, timeout=30) as response:
                replies.append((f"http://{host}:{port}", json.load(response)))
            server.should_exit = True

        server.run = run_and_ask
        return server

    monkeypatch.setattr(connection, "make_server", make_asked_server)
    demo(config(f"ckpt_path={checkpoint}", "port=0", "hosts=[digits.example]"))
    url, reply = replies[0]
    assert url.startswith("http://127.0.0.1:")
    assert [model["label"] for model in reply["models"]] == ["image-mlp (mlp)"]
    assert reply["min_confidence"] == 0.9
    assert capsys.readouterr().out == f"image-mlp (mlp): draw at {url} (Ctrl+C ends it)\n"


def test_a_port_in_use_is_named_before_a_checkpoint_is_read(config: Compose):
    with connection.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port}.*port={port + 1}"):
            demo(config("ckpt_path=missing.ckpt", f"port={port}"))


def test_a_checkpoint_is_asked_for(config: Compose):
    with pytest.raises(ValueError, match="ckpt_path="):
        demo(config())


def test_without_the_extra_the_message_is_how_to_install_it(config: Compose, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mnist_exp.web.connection", None)
    with pytest.raises(ValueError, match="pip install starlette uvicorn h11"):
        demo(config("ckpt_path=any.ckpt"))
