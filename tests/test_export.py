"""Exported files against their checkpoints: python -m pytest tests/test_export.py -v"""

import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from conftest import Compose
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from mnist_exp.cli.overrides import CONF
from mnist_exp.data.digits import Digits
from mnist_exp.export import PACKAGES, check_formats, export
from mnist_exp.models.c_source import COMPILER
from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.export_formats import FORMATS, Source
from mnist_exp.train import train

pytest.importorskip("safetensors", reason="needs the extra: export")


def config(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, list(overrides))


def classifier(cfg: DictConfig) -> DigitClassifier:
    """With random weights, also where a network would start with zeros."""
    torch.manual_seed(0)
    model = instantiate({**cfg.model, "optimizer": None, "scheduler": None, "augment": None})
    for weights in model.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights)
    return model.eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small_digits: tuple[Digits, Digits]) -> Path:
    """The folder of a run with random weights, exported by the command."""
    run_dir = tmp_path_factory.mktemp("run")
    cfg = config("train", "model=cnn", f"run_dir={run_dir}", "data_dir=.")
    (run_dir / "checkpoints").mkdir()
    (run_dir / ".hydra").mkdir()
    content = {"epoch": 1, "state_dict": classifier(cfg).state_dict()}
    resolved = OmegaConf.to_container(cfg, resolve=True)
    torch.save(content | {"config": resolved}, run_dir / "checkpoints" / "best.ckpt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnist_exp.data.image_datamodule.load_set", lambda *_: small_digits)
        export(config("export", f"ckpt_path={run_dir}", f"formats=[{','.join(PACKAGES)}]", "license=mit", "threads=1"))
    return run_dir


def test_the_folder_export_gets_each_format_and_the_model_card(run: Path):
    names = [path.name for path in sorted((run / "export").iterdir())]
    models = ["model.c", "model.html", "model.onnx", "model.pt2", "model.safetensors"]
    assert names == ["README.md", "config.json", *models]


def test_the_card_opens_with_what_a_model_hub_reads(run: Path):
    _, front, text = (run / "export" / "README.md").read_text().split("---\n", 2)
    content = yaml.safe_load(front)
    [model] = content["model-index"]
    accuracy = model["results"][0]["metrics"][0]["value"]
    assert (content["license"], content["datasets"], content["metrics"]) == ("mit", ["ylecun/mnist"], ["accuracy"])
    assert content["tags"] == ["handwritten-digits", "onnx", "safetensors"]
    assert f"reads **{100 * accuracy:.2f}%" in text


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_answers_like_the_checkpoint_for_any_batch(run: Path, name: str, small_digits: tuple[Digits, Digits]):
    ckpt_path = run / "checkpoints" / "best.ckpt"
    model, settings = load_classifier(ckpt_path)
    answer = FORMATS[name].read(run / "export" / f"model.{name}", Source(model, ckpt_path, settings))
    if answer is None:
        pytest.skip(f"no C compiler here: {COMPILER} is not in the PATH")
    for size in (1, 2, 7, 300):
        images = small_digits[0].images[:size]
        torch.testing.assert_close(answer(images), model.probabilities(images), atol=1e-5, rtol=0)


def test_the_onnx_file_names_its_input_and_output(run: Path):
    import onnxruntime

    session = onnxruntime.InferenceSession(run / "export" / "model.onnx")
    puts = [(put.name, put.type, put.shape) for put in (*session.get_inputs(), *session.get_outputs())]
    assert puts == [
        ("images", "tensor(uint8)", ["batch", 28, 28]),
        ("probabilities", "tensor(float)", ["batch", 10]),
    ]


def test_the_examples_of_the_card_work_as_printed(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(run / "export")
    examples = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), flags=re.DOTALL)
    for example in examples:
        exec(example, {})
    model, _ = load_classifier("../checkpoints/best.ckpt")
    label = int(model.probabilities(torch.zeros(1, 28, 28, dtype=torch.uint8)).argmax())
    assert capsys.readouterr().out == f"tensor([{label}])\n[{label}]\ntensor([{label}])\n"


@pytest.mark.slow
def test_the_c_file_gives_the_labels_of_torch_for_all_test_images(
    composed: Compose, pytestconfig: pytest.Config, tmp_path: Path
):
    if shutil.which(COMPILER) is None:
        pytest.skip(f"no C compiler here: {COMPILER} is not in the PATH")
    data = pytestconfig.rootpath / "data"
    train(composed(f"data_dir={data}", "data=csv", "data.batch_size=64", "data.val_size=5000", "trainer.max_epochs=1"))
    [card] = export(config("export", f"ckpt_path={tmp_path}/run", "formats=[onnx,c]", f"data_dir={data}", "threads=1"))
    for name in ("model.c", "model.onnx"):  # what disagrees is not written
        assert re.search(rf"\| {name} \| .+ \| 10,000/10,000 \| [\d.]+ ms \|", card.read_text())


# --- what goes wrong ---


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mnist_exp.export.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install onnx onnxscript onnxruntime, .* formats=\[pt2\]"):
        check_formats(["onnx", "pt2"])
    check_formats(["pt2", "c", "html"])


@pytest.mark.usefixtures("small_mnist")
def test_a_network_that_c_cannot_express_is_refused_before_anything_is_written(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mnist_exp.models.plain_layers.CONVERTERS", {})
    with pytest.raises(ValueError, match=r"the layer net\.0, Flatten\(.*\), cannot be written in C or HTML"):
        export(config("export", f"ckpt_path={checkpoint}", "formats=[pt2,c]", "data_dir=."))
    assert not (checkpoint.parents[1] / "export").exists()


@pytest.mark.parametrize(
    ("overrides", "fragment"),
    [
        ([], "ckpt_path=... is needed"),
        (["ckpt_path=a/best.ckpt", "formats=[tflite]"], "onnx, pt2, c, html"),
        (["ckpt_path=a/best.ckpt", "formats=[]"], "onnx, pt2, c, html"),
    ],
)
def test_the_message_says_what_is_missing(overrides: list[str], fragment: str):
    with pytest.raises(ValueError, match=fragment):
        export(config("export", *overrides))
