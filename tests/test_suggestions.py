import pytest

from mnist_exp.suggestions import did_you_mean

KEYS = ["trainer.max_epochs", "trainer.max_steps", "optimizer.lr", "data.batch_size"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("trainer.max_epoch", "trainer.max_epochs"),
        ("optimiser.lr", "optimizer.lr"),
        ("lr", "optimizer.lr"),  # the key without its place
        ("model.optimizer.batch_size", "data.batch_size"),  # the key in another place
    ],
)
def test_the_nearest_option_is_suggested(word: str, meant: str):
    assert did_you_mean(word, KEYS) == f": did you mean {meant!r}?"


@pytest.mark.parametrize("word", ["", "seed", "zzz.zzz"])
def test_nothing_is_suggested_where_nothing_is_near(word: str):
    assert did_you_mean(word, KEYS) == ""


def test_options_may_come_from_an_iterator():
    assert did_you_mean("cvs", iter(["csv", "image"])) == ": did you mean 'csv'?"


@pytest.mark.parametrize(("word", "suggested"), [("abcdxxxx", True), ("abcxxxxx", False)])
def test_half_of_the_letters_must_agree(word: str, suggested: bool):
    assert bool(did_you_mean(word, ["abcdefgh"])) == suggested
