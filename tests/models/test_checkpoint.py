"""Checkpoints that load, and those that must not: python -m pytest tests/models/test_checkpoint.py -v"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch
from hostile_checkpoints import KINDS, NOT_FOR_RESUMING, RESUME_KINDS, STORED, content, save
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from mnist_exp.cli.overrides import CONF
from mnist_exp.demo import demo
from mnist_exp.evaluate import evaluate
from mnist_exp.export import export
from mnist_exp.models.checkpoint import load_classifier, trained_epochs
from mnist_exp.models.checkpoint_file import CheckpointError, read_checkpoint
from mnist_exp.models.registry import EXPECTED, NETWORKS
from mnist_exp.predict import predict
from mnist_exp.result import RunResult
from mnist_exp.train import train

Tasks = dict[str, tuple[Callable[[DictConfig], Any], DictConfig]]


# --- what loads ---


def stroke() -> torch.Tensor:
    images = torch.zeros(1, 28, 28, dtype=torch.uint8)
    images[0, 4:24, 12:16] = 255
    return images


def test_a_checkpoint_of_version_0_1_loads_and_answers_as_it_did():
    model, config = load_classifier(STORED)
    expected = "0.0063739 0.224783 0.1254651 0.1436879 0.0384948 0.1061405 0.0365317 0.2363993 0.0392046 0.0429193"
    assert model.probabilities(stroke())[0].tolist() == pytest.approx(list(map(float, expected.split())), abs=1e-5)
    assert not model.training
    assert (config["name"], config["seed"], model.name) == ("image-mlp", 0, "mlp")
    assert trained_epochs(STORED) == 2


@pytest.mark.usefixtures("small_mnist")
def test_a_run_of_version_0_1_is_evaluated_and_exported(tmp_path: Path, tasks: Tasks):
    run_dir = Path(shutil.copytree(STORED.parents[1], tmp_path / "run"))
    for command in ("evaluate", "export"):
        task, cfg = tasks[command]
        cfg.ckpt_path = str(run_dir / "checkpoints" / "best.ckpt")
        task(cfg)
    evaluation = json.loads((run_dir / "evaluation-test.json").read_text())
    result = RunResult.read(run_dir)
    assert result is not None
    assert result.metrics["test/acc"] == pytest.approx(evaluation["acc"], abs=0.05)  # fonts differ a little
    assert "## Recipe" in (run_dir / "export" / "README.md").read_text()


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # the folder of the run is not here
@pytest.mark.usefixtures("small_mnist")
def test_a_run_of_version_0_1_goes_on(composed: Callable[..., DictConfig]):
    recipe = ["model=mlp", "model.net.hidden=2", "optimizer=sgd", "optimizer.lr=0.5", "logger=none"]
    result = train(composed(*recipe, "trainer.max_epochs=3", f"ckpt_path={STORED}"))
    assert [row["epoch"] for row in result["history"]] == [1, 2, 3]


def test_the_content_is_what_torch_reads():
    def equal(a: Any, b: Any) -> bool:
        if isinstance(a, torch.Tensor):
            return a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(a, b)
        if isinstance(a, dict):
            return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
        if isinstance(a, (list, tuple)):
            return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
        return type(a) is type(b) and a == b

    assert equal(read_checkpoint(STORED), content())


DTYPES = ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_of_every_type_and_layout_are_read(tmp_path: Path, dtype: str):
    numbers = torch.arange(24).to(getattr(torch, dtype)).view(2, 3, 2, 2)
    tensors = {
        "whole": numbers, "part": numbers[1:, 1], "turned": numbers.transpose(0, 1), "none": numbers[:0],
        "scalar": numbers[1, 2, 1, 1], "channels_last": numbers.contiguous(memory_format=torch.channels_last),
    }  # fmt: skip
    read = read_checkpoint(save(tmp_path / "tensors.ckpt", tensors))
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].stride() == tensor.stride()
        assert torch.equal(read[name], tensor)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_another_precision_are_converted(tmp_path: Path, precision: torch.dtype):
    changed = content()
    changed["state_dict"] = {name: weights.to(precision) for name, weights in changed["state_dict"].items()}
    model, _ = load_classifier(save(tmp_path / "other.ckpt", changed))
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
    assert torch.equal(model.net[1].weight, changed["state_dict"]["net.1.weight"].float())


@pytest.mark.parametrize("name", ["MLP", "mnist_exp.models.nets.MLP", "mnist_exp.models.moved.MLP"])
def test_a_network_goes_by_its_class_wherever_its_module_moves(tmp_path: Path, name: str):
    changed = content()
    changed["config"]["model"]["net"]["_target_"] = name
    load_classifier(save(tmp_path / "named.ckpt", changed))


def test_every_network_of_the_configuration_is_registered_and_its_arguments_can_be_checked():
    targets = {OmegaConf.load(path).net._target_.rsplit(".", 1)[1] for path in CONF.glob("model/[!b]*.yaml")}
    assert targets == set(NETWORKS)
    for network in NETWORKS.values():
        hints = get_type_hints(network.__init__)
        assert {hint for key, hint in hints.items() if key != "return"} <= set(EXPECTED)


def test_texts_in_a_checkpoint_are_shown_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET", "hunter2")
    changed = content()
    changed["config"]["name"] = changed["config"]["model"]["name"] = "${oc.env:SECRET}"
    evil = {"_target_": "os.mkdir", "path": str(tmp_path / "marker")}
    changed["config"]["model"] |= {"optimizer": evil, "scheduler": evil, "augment": evil}
    changed["config"]["logger"] = evil
    model, config = load_classifier(save(tmp_path / "texts.ckpt", changed))
    assert config["name"] == model.name == "${oc.env:SECRET}"
    assert not (tmp_path / "marker").exists()


# --- a network of one's own ---


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint whose network is `own_networks.MyNet`, a class that can be imported."""
    (tmp_path / "own_networks.py").write_text(
        "import torch\nfrom mnist_exp.models.nets import MLP\n"
        "class MyNet(MLP):\n    pass\n"
        "class ByNumbers(MLP):\n"
        "    def __init__(self, hidden):\n        super().__init__(hidden=int(torch.tensor(hidden).item()))\n"
        "class Strange(torch.nn.Module):\n    def __init__(self, hidden):\n        raise KeyError('strange')\n"
        "class Few(MLP):\n    def forward(self, x):\n        return super().forward(x)[:, :9]\n"
        "def function():\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    changed = content()
    changed["config"]["model"]["net"]["_target_"] = "own_networks.MyNet"
    return save(tmp_path / "own.ckpt", changed)


def test_a_network_of_ones_own_loads_when_the_user_names_it(own: Path):
    with pytest.raises(CheckpointError, match=r"own_networks.MyNet.*none of this package's.*network=my_module.MyNet"):
        load_classifier(own)
    expected = load_classifier(STORED)[0].probabilities(stroke())
    for name in ("MyNet", "ByNumbers"):  # the second cannot be measured without being built
        model, _ = load_classifier(own, f"own_networks.{name}")
        assert type(model.net).__name__ == name
        assert torch.equal(model.probabilities(stroke()), expected)


def test_a_network_of_this_package_is_never_replaced(own: Path):
    assert own.exists()
    model, _ = load_classifier(STORED, "own_networks.MyNet")
    assert type(model.net) is NETWORKS["MLP"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("own_networks.Missing", "cannot be imported"),
        ("missing_module.Net", "cannot be imported"),
        ("MyNet", "cannot be imported"),
        ("own_networks.function", "not a network"),
        ("torch.utils.collect_env.run", "not a network"),
    ],
)
@pytest.mark.usefixtures("own")
def test_a_name_that_is_no_network_is_refused(name: str, reason: str):
    with pytest.raises(ValueError, match=f"network={name} .*{reason}"):
        load_classifier(STORED, name)


@pytest.mark.parametrize(
    ("name", "reason"), [("Strange", "cannot be built .*strange"), ("Few", r"shape \[3, 9\], not \[3, 10\]")]
)
def test_a_network_of_ones_own_that_does_not_work_is_named(own: Path, name: str, reason: str):
    with pytest.raises(CheckpointError, match=rf"own.ckpt cannot be used: .*{reason}"):
        load_classifier(own, f"own_networks.{name}")


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden": 10**7},
        {"hidden": 200_000},
        {"_args_": [2]},
        {"hidden": {"_target_": "os.mkdir"}},
        {"hidden": "a" * 201},
        {"hidden": [[2]]},
        {"hidden": [2] * 201},
        {"hidden": float("inf")},
        {7: 2},
    ],
)
def test_arguments_for_a_network_of_ones_own_are_plain_and_limited(own: Path, arguments: dict[str, Any]):
    changed = content()
    changed["config"]["model"]["net"] = {"_target_": "own_networks.MyNet", **arguments}
    with pytest.raises(CheckpointError, match=r"own.ckpt cannot be used: its network (cannot take|has .* parameters)"):
        load_classifier(save(own, changed), "own_networks.MyNet")


# --- hostile and damaged files ---


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of each kind, made when first asked for."""
    folder = tmp_path_factory.mktemp("hostile")
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = KINDS[kind](folder / f"{len(made)}.ckpt", str(folder / "marker"))
        return made[kind]

    return get


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Tasks:
    """Each command that reads a checkpoint, with its configuration."""
    folder = tmp_path_factory.mktemp("run")
    overrides = {
        "evaluate": [],
        "predict": ["images=digit.png", f"output={folder}/predictions.csv"],
        "export": ["formats=[pt2]"],
        "demo": ["port=0"],
        "train": [f"run_dir={folder}", "trainer=cpu", "logger=none", "model=mlp", "model.net.hidden=2"],
    }
    functions = {"evaluate": evaluate, "predict": predict, "export": export, "demo": demo, "train": train}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        common = [f"data_dir={folder}"]
        return {
            name: (function, compose(name, overrides[name] + (common if name not in ("predict", "demo") else [])))
            for name, function in functions.items()
        }


@pytest.fixture(scope="module", autouse=True)
def memory_stays_small() -> Iterator[None]:
    if sys.platform != "linux":  # Windows does not tell, and macOS counts bytes
        yield
        return
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB


@pytest.mark.parametrize("kind", KINDS)
def test_no_command_does_what_a_hostile_checkpoint_asks(
    kind: str, files: Callable[[str], Path], tasks: Tasks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    path, marker = files(kind), tmp_path / "marker"
    (tmp_path / "evil_module.py").write_text(f"open({str(marker)!r}, 'w')\nclass Net: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "hunter2")
    for command in tasks.keys() - ({"train"} if kind in NOT_FOR_RESUMING else set()):
        task, cfg = tasks[command]
        cfg.ckpt_path = str(path)
        with pytest.raises(ValueError if kind == "file: a folder" else CheckpointError) as refused:
            task(cfg)
        message = str(refused.value)
        assert message.startswith((f"{path} ", f"no checkpoint at {path}", f"cannot read {path}"))
        assert "hunter2" not in message
        assert len(message) < 1000
        assert "\x1b" not in message
        assert not marker.exists()
        assert not path.with_name("marker").exists()


@pytest.mark.parametrize("kind", RESUME_KINDS)
def test_a_run_does_not_go_on_from_what_lightning_could_not_read(kind: str, tasks: Tasks, tmp_path: Path):
    changed = content()
    RESUME_KINDS[kind](changed)
    path = save(tmp_path / "last.ckpt", changed)
    load_classifier(path)
    task, cfg = tasks["train"]
    cfg.ckpt_path = str(path)
    with pytest.raises(CheckpointError, match=r"last\.ckpt cannot be resumed: its "):
        task(cfg)


def test_there_are_at_least_300_cases():
    assert 5 * len(KINDS) - len(NOT_FOR_RESUMING) >= 300
