"""scripts/*.sh: their syntax, and how downloaded digits are sorted into folders.

python -m pytest tests/scripts/test_shell_scripts.py -v
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_the_syntax_is_right(path: Path):
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_every_study_in_the_usage_is_a_function():
    text = (SCRIPTS / "reproduce.sh").read_text(encoding="utf-8")
    listed = re.search(r"one study: (.+)", text)[1].split(" | ")
    assert listed == re.findall(r"^(\w+)\(\) \{", text, flags=re.MULTILINE)
    assert f'"${{@:-{" ".join(listed)}}}"' in text  # the default is all of them


def make_repository(mirror: Path, name: str, *, images: list[str], texts: dict[str, str]) -> None:
    """A git repository with images of one grey pixel and text files."""
    folder = mirror / name
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (1, 1)).save(folder / image)
    for path, text in texts.items():
        (folder / path).write_text(text, encoding="utf-8")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "all"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


def test_downloaded_digits_are_sorted_into_folders_by_label(tmp_path: Path):
    make_repository(
        tmp_path / "mirror", "SageLabTW/auto-grading",
        images=["nsysu-digits/00000000.png", "nsysu-digits/00000001.png", "nsysu-digits/00000002.png"],
        texts={"nsysu-digits/nsysu-digits.csv": "00000000.png,5.0,1081_1\n00000001.png,,1081_1\n00000002.png,0.0,m\n"},
    )  # fmt: skip
    cells = [f"datasets/digit_classification/{cell}.jpg" for cell in ("train/1/a", "test/1/b", "test/9/c")]
    others = [f"datasets/digit_classification/{cell}.jpg" for cell in ("test/0/d", "test/candidates/e")]
    make_repository(
        tmp_path / "mirror", "AlexKubiesa/sudoku-scanner",
        images=cells + others,
        texts={},
    )  # fmt: skip
    make_repository(
        tmp_path / "mirror", "niklashenning/hwd-1000-dataset",
        images=["img/0-001.png", "img/7-001.png"],
        texts={"dataset.csv": "image,label\r\nimg/0-001.png,0\r\nimg/7-001.png,7\r\n"},
    )  # fmt: skip

    environment = os.environ | {"GITHUB": str(tmp_path / "mirror"), "MNIST_EXP_DATA": str(tmp_path / "data")}
    script = ["bash", str(SCRIPTS / "handwriting_sets.sh")]
    done = subprocess.run(script, env=environment, check=True, capture_output=True, text=True)
    folder = tmp_path / "data" / "handwriting"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "nsysu/5/00000000.png", "nsysu/0/00000002.png",  # the second one has no label
        "sudoku_phone/1/a.jpg", "sudoku_phone/1/b.jpg", "sudoku_phone/9/c.jpg",
        "hwd1000_drawn/0/0-001.png", "hwd1000_drawn/7/7-001.png",
    }  # fmt: skip
    assert done.stdout.splitlines()[1] == f"{folder / 'sudoku_phone'}: 3 images"
