"""`mnist-exp <command>`, from the repository and from a wheel.

python -m pytest tests/test___main__.py -v
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from mnist_exp.__main__ import COMMANDS, usage
from mnist_exp.data.csv_file import write_csv
from mnist_exp.data.digits import Digits

ROOT = Path(__file__).parents[1]


def run(*arguments: str, cwd: Path, path: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """`python -P -m mnist_exp <arguments>` with the package at `path`. -P: the folder it starts in is not searched."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "mnist_exp", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what `pip install` would put into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [file] = folder.glob("*.whl")
    with ZipFile(file) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def test_usage_tells_what_each_command_is_for():
    lines = usage().splitlines()
    for command in COMMANDS:
        [line] = [line for line in lines if line.startswith(f"  {command} ")]
        assert len(line.split()) > 3
    assert max(map(len, lines)) <= 80


def test_no_command_at_all_prints_the_usage(tmp_path: Path):
    assert run(cwd=tmp_path).stdout == usage() + "\n"


def test_a_mistyped_command_is_refused(tmp_path: Path):
    done = run("trian", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no command 'trian': did you mean 'train'?")


def test_a_command_gets_the_arguments_after_its_name(tmp_path: Path):
    done = run("train", "--cfg", "job", "--package", "optimizer", "optimizer.lr=0.5", cwd=tmp_path)
    assert "lr: 0.5" in done.stdout


@pytest.mark.parametrize(
    ("typed", "word", "completed"),  # bash gives the part after = as the word
    [
        ("mnist-exp tr", "tr", ["train "]),
        ("mnist-exp ", "", [f"{command} " for command in COMMANDS]),
        ("mnist-exp train trainer.max_e", "trainer.max_e", ["trainer.max_epochs="]),
        ("mnist-exp train data=csv model=ml", "ml", ["mlp"]),
        ("mnist-exp train optimizer=", "=", ["adam", "adamw", "sgd", "sgd_momentum", "sgd_scaled"]),
        ("mnist-exp train nonsense data=", "=", []),
        ("mnist-exp trian data=", "=", []),
    ],
)
def test_bash_completes_commands_and_settings(
    typed: str, word: str, completed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COMP_LINE", typed)
    monkeypatch.setenv("COMP_POINT", str(len(typed)))
    done = run("--complete", "mnist-exp", word, "", cwd=tmp_path)
    assert done.stdout.splitlines() == completed
    assert done.stderr == ""


def test_the_wheel_trains_in_any_folder_and_writes_nothing_elsewhere(
    wheel: Path, tmp_path: Path, small_digits: tuple[Digits, Digits]
):
    for name, digits in zip(("train.csv", "test.csv"), small_digits, strict=True):
        write_csv(tmp_path / name, digits.images.numpy(), digits.labels.numpy())
    installed = files_in(wheel)
    done = run(
        "train", "data=csv", "data.train_csv=train.csv", "data.test_csv=test.csv", "data.val_size=50",
        "model=mlp", "trainer=cpu", "trainer.max_epochs=1", "threads=1", "logger=none", cwd=tmp_path, path=wheel,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs" / "runs" / "csv-mlp").iterdir()
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["environment"]["commit"]) == ("finished", "")
    assert files_in(wheel) == installed


def test_the_wheel_holds_the_configuration_and_the_pages_and_no_more(wheel: Path):
    for inside, ours in {"conf": "conf", "web": "mnist_exp/web", "analysis": "mnist_exp/analysis"}.items():
        assert files_in(wheel / "mnist_exp" / inside) == files_in(ROOT / ours)
    assert {path.name.partition("-")[0] for path in wheel.iterdir()} == {"mnist_exp"}


def files_in(folder: Path) -> set[Path]:
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {file for file in files if "__pycache__" not in file.parts}
