"""The demo's page as one file that holds the network, too: it needs no server and makes no request.

The page is made of the demo's own index.html, demo.css and demo.js, so that both look and behave alike. Its answers
come from three more scripts: drawing.js (the picture's form), network.js (the network), answers.js (what demo.js asks
for).
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnist_exp.models.export_formats import Answer, Format, Source
from mnist_exp.models.plain_layers import Layer, PlainNetwork, plain_network
from mnist_exp.web.shown_models import ShownModel, show_models

PHOTO_PARTS = ('<button id="choose"', '<input id="file"', "A photo of one digit")  # lines of index.html: drawings only
STYLE, SCRIPT = '<link rel="stylesheet" href="demo.css">', '<script type="module" src="demo.js"></script>'
IMPORT = 'import { answersTo, listModels } from "./questions.js";\n'
CHARSET = '<meta charset="utf-8">\n'
NETWORK = re.compile(r'<script type="application/json" id="network">(.+?)</script>', re.DOTALL)
MIN_CONFIDENCE = 0.9  # as conf/demo.yaml has it: below, the page is not sure
SIZES = ("kind", "inputs", "outputs", "kernel", "stride", "padding", "groups")  # of a layer


def single_page(model: ShownModel, network: PlainNetwork) -> str:
    """The page, for a classifier and its layers."""
    style = read("demo.css")
    functions = "".join(map(read, ("network.js", "drawing.js", "answers.js")))
    program = replace_once(read("demo.js"), IMPORT, "")
    policy = (
        f"default-src 'none'; script-src {source_hash(functions)} {source_hash(program)}; "
        f"style-src {source_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    shown = {key: getattr(model, key) for key in ("label", "name", "kind", "test_accuracy", "classes")}
    asked = {"model": shown, "min_confidence": MIN_CONFIDENCE, "network": as_json(network)}
    content = json.dumps(asked).replace("<", "\\u003c")  # no tag can start
    scripts = (
        f'<script type="application/json" id="network">{content}</script>\n'
        f'<script>{functions}</script>\n<script type="module">{program}</script>'
    )
    page = "".join(
        line for line in read("index.html").splitlines(True) if not any(part in line for part in PHOTO_PARTS)
    )
    page = replace_once(page, CHARSET, f'{CHARSET}<meta http-equiv="Content-Security-Policy" content="{policy}">\n')
    page = replace_once(page, STYLE, f"<style>{style}</style>")
    return replace_once(page, SCRIPT, scripts)


def read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def replace_once(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old} must be there once"
    return text.replace(old, new)


def source_hash(text: str) -> str:
    """What a Content-Security-Policy calls a script or a style by: the browser runs no other one."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def as_json(network: PlainNetwork) -> dict[str, Any]:
    """The network as network.js takes it. Its weights are float32, little-endian, in base64."""
    layers = [{key: getattr(layer, key) for key in SIZES} for layer in network.layers]
    numbers = [part.numpy().astype("<f4").tobytes() for each in network.layers for part in (each.weights, each.bias)]
    weights = base64.b64encode(b"".join(numbers)).decode()
    return {"scale": network.scale, "shift": network.shift, "layers": layers, "weights": weights}


def from_json(content: dict[str, Any]) -> PlainNetwork:
    """The network that `as_json` gave."""
    floats = torch.from_numpy(np.frombuffer(base64.b64decode(content["weights"]), "<f4").astype(np.float32))
    layers = []
    for sizes in content["layers"]:
        layer = Layer(**sizes)
        shape = weight_shape(layer)
        count, outputs = int(np.prod(shape)), shape[0]
        weights, bias, floats = floats.split((count, outputs, len(floats) - count - outputs))
        layers.append(Layer(**sizes, weights=weights.view(*shape), bias=bias))
    return PlainNetwork(content["scale"], content["shift"], layers)


def weight_shape(layer: Layer) -> Sequence[int]:
    outputs, inputs = layer.outputs[0], layer.inputs[0]
    if layer.kind == "conv":
        return (outputs, inputs // layer.groups, *layer.kernel)
    return (outputs, int(np.prod(layer.inputs))) if layer.kind == "linear" else (0,)


def html_format(classes: Callable[[Mapping[str, Any]], tuple[str, ...]]) -> Format:
    """The page as a format of `export`. classes: as `show_models` takes it."""

    def write(source: Source, path: Path) -> None:
        [shown] = show_models({source.ckpt_path: (source.classifier, source.config)}, classes)
        path.write_bytes(single_page(shown, plain_network(source.classifier)).encode())

    return Format(write, read_html, is_timed=False)


def read_html(path: Path, _: Source) -> Answer:
    """What torch answers with the numbers in the page."""
    [content] = NETWORK.findall(path.read_text(encoding="utf-8"))
    return from_json(json.loads(content)["network"]).probabilities
