from pathlib import Path

import pytest

from mnist_exp.cli.conf_comments import FileComments, comments_of_option, read_comments

COMMAND = """\
# Train a model.
# It takes a while.
#   python -m some.train a=1
# command:  python -m some.train
# time:     long

# no part of the header
defaults:
  - _self_
  - data: image   # the pixels: image | csv
  - sweep: null   # many runs
  - override hydra/job_logging: none   # no log

seed: 0           # decides the draws
name: "a # b"     # a text with a hash sign
empty: null
list: [1, 2]      # a flow list
nested:           # a node
  inner: ${seed}  # with an interpolation
  block:          # a block list
    - 1           # an item
"""


def test_the_header_and_the_comment_of_each_key_and_group_are_read(tmp_path: Path):
    (tmp_path / "train.yaml").write_text(COMMAND)
    assert read_comments(tmp_path / "train.yaml") == FileComments(
        description="Train a model. It takes a while.",
        examples=["python -m some.train a=1"],
        keys={
            "seed": "decides the draws",
            "name": "a text with a hash sign",
            "list": "a flow list",
            "nested": "a node",
            "nested.inner": "with an interpolation",
            "nested.block": "a block list",
        },
        defaults=[("data", "image"), ("sweep", None)],
        groups={"data": "the pixels: image | csv", "sweep": "many runs"},
        is_global=False,
    )


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    files = {
        "base": "# What both share.\nsize: 1  # of the base\nseed: 0  # of both\n",
        "csv": "# Rows.\ndefaults:\n  - base\n\nsize: 2  # of the rows\nnet:\n  x: 1  # in\n",
        "all": "# All.\ndefaults:\n  - csv@rows\n\nname: all  # of all\n",
        "recipe": "# @package _global_\n# A recipe.\nseed: 1  # of the recipe\n",
    }
    (tmp_path / "data").mkdir()
    for name, text in files.items():
        (tmp_path / "data" / f"{name}.yaml").write_text(text)
    return tmp_path


def test_an_option_takes_over_the_comments_of_its_base(conf: Path):
    assert comments_of_option("data", "csv", conf=conf) == {
        "data.size": "of the rows",
        "data.seed": "of both",
        "data.net.x": "in",
    }


def test_an_option_can_be_placed_below_another(conf: Path):
    assert comments_of_option("data", "all", conf=conf) == {
        "data.rows.size": "of the rows",
        "data.rows.seed": "of both",
        "data.rows.net.x": "in",
        "data.name": "of all",
    }


def test_a_recipe_is_placed_at_the_top(conf: Path):
    assert comments_of_option("data", "recipe", conf=conf) == {"seed": "of the recipe"}
    assert read_comments(conf / "data" / "recipe.yaml").description == "A recipe."
