"""Every shipped configuration composes and runs one batch on small data."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from mnist_exp.cli.conf_comments import comments_of_option
from mnist_exp.cli.help import leaves
from mnist_exp.cli.overrides import CONF, compose_checked
from mnist_exp.train import train

Compose = Callable[..., DictConfig]
GROUPS = ("data", "model", "optimizer", "scheduler", "augment", "trainer", "callbacks", "logger", "experiment", "debug")
ELSEWHERE = {"trainer=gpu", "trainer=ddp"}  # composed here, run where there is such a machine (test_ddp.py)


def options(*groups: str) -> list[str]:
    return [f"{group}={path.stem}" for group in groups for path in sorted((CONF / group).glob("*.yaml"))]


@pytest.mark.usefixtures("small_mnist")
@pytest.mark.parametrize("option", options(*GROUPS))
def test_every_option_runs_one_batch(composed: Compose, option: str):
    if option.endswith("=base"):
        pytest.skip("a base, not a choice")
    cfg = composed(option, "trainer.fast_dev_run=true")
    OmegaConf.to_container(cfg, resolve=True)
    if option not in ELSEWHERE:
        assert train(cfg)["metrics"].keys() >= {"test/loss", "test/acc"}


@pytest.mark.parametrize("option", options("sweep"))
def test_every_sweep_composes(composed: Compose, option: str):
    OmegaConf.to_container(composed(option), resolve=True)


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_says_what_it_is_for(path: Path):
    """A file opens with a comment, or its first line is Hydra's package directive and the second a comment."""
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0].startswith("# @package") else lines[0]
    assert first.startswith("# ")


@pytest.mark.parametrize(("config_name", "count"), [("train", 11), ("evaluate", 1)])
def test_the_comment_of_each_group_lists_all_its_options(config_name: str, count: int):
    """As in `- data: image  # where the pixels come from: image | csv`."""
    text = (CONF / f"{config_name}.yaml").read_text()
    comments = re.findall(r"^  - (?!hydra)(\w+): \w+ +# .*?: (.+)$", text, flags=re.MULTILINE)
    assert len(comments) == count
    for group, listed in comments:
        names = {name.split()[0] for name in listed.split(" | ")}
        assert names == {path.stem for path in (CONF / group).glob("*.yaml")} - {"base"}, group


@pytest.mark.parametrize("option", [option for option in options(*GROUPS[:8]) if not option.endswith("=base")])
def test_every_key_of_an_option_is_explained(option: str):
    """Except what only passes another setting on: `name`, `${data_dir}`, and the groups that a model takes."""
    group, name = option.split("=")
    settings = OmegaConf.to_container(compose_checked("train", [option]), resolve=False)
    assert isinstance(settings, dict)
    comments = comments_of_option(group, name, conf=CONF)
    for key, value in leaves({group: settings.get(group) or {}}):
        passed_on = key.rsplit(".", 1)[-1] in ("name", *GROUPS) or re.fullmatch(r"\$\{[\w.]+\}", str(value))
        assert passed_on or key in comments, key


@pytest.mark.parametrize("path", sorted(CONF.glob("experiment/*.yaml")) + sorted(CONF.glob("sweep/*.yaml")))
def test_every_recipe_promises_command_time_and_result(path: Path):
    head = path.read_text().split("\ndefaults")[0]
    assert all(f"# {promise}:" in head for promise in ("command", "time", "expected"))
