"""Exported files against their checkpoints: python -m pytest tests/test_export.py -v"""

import re
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from mnist_exp.cli.overrides import CONF
from mnist_exp.data.digits import Digits
from mnist_exp.export import check_formats, export
from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.export_formats import FORMATS


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
        export(config("export", f"ckpt_path={run_dir}/checkpoints/best.ckpt", "threads=1"))
    return run_dir


def test_the_run_folder_gets_both_files_and_the_model_card(run: Path):
    names = [str(path.relative_to(run)) for path in sorted(run.rglob("*")) if path.is_file()]
    assert names == ["MODEL_CARD.md", "checkpoints/best.ckpt", "export/model.onnx", "export/model.pt2"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_answers_like_the_checkpoint_for_any_batch(run: Path, name: str, small_digits: tuple[Digits, Digits]):
    model, _ = load_classifier(run / "checkpoints" / "best.ckpt")
    answer = FORMATS[name].read(run / "export" / f"model.{name}")
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
    monkeypatch.chdir(run)
    examples = re.findall(r"```python\n(.*?)```", Path("MODEL_CARD.md").read_text(), flags=re.DOTALL)
    for example in examples:
        exec(example, {})
    model, _ = load_classifier("checkpoints/best.ckpt")
    label = int(model.probabilities(torch.zeros(1, 28, 28, dtype=torch.uint8)).argmax())
    assert capsys.readouterr().out == f"[{label}]\ntensor([{label}])\n"


# --- what goes wrong ---


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mnist_exp.export.find_spec", lambda _: None)
    with pytest.raises(ValueError, match="pip install onnx onnxscript onnxruntime"):
        check_formats(["onnx", "pt2"])
    check_formats(["pt2"])


@pytest.mark.parametrize(
    ("overrides", "fragment"),
    [
        ([], "ckpt_path=... is needed"),
        (["ckpt_path=a/best.ckpt", "formats=[tflite]"], "onnx, pt2"),
        (["ckpt_path=a/best.ckpt", "formats=[]"], "onnx, pt2"),
    ],
)
def test_the_message_says_what_is_missing(overrides: list[str], fragment: str):
    with pytest.raises(ValueError, match=fragment):
        export(config("export", *overrides))
