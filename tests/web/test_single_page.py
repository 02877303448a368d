"""The page without a server: what is in the file: python -m pytest tests/web/test_single_page.py -v"""

import json
import re
from pathlib import Path

import torch
from conftest import make_digits

from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.export_formats import Source
from mnist_exp.models.nets import FastNet
from mnist_exp.models.plain_layers import plain_network
from mnist_exp.web.shown_models import ShownModel
from mnist_exp.web.single_page import NETWORK, read_html, single_page

HOSTILE = "</script><script>alert(1)</script><!--"


def page_of(model: DigitClassifier, name: str = "fast") -> str:
    return single_page(ShownModel(model, name=name, kind=name, test_accuracy=0.99), plain_network(model))


def test_the_weights_in_the_page_answer_as_the_classifier(tmp_path: Path):
    torch.manual_seed(0)
    model = DigitClassifier(name="fast", net=FastNet(channels=(3, 4), hidden=5)).eval()
    (tmp_path / "model.html").write_text(page_of(model), encoding="utf-8")
    images = make_digits(20).images
    found = read_html(tmp_path / "model.html", Source(model, Path("best.ckpt"), {}))(images)
    torch.testing.assert_close(found, model.probabilities(images), atol=1e-6, rtol=0)


def test_a_name_from_a_checkpoint_cannot_end_the_data_that_it_is_in():
    model = DigitClassifier(name="fast", net=FastNet(channels=(3, 4), hidden=5)).eval()
    page = page_of(model, HOSTILE)
    assert "alert(1)</script>" not in page
    [content] = NETWORK.findall(page)
    assert json.loads(content)["model"]["name"] == HOSTILE


def test_the_page_names_no_other_file_and_forbids_every_request():
    page = page_of(DigitClassifier(name="fast", net=FastNet(channels=(3, 4), hidden=5)).eval())
    assert re.findall(r"\b(?:src|href)=\"([^\"]*)\"", page) == ["data:,"]
    assert "fetch(" not in page
    assert "default-src 'none'; script-src 'sha256-" in page
    assert "Photo…" not in page
