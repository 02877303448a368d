"""The commands in CONTRIBUTING.md that name a class of the user's own, on small data."""

import re
import shlex
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mnist_exp import train
from mnist_exp.result import RunResult

GUIDE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = re.search(r"## Use a class of your own\n(.*?)\n## ", GUIDE, re.DOTALL)[1]
MODULE = re.search(r"```python\n(.*?)```", SECTION, re.DOTALL)[1]
COMMANDS = re.search(r"```bash\n(.*?)```", SECTION, re.DOTALL)[1].splitlines()
SMALL = ["data.val_size=50", "data.batch_size=50", "trainer.max_epochs=1", "trainer.accelerator=cpu", "threads=1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_module.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Runs the command in this process. Returns the folders of its runs."""
    arguments = shlex.split(command)[3:]
    more = [] if "logger" in command else ["logger=none"]
    monkeypatch.setattr(sys, "argv", ["mnist_exp.train", *arguments, *SMALL, *more])
    with suppress(SystemExit):  # a sweep ends so
        train.main()
    return sorted(path.parent for path in (folder / "outputs").rglob("result.json"))


@pytest.mark.usefixtures("small_mnist")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split("_target_")[0][27:])
def test_a_class_of_ones_own_is_one_override(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    runs = run(command, folder, monkeypatch)
    printed = capsys.readouterr().out
    assert len(runs) == (2 if " -m " in command[10:] else 1)
    for run_dir in runs:
        result = RunResult.read(run_dir)
        assert result is not None
        assert result.status == "finished"
        if "MyNet" in command:
            assert result.model == {"name": "mine", "parameters": 785 * 64 + 65 * 10}
            assert "my_module.MyNet has no hidden: left out of model.net" in printed
        if "Greeting" in command:
            assert "\ndone\n" in printed
        if "MyLogger" in command:
            assert "val/acc" in (run_dir / "metrics.csv").read_text()
        if "NAdam +" in command:
            assert result.config["optimizer"].keys() == {
                "_target_", "_partial_", "lr", "betas", "weight_decay", "momentum_decay"
            }  # fmt: skip
    if " -m " in command[10:]:
        classes = {RunResult.read(run_dir).config["optimizer"]["_target_"] for run_dir in runs}
        assert classes == {"torch.optim.SGD", "torch.optim.NAdam"}
