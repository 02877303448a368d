"""What the page says of each model: python -m pytest tests/web/test_shown_models.py -v"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from serving import fetch, serving

from mnist_exp.result import RunResult
from mnist_exp.web.shown_models import MAX_NAME, plain, show_models


def write_result(run: Path, **metrics: Any) -> None:
    RunResult(status="finished", seed=0, overrides=[], config={}, metrics=metrics).write(run)


def named(name: object, kind: str = "cnn") -> Any:
    """A classifier, as far as its name matters, and its run's configuration."""
    return SimpleNamespace(name=kind), {"name": name}


def accuracy(checkpoint: Path) -> float | None:
    return show_models({checkpoint: named("x")})[0].test_accuracy


@pytest.fixture
def best(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True)
    return path


def test_the_page_gets_name_kind_and_test_accuracy(best: Path, tmp_path: Path):
    write_result(tmp_path / "run", **{"val/acc": 0.5, "test/acc": 0.9863})
    with serving(*show_models({best: named("csv-cnn")})) as url:
        assert fetch(f"{url}/models")[1]["models"] == [
            {
                "label": "csv-cnn (cnn)",
                "name": "csv-cnn",
                "kind": "cnn",
                "test_accuracy": 0.9863,
                "classes": list("0123456789"),
            }
        ]


def test_the_page_gets_the_names_of_the_classes_that_a_model_knows(best: Path):
    model, config = named("x")
    [shown] = show_models({best: (model, config | {"classes": "abcdefghij"})}, lambda config: tuple(config["classes"]))
    assert shown.classes == tuple("abcdefghij")


def test_only_the_checkpoint_that_was_tested_has_an_accuracy(best: Path, tmp_path: Path):
    write_result(tmp_path / "run", **{"test/acc": 0.9863})
    paths = [best, best.with_name("last.ckpt"), tmp_path / "best.ckpt", Path("best.ckpt")]
    assert [accuracy(path) for path in paths] == [0.9863, None, None, None]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000, '{"metrics": {"test/acc": NaN}}'])
def test_a_damaged_result_shows_no_accuracy(best: Path, tmp_path: Path, content: str):
    (tmp_path / "run" / "result.json").write_text(content)
    assert accuracy(best) is None


@pytest.mark.parametrize("value", [-0.1, 1.1, True, "0.9", None, [0.9]])
def test_what_is_no_share_is_no_accuracy(best: Path, tmp_path: Path, value: Any):
    write_result(tmp_path / "run", **{"test/acc": value})
    assert accuracy(best) is None


def test_a_run_without_a_test_shows_no_accuracy(best: Path, tmp_path: Path):
    write_result(tmp_path / "run", **{"val/acc": 0.9})
    assert accuracy(best) is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_none_and_all_right_are_accuracies(best: Path, tmp_path: Path, value: float):
    write_result(tmp_path / "run", **{"test/acc": value})
    assert accuracy(best) == value


def test_models_that_share_name_and_kind_are_told_apart_by_their_paths():
    loaded = {
        Path("/runs/a/checkpoints/best.ckpt"): named("x"),
        Path("/runs/b/checkpoints/best.ckpt"): named("x"),
        Path("/runs/b/checkpoints/last.ckpt"): named("x"),
        Path("/runs/c/checkpoints/best.ckpt"): named("x", "mlp"),
        Path("/runs/d/checkpoints/best.ckpt"): named("y"),
    }
    labels = ["x a/best.ckpt (cnn)", "x b/best.ckpt (cnn)", "x b/last.ckpt (cnn)", "x (mlp)", "y (cnn)"]
    assert [shown.label for shown in show_models(loaded)] == labels
    two = {path: loaded[path] for path in list(loaded)[:2]}
    assert [shown.name for shown in show_models(two)] == ["x a", "x b"]


def test_no_two_models_have_the_same_label():
    names = ["x", "x", "x a", "x a", "x" * 200, "x" * 300]
    loaded = {Path(f"/{folder}/x.ckpt"): named(name) for folder, name in zip("abcdef", names, strict=True)}
    labels = [shown.label for shown in show_models(loaded)]
    assert len(set(labels)) == len(labels)


def test_labels_stay_apart_whatever_the_names_are():
    loaded = {Path("/a/x.ckpt"): named("x"), Path("/b/x.ckpt"): named("x"), Path("/c/x.ckpt"): named("x a")}
    assert [shown.label for shown in show_models(loaded)] == ["x a (cnn)", "x b (cnn)", "x a 2 (cnn)"]


@pytest.mark.parametrize("name", ["${oc.env:HOME}", "<img src=x onerror=alert(1)>", "__proto__", "café"])
def test_a_name_from_a_file_is_shown_as_it_is(name: str):
    assert show_models({Path("/a/best.ckpt"): named(name, name)})[0].label == f"{name} ({name})"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("two\nlines\u202e", "two\ufffdlines\ufffd"),
        (None, "None"),
        ("x" * MAX_NAME, "x" * MAX_NAME),
        ("x" * (MAX_NAME + 1), "x" * (MAX_NAME - 1) + "…"),
    ],
)
def test_a_text_is_one_short_line_without_control_characters(text: object, shown: str):
    assert plain(text) == shown
