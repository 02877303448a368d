"""Overrides are checked before torch is imported: none of these tests needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from mnist_exp.cli.help import usage
from mnist_exp.cli.overrides import OverrideError, check


@pytest.mark.parametrize(
    ("overrides", "fragments"),
    [
        ("trainer.max_epoch=3", ["trainer.max_epoch", "did you mean 'trainer.max_epochs'"]),
        ("batch_size=3", ["did you mean 'data.batch_size'"]),
        ("dat=csv", ["did you mean 'data'"]),
        ("data=cvs", ["no option 'cvs'", "did you mean 'csv'", "image"]),
        ("trainer.max_epochs=three", ["trainer.max_epochs is a whole number", "'three'"]),
        ("trainer.max_epochs=0", ["at least 1"]),
        ("data.batch_size=1.5", ["whole number", "1.5"]),
        ("data.batch_size=true", ["whole number", "True"]),
        ("model.standardize=1", ["true or false"]),
        ("trainer.limit_train_batches=1.5", ["a share", "1.5"]),
        ("optimizer.lr=-1", ["above 0"]),
        ("optimizer.lr=high", ["a number"]),
        ("trainer.accelerator=gppu", ["did you mean 'gpu'"]),
        ("foo", ["key=value"]),
        ("data.batch_size=16,0", ["at least 1"]),
        ("data=image,cvs", ["did you mean 'csv'"]),
        ("sweep=puzle", ["did you mean 'puzzle"]),
        ("~seeed", ["did you mean 'seed'"]),
    ],
)
def test_a_mistake_is_told_with_what_was_meant(overrides: str, fragments: list[str]):
    with pytest.raises(OverrideError) as caught:
        check("train", overrides.split(" "))
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        "data=csv trainer.max_epochs=3",
        "data=image,csv data.batch_size=16,64,256",
        "optimizer.lr=1",
        "optimizer=sgd,adam optimizer.lr=0.1,0.01",
        "trainer.limit_train_batches=10",
        "trainer.devices=2",
        "name=3",
        "+trainer.new=1",
        "experiment=solution1 seed=range(0,3)",
        "experiment=fast trainer.precision=32-true",
        "experiment=fast trainer.limit_train_batches=1.0,0.5,10,null",
        "sweep=puzzle",
        "ckpt_path=a/b.ckpt",
        "hydra/launcher=joblib hydra.launcher.n_jobs=2",
    ],
)
def test_what_can_be_meant_passes(overrides: str):
    check("train", overrides.split(" "))


def test_a_mistake_ends_the_command_with_one_line_before_torch_is_imported(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mnist_exp.train", "data=cvs"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time")]
    assert done.returncode == 2
    assert len(lines) == 1
    assert "torch" not in done.stderr


@pytest.mark.parametrize(
    ("overrides", "folder"),
    [
        ("data=image,csv data.batch_size=16,64", "data+data.batch_size"),
        ("hydra/launcher=joblib seed=1,2", "seed"),
        ("sweep=seeds experiment=solution2", "seeds-solution2"),
        ("sweep=puzzle study=mine", "mine"),
    ],
)
def test_a_sweep_has_one_folder_whatever_it_sweeps_over(overrides: str, folder: str):
    assert check("train", overrides.split(" ")).hydra.sweep.dir == f"outputs/sweeps/{folder}"


def test_help_names_groups_and_keys_as_the_overrides_leave_them():
    text = usage("train", check("train", ["model=mlp", "seed=7"]))
    assert "  experiment: fast, robust, solution1, solution2\n" in text
    assert "  seed: 7\n" in text
    assert "mnist_exp.models.nets.MLP" in text
    assert "base" not in text
    assert "hydra/" not in text
