"""The names of folders: python -m pytest tests/cli/test_folder_names.py -v"""

from itertools import combinations

import pytest
from hydra import compose, initialize_config_dir

from mnist_exp.cli.arguments import literal_path
from mnist_exp.cli.folder_names import LONGEST, PLAIN, folder_name, job_folder, sweep_folder
from mnist_exp.cli.overrides import CONF


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ("optimizer=sgd data.batch_size=64 seed=0", "data.batch_size-64+optimizer-sgd+seed-0"),
        ("seed=0 data.batch_size=64 optimizer=sgd", "data.batch_size-64+optimizer-sgd+seed-0"),
        ("+trainer.new=1e-3 threads=2 logger.save_dir=x sweep=puzzle", "trainer.new-1e-3"),
        ("optimizer=sgd_momentum", "optimizer-sgd_momentum"),
        ("", "defaults"),
    ],
)
def test_a_job_s_folder_spells_out_its_settings(overrides: str, name: str):
    assert job_folder(overrides.split()) == name


ODD = [
    ["data.train_csv=tables/a.csv", "seed=0"],
    ["data.train_csv=tables-a.csv", "seed=0"],
    ['data.train_csv="tables/a.csv"', "seed=0"],
    ["model.net.hidden=[512,256]"],
    ["model.net.hidden=512-256"],
    ["a=1+b-2"],
    ["a=1", "b=2"],
    ["a=1-b-2"],
    ["~callbacks.best"],
    ["callbacks.best="],
    ["name=../../x"],
    ["name=..-..-x"],
    ["name=ä ö"],
    ["name=ü ö"],
    ["name=" + 300 * "x"],
    ["name=" + 301 * "x"],
]


@pytest.mark.parametrize("overrides", ODD)
def test_every_name_can_be_pasted_and_stays_in_its_folder(overrides: list[str]):
    name = job_folder(overrides)
    assert PLAIN.fullmatch(name)
    assert len(name.encode()) <= LONGEST < 255
    path = f"outputs/sweeps/{name}/checkpoints/best.ckpt"
    assert literal_path("ckpt_path", path) == path, "Hydra reads it without quotes"


def test_no_two_jobs_share_a_folder():
    assert all(job_folder(one) != job_folder(other) for one, other in combinations(ODD, 2))


@pytest.mark.parametrize(
    ("study", "overrides", "name"),
    [
        ("mine", ["seed=0,1"], "mine"),
        (None, ["data=image,csv", "+trainer.new=1", "~model", "threads=1", "a/b=c"], "data+trainer.new+model+a.b"),
        (None, [], "defaults"),
    ],
)
def test_a_sweep_is_named_by_its_study_or_by_what_it_sets(study: str | None, overrides: list[str], name: str):
    assert sweep_folder(study, overrides) == name


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "..", "a/b", "a b", "-a", "ключ", 300 * "x"])
def test_a_name_never_leads_out_of_outputs(name: str):
    assert PLAIN.fullmatch(folder_name(name))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", ["name=x"], return_hydra_config=True)
    cfg.name = name
    cfg.study = name
    runs, sweeps = cfg.hydra.run.dir.split("/"), cfg.hydra.sweep.dir.split("/")
    assert (runs[:2], len(runs)) == (["outputs", "runs"], 4)
    assert (sweeps[:2], len(sweeps)) == (["outputs", "sweeps"], 3)


def test_hydra_names_the_folders_of_jobs_so():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", ["seed=1", "data=csv", "threads=1"], return_hydra_config=True)
    assert cfg.hydra.sweep.subdir == "data-csv+seed-1"
