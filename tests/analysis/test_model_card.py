"""What a model card says, from scores made by hand: python -m pytest tests/analysis/test_model_card.py -v"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from mnist_exp.analysis.markdown import plain_text
from mnist_exp.analysis.model_card import ExportedFile, call, files_table, model_card, read_evaluations

ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.001}
CONFIG: dict[str, Any] = {
    "data": {"batch_size": 64, "folder": None},
    "model": {
        "_target_": "a.DigitClassifier",
        "standardize": True,
        "optimizer": ADAM,
        "net": {"_target_": "a.CNN", "hidden": 128},
    },
    "trainer": {"max_epochs": 3, "precision": "32-true"},
}
ENVIRONMENT = {"device": "cpu", "torch": "2.15", "commit": "0123456789abcdef", "dirty": True}
RESULT: dict[str, Any] = {
    "overrides": ["data=image", "name=my run"],
    "data": {"fingerprint": "sha256:feed", "train": 55000, "val": 5000, "test": 10000},
    "environment": ENVIRONMENT | {"device": "NVIDIA H100"},
}
FILES = [
    ExportedFile("best.ckpt", 977000, None, 10000, 2e-4),
    ExportedFile("model.onnx", 340000, 1.2e-6, 10000, 5e-5),
]
PART = {"acc": 0.9854, "n": 10000, "interval": [0.9829, 0.9876]}


def evaluation(**parts: dict[str, Any]) -> dict[str, Any]:
    return {"acc": 0.9854, "n": 10000, "ece": 0.0043, "by_subset": parts}


def card(**changes: Any) -> str:
    usual: dict[str, Any] = {
        "config": CONFIG,
        "checkpoint": {"path": "best.ckpt", "sha256": "beef", "name": "image-cnn", "seed": 7, "epoch": 2},
        "parameters": 80202,
        "test": evaluation(test=PART),
        "evaluations": {},
        "files": [
            ExportedFile("best.ckpt", 977000, None, 10000, 2e-4),
            ExportedFile("model.onnx", 340000, 1.2e-6, 10000, 5e-5),
        ],
        "result": RESULT,
        "environment": ENVIRONMENT,
        "license": "mit",
    }
    return model_card(**usual | changes)


def test_a_card_of_another_data_set_names_it_and_its_classes():
    text = card(config=CONFIG | {"data": CONFIG["data"] | {"dataset": "fashion_mnist"}})
    assert "of Fashion-MNIST's 10,000 test images" in text
    assert "Trained on Fashion-MNIST (Xiao" in text
    assert "Its ten answers: 0 T-shirt/top, 1 Trouser" in text
    assert "one digit" not in text


def test_a_card_tells_data_recipe_accuracy_and_origin():
    text = card()
    for fact in (
        "98.54% (98.29–98.76)",
        "trained on 55,000 images. 5,000 others chose its weights, and 10,000 more tested it",
        "sha256:feed",
        "| net | `CNN(hidden=128)` |",
        "| optimizer | `Adam(lr=0.001)` |",
        "| epochs | `2 (of at most 3)` |",
        "python -m mnist_exp.train data=image 'name=my run'",
        "`0123456789ab` with changes",
        "NVIDIA H100",
        "| model.onnx | 0.34 MB | 1.2e-06 | 10,000/10,000 | 0.050 ms |",
    ):
        assert fact in text


def test_each_set_has_a_row_and_what_two_suites_measured_alike_one():
    pen, thin = {"acc": 0.9, "n": 20000}, {"acc": 0.8, "n": 10000, "interval": [0.79, 0.81]}
    parts: dict[str, Any] = {"pen": pen, "pen/thin": thin}
    text = card(evaluations={"all": evaluation(test=PART, **parts), "corruptions": evaluation(**parts)})
    assert text.count("98.54% (98.29–98.76) |") == 1
    assert "| `all` | `pen` | 20,000 | 90.00% |" in text
    assert "| `corruptions` | `pen` |" not in text
    assert "The lowest of 2 sets: `pen/thin` 80.00%, `test` 98.54%." in text


def test_what_was_not_measured_or_recorded_is_said():
    text = card(result=None)
    assert "other pens and cameras: not measured" in text
    assert "its number of images is not recorded" in text
    assert "mnist_exp.train" not in text


def test_digits_of_ones_own_are_not_called_mnist():
    assert "not on MNIST" in card(config=CONFIG | {"data": {"batch_size": 64, "train_csv": "mine.csv"}})


def test_only_the_files_written_have_an_example():
    assert "onnxruntime" in card()
    assert "torch.export.load" not in card()
    assert "classify" in card(files=[ExportedFile("model.c", 1_200_000, 1e-6, 10000, 1e-4)])


def test_the_yaml_has_each_suite_and_names_no_data_set_for_own_digits():
    text = card(evaluations={"other_hands": evaluation(load_digits=PART)})
    first, second = yaml.safe_load(text.split("---\n")[1])["model-index"][0]["results"]
    assert first["dataset"] == {"type": "ylecun/mnist", "name": "MNIST", "split": "test"}
    assert [metric["value"] for metric in first["metrics"]] == [0.9854, 0.0043]
    assert second["dataset"]["name"] == "other_hands"
    own = card(config=CONFIG | {"data": {"batch_size": 64, "train_csv": "mine.csv"}})
    assert "datasets" not in yaml.safe_load(own.split("---\n")[1])


def test_what_was_not_measured_has_an_empty_cell():
    assert "| model.html | 0.47 MB | 1.0e-06 | 60/60 |  |" in card(
        files=[*FILES, ExportedFile("model.html", 470_000, 1e-6, 60, None)]
    )


@pytest.mark.parametrize(("sha256", "kept"), [("beef", ["npz-mine"]), ("dead", [])])
def test_evaluations_of_another_checkpoint_are_left_out(tmp_path: Path, sha256: str, kept: list[str]):
    (tmp_path / "evaluation-npz-mine.json").write_text(json.dumps({"checkpoint": {"sha256": "beef"}, "suite": {}}))
    assert list(read_evaluations(tmp_path, sha256)) == kept


def test_the_points_of_a_curve_are_left_out(tmp_path: Path):
    for severity, every in ((3, 1), (5, 5)):
        found = {"checkpoint": {"sha256": "beef"}, "suite": {"severity": severity, "every": every}}
        (tmp_path / f"evaluation-corruptions-{severity}.json").write_text(json.dumps(found))
    assert list(read_evaluations(tmp_path, "beef")) == ["corruptions-3"]


def test_a_part_of_the_configuration_reads_as_a_call():
    assert call(ADAM) == "Adam(lr=0.001)"
    assert call(None) == "none"


def test_the_table_compares_each_file_with_the_checkpoint():
    console = Console(width=100)
    with console.capture() as capture:
        console.print(
            files_table(
                [ExportedFile("best.ckpt", 977000, None, 60, 2e-4), ExportedFile("model.pt2", 340000, 0.0, 60, 5e-5)]
            )
        )
    assert ["model.pt2", "0.34", "MB", "0.0e+00", "60/60", "0.050", "ms"] in map(str.split, capture.get().splitlines())


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"checkpoint": 1}', '{"checkpoint": {"sha256": "beef"}}', "[" * 100_000]
)
def test_a_file_that_is_no_evaluation_is_named(tmp_path: Path, content: str):
    (tmp_path / "evaluation-all.json").write_text(content)
    with pytest.raises(ValueError, match=r"evaluation-all\.json is no evaluation .*Run evaluate again"):
        read_evaluations(tmp_path, "beef")


def test_texts_of_a_run_stay_text():
    hostile = "<script>`|\n```\n# x"
    environment = dict.fromkeys(("device", "threads", "python", "torch", "lightning", "commit", "dirty"), hostile)
    result = {
        "overrides": [hostile],
        "data": dict.fromkeys(("fingerprint", "train", "val", "test"), hostile),
        "environment": environment,
    }
    checkpoint = dict.fromkeys(("path", "sha256", "name", "seed", "epoch"), hostile)
    config = CONFIG | {"trainer": {"max_epochs": hostile, "precision": hostile}, "data": {"batch_size": hostile}}
    text = card(result=result, checkpoint=checkpoint, config=config, environment=environment)
    _, front, text = text.split("---\n", 2)
    assert yaml.safe_load(front)["model-index"][0]["name"] == plain_text(hostile)
    outside = re.sub(r"```bash\n.*?\n```|`[^`]*`", "", text, flags=re.DOTALL)
    assert "script" not in outside
    assert "# x" not in outside
    assert "\n# x" not in text


def test_the_table_of_accuracies_counts_a_family_once_and_without_an_interval():
    parts = {"pen": {"acc": 0.9, "n": 20000}, "pen/thin": PART, "pen/thick": PART}
    assert "| `all` | `pen` | 20,000 | 90.00% |" in card(evaluations={"all": evaluation(**parts)})
    assert "| `test` | 10,000 | 0.43 |" in card()


def test_a_checkpoint_without_a_commit_says_nothing_of_it():
    environment = {"device": "cpu", "commit": "", "dirty": False}
    assert "| exported and measured | `cpu` |\n" in card(environment=environment, result=None)
