"""What --help shows, for every command: read from conf/, so these tests look at the shipped files."""

import shlex

import pytest

from mnist_exp.cli.conf_comments import read_comments
from mnist_exp.cli.help import as_override, beside, usage
from mnist_exp.cli.overrides import CONF, compose_checked, group_options

COMMANDS = ("train", "evaluate", "predict", "compare", "export", "demo", "bench")


@pytest.fixture(autouse=True)
def terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def help_of(command: str, *overrides: str) -> str:
    return usage(command, compose_checked(command, list(overrides)))


def test_the_help_of_train_shows_groups_defaults_values_and_meanings():
    lines = help_of("train").splitlines()
    assert lines[0] == "python -m mnist_exp.train [group=option ...] [key=value ...]"
    assert "  model        the network: cnn*, convnet, fast, mean_digit, mlp, scratch" in lines
    assert "  experiment   a named recipe, none by default: fast, robust, solution1," in lines
    assert "  trainer.min_epochs=null       early stopping and max_time do not end training" in lines
    at = lines.index("  trainer.limit_train_batches=null")  # too long for a line with its meaning
    assert lines[at + 1 : at + 3] == [
        " " * 32 + "training batches an epoch: a share (0.5), a",
        " " * 32 + "number (10), or null for all",
    ]
    assert "scheduler=none: A constant learning rate." in lines
    assert "  model.net.channels=[16,32]    of the two convolutions" in lines
    assert "  logger.name=''                '': no folder of its own" in lines


def test_hydras_own_keys_and_what_options_share_are_left_out():
    text = help_of("train")
    assert not any(word in text for word in ("_target_", "_partial_", "hydra/", "base"))
    assert "hydra." not in text.replace("hydra.cc", "")


def test_options_and_values_are_shown_as_the_overrides_leave_them():
    text = help_of("train", "model=mlp", "seed=7")
    assert "\n  seed=7  " in text
    assert "\nmodel=mlp: The perceptron of PyTorch's quickstart" in text
    assert "\n  model.net.hidden=512 " in text
    assert ": cnn*, " in text, "the default is that of the file"


def test_a_key_that_a_recipe_sets_keeps_the_meaning_that_its_group_gives():
    text = help_of("train", "experiment=fast")
    assert "\nexperiment=fast: 99% test accuracy" in text
    assert "\n  trainer.limit_train_batches=115\n" + " " * 32 + "training batches an epoch" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_fits_80_columns_and_explains_its_keys(command: str):
    text = help_of(command)
    assert [line for line in text.splitlines() if len(line) > 80 and "https://" not in line] == []
    comments = read_comments(CONF / f"{command}.yaml")
    assert comments.description.endswith(".")
    assert len(comments.examples) >= 2
    cfg = compose_checked(command, [])
    unexplained = [key for key in cfg if key != "hydra" and key not in comments.groups and key not in comments.keys]
    assert [key for key in unexplained if not any(each.startswith(f"{key}.") for each in comments.keys)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_every_command_are_valid(command: str):
    for example in read_comments(CONF / f"{command}.yaml").examples:
        _python, _m, module, *arguments = shlex.split(example)
        assert module == ("scripts.bench" if command == "bench" else f"mnist_exp.{command}")
        compose_checked(command, [each for each in arguments if each != "-m"])


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_the_comment_of_each_group_names_all_its_options(command: str):
    for group, comment in read_comments(CONF / f"{command}.yaml").groups.items():
        if group != "hydra":
            options = [option.split(" (")[0] for option in comment.partition(": ")[2].split(" | ")]
            assert sorted(options) == group_options(group), group


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "null"), (True, "true"), (False, "false"), ([16, None], "[16,null]"), ("", "''"), ("a", "a"), (0, "0")],
)
def test_a_value_is_written_as_in_an_override(value: object, written: str):
    assert as_override(value) == written


def test_a_long_key_has_a_line_of_its_own():
    assert beside("ab", "one two", at=6, width=9) == ["ab    one", "      two"]
    assert beside("abcd", "one", at=6, width=9) == ["abcd  one"]
    assert beside("abcde", "one", at=6, width=9) == ["abcde", "      one"]
    assert beside("abcde", "", at=6, width=9) == ["abcde"]
