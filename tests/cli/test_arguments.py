"""The command line as people write it. None of these tests needs torch."""

import sys
from pathlib import Path

import pytest

from mnist_exp.cli.arguments import as_hydra_reads_it, read_arguments
from mnist_exp.cli.overrides import OverrideError, check_single_values, compose_checked, job_folders, parse
from mnist_exp.cli.resumed_run import last_of_each_key


def rewritten(text: str, *, is_sweep: bool = False) -> str:
    return as_hydra_reads_it(text, [text], is_sweep=is_sweep)


NAMES = [
    "IMG 1 (2).png",
    "epoch=3.ckpt",
    "a,b=c.ckpt",
    "it's.png",
    'a "b".png',
    "[x].png",
    "{a}.png",
    "ä.png",
    "3",
    "x:y",
]


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("name", [*NAMES, "end\\", "a\\b.png", "true", "outputs/data=csv,seed=0/best.ckpt"])
def test_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, exists: bool):
    monkeypatch.chdir(tmp_path)
    if exists:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    if exists or name != "[x].png":  # Hydra's list, unless there is such a file
        assert parse(rewritten(f"images={name}")).value() == name
        assert parse(rewritten(f"data.train_csv={name}")).value() == name


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("images=[a.png,b.png]", ["a.png", "b.png"]),
        ("images=[IMG 1 (2).png,'c,d.png']", ["IMG 1 (2).png", "c,d.png"]),
        ("ckpt_path=a.ckpt,b.ckpt", ["a.ckpt", "b.ckpt"]),
        ("images='photos/*.jpg'", "photos/*.jpg"),
        ("images=photos/*.jpg", "photos/*.jpg"),
        ('images="a b"', "a b"),
        ("ckpt_path=null", None),
        ("ckpt_path=", ""),
        ("data_dir=${oc.env:X}", "${oc.env:X}"),
        ("formats=onnx", ["onnx"]),
        ("formats=onnx,pt2", ["onnx", "pt2"]),
        ("formats=[pt2]", ["pt2"]),
        ("milestones=3", [3]),
        ("+milestones=3", [3]),
        ("name=a", "a"),
    ],
)
def test_hydra_s_own_notation_stays_and_one_value_becomes_a_list(typed: str, value: object):
    assert parse(rewritten(typed)).value() == value


def test_home_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert rewritten("ckpt_path=~/a.ckpt") == "ckpt_path=/home/me/a.ckpt"


def test_latest_is_the_folder_of_a_run(run_dir: Path):
    assert rewritten("ckpt_path=latest") == f"ckpt_path={run_dir}"


def test_in_a_sweep_several_paths_are_a_run_each():
    assert rewritten("ckpt_path=a.ckpt,b.ckpt", is_sweep=True) == "ckpt_path=a.ckpt,b.ckpt"


def test_glob_chooses_options_of_a_group():
    assert rewritten("model=glob(c*)", is_sweep=True) == "model=cnn,convnet"
    assert rewritten("data=glob(*)", is_sweep=True) == "data=csv,image", "base is no option"
    for text in ("model=glob(x*)", "images=glob(*.png)"):
        with pytest.raises(OverrideError, match=r"glob\(...\) matches nothing"):
            rewritten(text, is_sweep=True)


def test_an_interval_is_explained():
    with pytest.raises(OverrideError, match=r"an interval needs a sweeper .* name the values: optimizer.lr=0.001,0.01"):
        rewritten("optimizer.lr=interval(0,1)", is_sweep=True)


@pytest.mark.parametrize("text", ["seed=0,1", "seed=range(0,3)", "optimizer.lr=choice(0.1,0.2)"])
def test_several_values_without_a_sweep_are_explained(text: str):
    with pytest.raises(OverrideError, match=r"names several values: add -m for a run with each"):
        check_single_values(["data=csv", text])


def test_a_flag_may_stand_anywhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["train", "data=csv", "-m", "seed=0,1", "--config-name", "x"])
    flags, overrides = read_arguments("train")
    assert flags.multirun
    assert overrides == ["data=csv", "seed=0,1"]
    assert sys.argv == ["train", "-m", "--config-name", "x", "data=csv", "seed=0,1"]


@pytest.mark.parametrize(
    ("overrides", "folders"),
    [
        ("seed=0,1 model.standardize=true", {"model.standardize-True+seed-0", "model.standardize-True+seed-1"}),
        ("seed=range(0,2) threads=1", {"seed-0", "seed-1"}),
        ("optimizer.lr=choice(0.10,1e-3)", {"optimizer.lr-0.1", "optimizer.lr-0.001"}),
        ("sweep=seeds seed=3", {"seed-3"}),
        ("", {"defaults"}),
        ("seed=0,1 hydra.sweep.subdir=x", set()),
    ],
)
def test_the_folders_of_a_sweep_s_jobs_are_foreseen(overrides: str, folders: set[str]):
    words = overrides.split()
    assert job_folders(compose_checked("train", words), words) == folders


# --- resume= ---


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was started with `data=csv seed=3 trainer.max_epochs=2`."""
    monkeypatch.chdir(tmp_path)
    run_dir = Path("outputs/runs/csv-cnn/1")
    for name in (".hydra/config.yaml", "checkpoints/last.ckpt"):
        (run_dir / name).parent.mkdir(parents=True)
        (run_dir / name).touch()
    write_overrides(run_dir, "data=csv", "seed=3", "trainer.max_epochs=2")
    return run_dir


def write_overrides(run_dir: Path, *overrides: str) -> None:
    (run_dir / ".hydra" / "overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))


def resumed(monkeypatch: pytest.MonkeyPatch, *typed: str) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["train", *typed])
    return read_arguments("train").overrides


@pytest.mark.parametrize(
    "named",
    ["outputs/runs/csv-cnn/1", "outputs/runs/csv-cnn/1/", "latest", "outputs/runs/csv-cnn/1/checkpoints/last.ckpt"],
)
def test_a_resumed_run_has_its_own_overrides_and_those_typed(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, named: str
):
    overrides = resumed(monkeypatch, f"resume={named}", "trainer.max_epochs=5")
    assert overrides == [
        "data=csv", "seed=3", "trainer.max_epochs=5", f'resume="{run_dir}"', f'hydra.run.dir="{run_dir}"',
        "hydra.mode=RUN", "hydra.output_subdir=null",
    ]  # fmt: skip
    cfg = compose_checked("train", overrides)
    assert (cfg.seed, cfg.trainer.max_epochs, cfg.hydra.run.dir) == (3, 5, str(run_dir))
    assert resumed(monkeypatch, *overrides) == overrides, "as Lightning's further processes read it"


def test_the_job_of_a_sweep_goes_on_as_a_single_run(run_dir: Path, monkeypatch: pytest.MonkeyPatch):
    write_overrides(run_dir, "sweep=puzzle_quick", "data=csv", "seed=0")
    cfg = compose_checked("train", resumed(monkeypatch, f"resume={run_dir}"))
    assert str(cfg.hydra.mode) == "RunMode.RUN"


def test_all_files_of_a_run_go_to_the_folder_that_is_typed(monkeypatch: pytest.MonkeyPatch):
    overrides = resumed(monkeypatch, "run_dir=mine")
    assert overrides == ["run_dir=mine", "hydra.run.dir=mine"]
    assert resumed(monkeypatch, *overrides) == overrides, "as Lightning's further processes read it"
    both = resumed(monkeypatch, "run_dir=mine", "hydra.run.dir=other")
    assert both[-1] == "hydra.run.dir=mine", "of two values Hydra takes the last"


def test_a_run_goes_on_in_its_folder_wherever_that_was_moved(run_dir: Path, monkeypatch: pytest.MonkeyPatch):
    write_overrides(run_dir, "seed=3", "run_dir=mine")
    overrides = resumed(monkeypatch, f"resume={run_dir}")
    assert overrides[:3] == ["seed=3", f'resume="{run_dir}"', f'hydra.run.dir="{run_dir}"']


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("resume=outputs/runs/none", "there is no such run folder"),
        ("resume=outputs/runs", "it is no run folder, .hydra/overrides.yaml is missing"),
        ("-m resume=outputs/runs/csv-cnn/1", "A sweep goes on if the same command is started again"),
        ("resume=outputs/runs/csv-cnn/1 run_dir=other", "goes on in the run's own folder: leave out run_dir"),
    ],
)
@pytest.mark.usefixtures("run_dir")
def test_what_cannot_be_resumed_is_refused(monkeypatch: pytest.MonkeyPatch, typed: str, message: str):
    with pytest.raises(OverrideError, match=message):
        resumed(monkeypatch, *typed.split())


def test_a_run_without_a_whole_epoch_is_started_again(run_dir: Path, monkeypatch: pytest.MonkeyPatch):
    (run_dir / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(
        OverrideError, match=r"Start it again: \S*python -m mnist_exp.train data=csv seed=3 trainer.max_ep"
    ):
        resumed(monkeypatch, "resume=latest")


@pytest.mark.parametrize(
    "override",
    ["optimizer._target_=os.system", "name=${oc.env:SECRET}", "hydra.run.dir=x", "callbacks.last.dirpath=/elsewhere",
     "+callbacks.last.filename=../../a", "logger={save_dir:/elsewhere}"],
)  # fmt: skip
def test_a_file_decides_neither_which_code_is_run_nor_where_files_go(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, override: str
):
    write_overrides(run_dir, "data=csv", f"'{override}'")
    with pytest.raises(OverrideError, match=r"A file is not trusted with that: repeat it after resume="):
        resumed(monkeypatch, "resume=latest")
    assert override in resumed(monkeypatch, "resume=latest", override) or override.startswith("hydra")


@pytest.mark.parametrize("content", ["- [", "a: b", "- 3", "\x00"])
def test_damaged_overrides_are_named(run_dir: Path, monkeypatch: pytest.MonkeyPatch, content: str):
    (run_dir / ".hydra" / "overrides.yaml").write_text(content)
    with pytest.raises(OverrideError, match=r"cannot read outputs/runs/csv-cnn/1/.hydra/overrides.yaml"):
        resumed(monkeypatch, "resume=latest")


def test_the_last_of_several_values_counts():
    assert last_of_each_key(["a=1", "+b=1", "a=2", "b=2"]) == ["a=2", "b=2"]
