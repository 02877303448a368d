"""What may differ when a run goes on, and what is refused by name."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from mnist_exp.result import RunResult
from mnist_exp.training import settings_changed
from mnist_exp.training.settings_changed import ResumeError, changed_settings, check_continuation, check_resume

EARLIER: dict[str, Any] = {
    "seed": 0,
    "data": {"name": "csv", "batch_size": 64, "seed": 0},
    "optimizer": {"lr": 0.1},
    "scheduler": None,
    "model": {"optimizer": {"lr": 0.1}},
    "trainer": {"max_epochs": 3, "accelerator": "cpu"},
    "run_dir": "there",
    "ckpt_path": None,
}


def changed(**changes: Any) -> dict[str, Any]:
    """EARLIER with other values: changed(trainer__max_epochs=5)."""
    cfg = OmegaConf.create(copy.deepcopy(EARLIER))
    for key, value in changes.items():
        OmegaConf.update(cfg, key.replace("__", "."), value)
    return OmegaConf.to_container(cfg)  # type: ignore[return-value]


def test_settings_are_named_with_their_earlier_value_and_copies_are_not():
    now = changed(seed=1, data__seed=1, optimizer__lr=0.2, model__optimizer__lr=0.2, data__folder=None, run_dir="here")
    assert list(changed_settings(EARLIER, now).values()) == ["seed=1 (was 0)", "optimizer.lr=0.2 (was 0.1)"]


def test_a_run_of_an_earlier_version_was_trained_on_mnist():
    assert changed_settings(EARLIER, changed(data__dataset="mnist")) == {}
    assert list(changed_settings(EARLIER, changed(data__dataset="kmnist"))) == ["data.dataset"]


# --- resume= ---


@pytest.fixture
def resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str | None]:
    """What `check_resume` says of a run of three epochs: resume(trainer__max_epochs=5, status="interrupted")."""
    monkeypatch.chdir(tmp_path)

    def check(*, status: str = "finished", trained: int = 3, **changes: Any) -> str | None:
        cfg: DictConfig = OmegaConf.create({**changed(**changes), "resume": "run"})
        history = [{"epoch": epoch} for epoch in range(1, trained + 1)] if status == "finished" else []
        monkeypatch.setattr(settings_changed, "read_last", lambda _: (EARLIER, trained))
        return check_resume(cfg, RunResult(status=status, seed=0, overrides=[], config=EARLIER, history=history))

    return check


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_was_cut_off_goes_on_even_if_only_the_test_is_left(resume: Callable[..., str | None], status: str):
    assert resume(status=status, trained=2) is None
    assert resume(status=status, trained=3) is None


def test_of_a_finished_run_nothing_is_left_until_it_gets_more_epochs(resume: Callable[..., str | None]):
    left = "nothing is left to train: run is finished, after 3 of 3 epochs (trainer.max_epochs=6, for example, goes on)"
    assert resume() == left
    assert resume(trainer__max_epochs=2) == left
    assert resume(trainer__max_epochs=4) is None


def test_a_run_that_stopped_early_has_nothing_left(resume: Callable[..., str | None]):
    assert resume(trained=2) == "nothing is left to train: run stopped early, after epoch 2 of 3"
    assert resume(trained=2, trainer__max_epochs=9) == "nothing is left to train: run stopped early, after epoch 2 of 3"


@pytest.mark.parametrize(
    "change", ["seed=1", "data.batch_size=32", "optimizer.lr=1.0", "data.name=image", "ckpt_path=a.ckpt"]
)
@pytest.mark.parametrize("status", ["finished", "interrupted"])
def test_what_decides_the_result_is_refused_by_name(resume: Callable[..., str | None], status: str, change: str):
    key, _, value = change.partition("=")
    with pytest.raises(ResumeError, match=rf"^run goes on with its own settings.*differ: {change} \(was "):
        resume(status=status, **{key.replace(".", "__"): OmegaConf.create(f"x: {value}").x})


def test_where_and_how_long_may_change(resume: Callable[..., str | None]):
    assert resume(trainer__max_epochs=9, trainer__accelerator="gpu", threads=4, logger={"x": 1}, name="b") is None


def test_fewer_epochs_than_trained_are_refused(resume: Callable[..., str | None]):
    with pytest.raises(ResumeError, match=r"has trained 2 epochs, and trainer.max_epochs=1 is less"):
        resume(status="interrupted", trained=2, trainer__max_epochs=1)


def test_a_schedule_keeps_its_length(resume: Callable[..., str | None], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(EARLIER, "scheduler", {"warmup": 0.1})
    for goes_on in (resume, lambda **changes: check_continuation(EARLIER, changed(**changes), trained=3)):
        with pytest.raises(ResumeError, match=r"a schedule over 3 epochs, .*trainer.max_epochs=5"):
            goes_on(trainer__max_epochs=5)


# --- ckpt_path= ---


def test_other_settings_are_named_in_a_warning(caplog: pytest.LogCaptureFixture):
    now = changed(data__name="image", seed=1, data__seed=1, trainer__max_epochs=9, ckpt_path="x", run_dir="here")
    with caplog.at_level(logging.WARNING):
        check_continuation(EARLIER, now, trained=3)
    assert caplog.messages[0].endswith("trained with: seed=1 (was 0), data.name=image (was csv)")


def test_how_long_and_where_may_change_without_a_word(caplog: pytest.LogCaptureFixture):
    now = changed(trainer__max_epochs=9, trainer__accelerator="gpu", ckpt_path="x", name="b")
    check_continuation(EARLIER, now, trained=3)
    assert not caplog.records


def test_the_optimizer_comes_from_the_checkpoint():
    now = changed(optimizer__lr=1.0, model__optimizer__lr=1.0, trainer__max_epochs=9)
    with pytest.raises(ResumeError, match=r"come from the checkpoint.*differ: optimizer.lr=1.0 \(was 0.1\)\."):
        check_continuation(EARLIER, now, trained=3)


def test_a_checkpoint_with_nothing_left_is_refused():
    with pytest.raises(ResumeError, match=r"nothing is left to train: .* trained 3 of trainer.max_epochs=3 epochs"):
        check_continuation(EARLIER, EARLIER, trained=3)


@pytest.mark.parametrize(("count", "more"), [(8, ""), (9, " and 1 more"), (12, " and 4 more")])
def test_many_settings_are_not_all_named(count: int, more: str):
    changes = {f"key{index}": f"key{index}=1 (was 0)" for index in range(count)}
    assert settings_changed.list_settings(changes).endswith(f"key7=1 (was 0){more}")
