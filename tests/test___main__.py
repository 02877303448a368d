"""`mnist-exp <command>`, from the repository and from a wheel.

python -m pytest tests/test___main__.py -v
"""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from mnist_exp.__main__ import COMMANDS, usage

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


def test_the_wheel_works_from_any_folder(wheel: Path, tmp_path: Path):
    done = run("train", "--cfg", "job", "data=csv", cwd=tmp_path, path=wheel)
    assert "CSVDataModule" in done.stdout
    assert done.returncode == 0


def test_the_wheel_holds_the_configuration_and_the_pages_and_no_more(wheel: Path):
    for inside, ours in {"conf": "conf", "web": "mnist_exp/web", "analysis": "mnist_exp/analysis"}.items():
        assert files_in(wheel / "mnist_exp" / inside) == files_in(ROOT / ours)
    assert {path.name.partition("-")[0] for path in wheel.iterdir()} == {"mnist_exp"}


def files_in(folder: Path) -> set[Path]:
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {file for file in files if "__pycache__" not in file.parts}
