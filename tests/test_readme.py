"""Every command of README.md runs, on small data, and prints what README.md shows.

python -m pytest tests/test_readme.py -v
"""

import importlib
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from test_docs import ROOT, data

from mnist_exp.data.csv_file import write_csv
from mnist_exp.data.digits import Digits

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RUN = re.search(r"outputs/runs/csv-cnn/\S+?(?=/checkpoints)", README)[0]  # the run that README.md goes on with

FIRST_RUN = ["data=csv", "trainer.max_epochs=3"]

# What makes a command quick on small data, added to the overrides that README.md shows.
SMALL = {
    "train": ["data.val_size=50", "trainer.accelerator=cpu"],
    "demo": ["port=0"],
    "export": ["formats=[pt2]"],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[list[str], str]]:
    """Each command of README.md in its order, as arguments, and the output that is shown for it."""
    for language, block in re.findall(r"^```(bash|console)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL):
        if language == "bash":
            yield from ((shlex.split(line, comments=True), "") for line in block.splitlines())
        else:
            command, _, output = block.partition("\n")
            yield shlex.split(command.removeprefix("$ ")), output


@pytest.fixture
def sandbox(tmp_path: Path, small_mnist: tuple[Digits, Digits], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the files that README.md's commands expect of the reader."""
    for part, digits in zip(("train", "test"), small_mnist, strict=True):
        write_csv(tmp_path / f"{part}.csv", digits.images.numpy(), digits.labels.numpy())
        for number, (image, label) in enumerate(zip(digits.images, digits.labels.tolist(), strict=True)):
            path = tmp_path / "digits" / part / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.numpy()).save(path)
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(small_mnist[1].images[:3], 1):
        Image.fromarray(255 - image.numpy()).resize((100, 100)).save(tmp_path / "photos" / f"{number}.jpg")
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("MNIST_EXP_DATA", "data")
    monkeypatch.setattr("mnist_exp.data.suites.download", no_network)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)  # the demo would go on until Ctrl+C
    monkeypatch.chdir(tmp_path)
    return tmp_path


def no_network(url: str) -> bytes:
    raise OSError(f"no network in tests: {url}")


def run(command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command prints. It runs in this process, since each import of torch would take seconds."""
    _, _, module, *arguments = command
    name = module.removeprefix("mnist_exp.")
    if "--help" not in arguments:
        arguments += SMALL.get(name, [])
    if command[3:] == FIRST_RUN:
        arguments.append(f"hydra.run.dir={RUN}")
    elif name == "train" and "--help" not in arguments:
        arguments.append("logger=none")
    if "sweep=puzzle_quick" in arguments:  # it uses a fifth of the batches; half of its jobs are enough here
        arguments += ["data.batch_size=16", "hydra.sweeper.params.model=mlp"]
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    capsys.readouterr()
    try:
        importlib.import_module(module).main()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    printed = "".join(capsys.readouterr())
    assert (status != 0) == ("error: " in printed), f"{shlex.join(command)} ended with status {status}:\n{printed}"
    return printed


def plain(text: str) -> list[str]:
    """Lines that can be compared: without frames, spaces and empty lines, and with # for each number."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    text = re.sub(r"[^\s=]*/(?=outputs/|python |tensorboard )", "", text)  # a path may be printed whole
    text = re.sub(r"[─-╿▀-▟]", " ", text)
    text = re.sub(r"\w*\d[\w.,:%()–-]*", "#", text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line.strip("# ")]


@pytest.mark.usefixtures("sandbox")
def test_every_command_runs_and_prints_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    for command, shown in commands():
        if command[0] == "make":
            assert re.search(rf"^{command[1]}: .*##", MAKEFILE, flags=re.MULTILINE), f"no target {command[1]}"
        elif command[:2] == ["python", "-m"]:
            printed = run(command, capsys, monkeypatch)
            for part in shown.split("...\n"):  # an output that is shown in part has lines of three dots
                assert "\n".join(plain(part)) in "\n".join(plain(printed)), f"{shlex.join(command)}:\n{printed}"
        elif command[0] != "complete":  # it is part of bash: test___main__.py tries it
            assert shutil.which(command[0], path=str(Path(sys.executable).parent)), command


@pytest.mark.usefixtures("sandbox")
def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]):
    (example,) = blocks("python")
    small = {
        '"data=csv"': '"data=csv", "data.val_size=50", "trainer.accelerator=cpu"',
        "DataModule()": "DataModule(val_size=50)",
    }
    for shown, run in small.items():
        example = example.replace(shown, run)
    exec(example, {})
    accuracy, header, _, answers = capsys.readouterr().out.splitlines()[-4:]  # _: the only epoch
    assert 0 <= float(accuracy) <= 1
    assert header.split()[0] == "epoch"
    assert answers.startswith("tensor([")


def test_make_train_is_the_first_command_shown():
    (arguments,) = re.findall(r"^ARGS +\?= (.+)$", MAKEFILE, flags=re.MULTILINE)
    first = next(command for command, _ in commands() if command[0] == "python")
    assert first == ["python", "-m", "mnist_exp.train", *FIRST_RUN]
    assert arguments.split() == FIRST_RUN


def test_the_files_of_a_run_are_those_in_the_table(
    sandbox: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run(["python", "-m", "mnist_exp.train", *FIRST_RUN], capsys, monkeypatch)
    listed = re.findall(r"^\| `([^`]+)` \|", README.split("A run writes all its files")[1].split("##")[0], re.MULTILINE)
    assert len(listed) == 9
    for pattern in listed:
        assert list((sandbox / RUN).glob(pattern.rstrip("/"))), f"no {pattern} in the run's folder"
    known = {found for pattern in listed for found in (sandbox / RUN).glob(pattern.rstrip("/"))}
    unknown = {path for path in (sandbox / RUN).rglob("*") if path.is_file()} - known
    unexplained = {path.name for path in unknown if not known & set(path.parents)}
    assert not unexplained, f"README.md does not explain {unexplained}"


def test_the_accuracies_are_those_of_the_data_files():
    puzzle = data("puzzle").set_index(["data", "model", "optimizer", "model.standardize", "epochs"]).sort_index()
    expected = {
        "`experiment=solution1`": puzzle.loc["image", "mlp", "sgd", False, 20]["test/acc"],
        "`experiment=solution2`": puzzle.loc["image", "cnn", "adam", True, 3]["test/acc"],
    }
    robust = data("real_world").query("model == 'robust' and suite == 'test'")
    expected["`experiment=robust`"] = robust["accuracy"]
    recipes = data("recipes").groupby("recipe")["test_accuracy"]
    expected |= {f"`{name}`": runs for name, runs in recipes}
    rows = re.findall(r"^\| (`\w+=\w+`) \| .+ \| ([\d.]+)% \| (\d+) \|$", README, flags=re.MULTILINE)
    assert len(rows) == 6
    for recipe, accuracy, runs in rows:
        assert float(accuracy) == pytest.approx(100 * expected[recipe].mean(), abs=0.005)
        assert int(runs) == len(expected[recipe])
