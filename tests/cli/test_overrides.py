"""Overrides are checked before torch is imported: none of these tests needs it."""

import pytest

from mnist_exp.cli.overrides import OverrideError, compose_checked, contradiction, dotted_keys, group_options, raw_value


@pytest.mark.parametrize(
    ("overrides", "fragments"),
    [
        ("trainer.max_epoch=3", ["trainer.max_epoch", "did you mean 'trainer.max_epochs'"]),
        ("batch_size=3", ["did you mean 'data.batch_size'"]),
        ("dat=csv", ["did you mean 'data'"]),
        ("data=cvs", ["data has no option 'cvs'", "did you mean 'csv'", "data is one of: csv, image"]),
        ("trainer.max_epochs=three", ["trainer.max_epochs is a whole number", "'three'"]),
        ("trainer.max_epochs=0", ["from 1 to"]),
        ("data.batch_size=99999999999999999999", ["from 1 to 1,000,000, not 99999999999999999999"]),
        ("trainer.accelerator=cpu trainer.devices=16", ["a process for each core", "not 16"]),
        ("trainer.devices=64", ["a whole number from 1 to 16", "not 64"]),
        ("data.batch_size=1.5", ["whole number", "1.5"]),
        ("data.batch_size=true", ["whole number", "True"]),
        ("model.standardize=1", ["true or false (such as True), not 1"]),
        ("trainer.devices=true", ["trainer.devices is auto, -1 for all", "not True"]),
        ("trainer.max_steps=1.5", ["a whole number from 1 to", "-1 for no limit, not 1.5"]),
        ("milestones=3", ["milestones is a list of items, each a whole number from 1", "not 3"]),
        ("milestones=[a]", ["milestones is a list of items", "not ['a']"]),
        ("scheduler=cosine scheduler.warmup=7", ["scheduler.warmup is a number from 0 to 1, not 7"]),
        ("augment=handwriting augment.strength=-1", ["augment.strength is a number of at least 0, not -1"]),
        ("augment=handwriting augment.geometry=nan", ["augment.geometry is a number of at least 0, not nan"]),
        ("model.net.hidden=0", ["model.net.hidden is a whole number from 1"]),
        ("trainer.gradient_clip_val=-1", ["of at least 0, or null, not -1"]),
        ("callbacks=early_stopping callbacks.early_stopping.patience=-1", ["patience is a whole number from 0"]),
        ("seed=99999999999999999999999", ["seed is a whole number from 0 to 4,294,967,295"]),
        ("threads=-1", ["threads is a whole number from 1 to 1,024, or null, not -1"]),
        ("trainer.limit_train_batches=0", ["trainer.limit_train_batches is a number of batches", "not 0"]),
        ("trainer.max_epochs=-1", ["training would not end"]),
        ("~trainer.max_epochs", ["~trainer.max_epochs: trainer.max_epochs cannot be left out"]),
        ("~seed", ["seed cannot be left out, only set to another value: seed=..."]),
        ("~logger", ["such as logger=none"]),
        ("~optimizer._target_", ["optimizer._target_ cannot be left out"]),
        ("optimizer.momentum=0.9", ["+optimizer.momentum=0.9 gives the class of optimizer another argument"]),
        ("trainer.limit_train_batches=1.5", ["a share", "1.5"]),
        ("optimizer.lr=-1", ["above 0"]),
        ("optimizer.lr=high", ["a number"]),
        ("trainer.accelerator=gppu", ["did you mean 'gpu'"]),
        ("foo", ["cannot read the override 'foo': write key=value"]),
        ("name=a=b c}", ["quote it for the shell and for Hydra"]),
        ("data.batch_size=16,0", ["from 1 to 1,000,000"]),
        ("data.batch_size=16,32 seed=0,1,2,-1", ["seed is a whole number from 0 to 4,294,967,295, not -1"]),
        ("data=image,cvs", ["did you mean 'csv'"]),
        ("sweep=puzle", ["did you mean 'puzzle"]),
        ("sweep=puzzle optimizer.momentum=0.9", ["there is no 'optimizer.momentum'"]),
        ("~seeed", ["did you mean 'seed'"]),
    ],
)
def test_a_mistake_is_reported_with_what_was_meant(
    overrides: str, fragments: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    with pytest.raises(OverrideError) as caught:
        compose_checked("train", overrides.split(" ") if "b c" not in overrides else [overrides])
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
        "trainer.profiler=simple",
        "trainer.gradient_clip_val=null",
        "name=3",
        "run_dir=runs/1",
        "+trainer.new=1",
        "~callbacks.best",
        "~optimizer.fused",
        "trainer.max_epochs=-1 trainer.max_steps=10",
        "trainer.max_time=00:00:10:00",
        "trainer.fast_dev_run=3",
        "model=mlp model.net.hidden=[512,256]",
        "model.net._target_=my_module.MyNet model.net.hidden=none",
        "experiment=solution1 seed=range(0,3)",
        "experiment=fast trainer.precision=32-true",
        "experiment=fast trainer.limit_train_batches=1.0,0.5,10,null",
        "sweep=puzzle",
        "ckpt_path=a/b.ckpt",
        "hydra/launcher=joblib hydra.launcher.n_jobs=2",
    ],
)
def test_a_valid_override_passes(overrides: str):
    compose_checked("train", overrides.split(" "))


def test_the_values_of_a_sweep_file_are_checked_before_the_first_job(monkeypatch: pytest.MonkeyPatch):
    seen = []

    def compose_job(config_name: str, overrides: list[str]):
        seen.append(overrides)
        return original(config_name, overrides)

    original = compose_checked.__globals__["compose_job"]
    monkeypatch.setitem(compose_checked.__globals__, "compose_job", compose_job)
    compose_checked("train", ["sweep=puzzle_quick", "threads=1"])
    # First as typed, then with the file's values: as often as its longest list is long, so that each value is tried.
    typed = ["sweep=puzzle_quick", "threads=1"]
    assert seen == [
        typed,
        [*typed, "data=image", "model=mlp", "optimizer=sgd", "model.standardize=False", "seed=0"],
        [*typed, "data=csv", "model=cnn", "optimizer=adam", "model.standardize=True", "seed=0"],
    ]


@pytest.mark.parametrize("typed", ["sweep=seeds seed=0,abc", "sweep=augment seed=1,-5"])
def test_values_that_replace_those_of_a_sweep_file_are_checked_too(typed: str):
    with pytest.raises(OverrideError, match="seed is a whole number from 0"):
        compose_checked("train", typed.split(" "))


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
    assert compose_checked("train", overrides.split(" ")).hydra.sweep.dir == f"outputs/sweeps/{folder}"


def test_what_the_options_of_a_group_share_is_no_option():
    assert group_options("data") == ["csv", "image"]


def test_a_key_leads_through_nested_dicts():
    settings = {"data": {"batch_size": 64, "folder": None}}
    assert list(dotted_keys(settings)) == ["data", "data.batch_size", "data.folder"]
    assert raw_value(settings, "data.batch_size") == 64
    assert raw_value(settings, "data.folder", default=1) is None
    assert raw_value(settings, "data.batch_size.more", default=1) == 1


def test_a_launcher_that_is_not_installed_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mnist_exp.cli.overrides.LAUNCHERS", {"absent": "hydra-absent-launcher"})
    with pytest.raises(OverrideError, match="absent is not installed: pip install hydra-absent-launcher"):
        compose_checked("train", ["hydra/launcher=absent"])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"max_epochs": 3}, None),
        ({"max_epochs": -1}, "training would not end"),
        ({"max_epochs": -1, "max_steps": -1, "max_time": None}, "training would not end"),
        ({"max_epochs": -1, "max_steps": 5, "min_epochs": 2}, None),
        ({"max_epochs": -1, "max_time": "00:00:10:00"}, None),
        ({"max_epochs": 2, "min_epochs": 3}, "trainer.min_epochs=3 is more than trainer.max_epochs=2"),
        ({"max_epochs": 2, "min_epochs": 2}, None),
    ],
)
def test_settings_of_the_trainer_that_contradict_each_other_are_refused(settings: dict, problem: str | None):
    found = contradiction({"trainer": settings})
    assert found is None if problem is None else found.startswith(problem)


@pytest.mark.parametrize("setting", ["trainer.limit_val_batches=0", "data.val_size=0"])
def test_early_stopping_without_validation_is_refused(setting: str):
    with pytest.raises(OverrideError, match="callbacks=early_stopping needs validation"):
        compose_checked("train", ["callbacks=early_stopping", setting])
