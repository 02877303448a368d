"""What is kept of each epoch, at its exact values: with a trainer and a model that are not really there."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mnist_exp.training.history import History, Milestones, logged_metrics


def trainer(**fields) -> SimpleNamespace:
    defaults = {
        "current_epoch": 2,
        "world_size": 1,
        "optimizers": [],
        "loggers": [],
        "callback_metrics": {"val/acc": torch.tensor(0.123456789), "step": torch.tensor(3.0)},
        "datamodule": SimpleNamespace(train_indices=range(1000)),
    }
    return SimpleNamespace(**defaults | fields)


class Logger:
    def __init__(self) -> None:
        self.logged: list = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.logged.append((metrics, step))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Time is what the test says: clock.append(seconds) for each look at it."""
    times: list[float] = []
    monkeypatch.setattr("mnist_exp.training.history.time.perf_counter", lambda: times.pop(0))
    return times


def test_metrics_are_those_with_a_stage_to_seven_digits():
    assert logged_metrics(trainer()) == {"val/acc": 0.1234568}


def test_an_epoch_has_its_number_from_1_its_metrics_and_its_training_time(clock: list[float]):
    history, logger = History({}), Logger()
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.5}, {"lr": 1.0}])
    clock += [10.0, 12.0]  # start, validation
    history.on_train_epoch_start(None, None)
    history.on_train_batch_end(None, None, {"images": 150}, None, 0)
    history.on_train_batch_end(None, None, {"images": 50}, None, 1)
    history.on_validation_start(None, None)
    history.on_train_epoch_end(trainer(loggers=[logger], optimizers=[optimizer]), None)
    assert history.epochs == [{"epoch": 3, "val/acc": 0.1234568, "seconds": 2.0}]
    assert logger.logged == [({"images_per_second": 100.0, "lr": 0.5}, 3)]


def test_without_validation_an_epoch_lasts_to_its_end(clock: list[float]):
    history = History({})
    clock += [10.0, 12.0, 20.0, 25.0]
    history.on_train_epoch_start(None, None)
    history.on_validation_start(None, None)
    history.on_train_epoch_start(None, None)
    history.on_train_epoch_end(trainer(), None)
    assert history.epochs == [{"epoch": 3, "seconds": 5.0}], "val/acc is of the epoch before"


@pytest.mark.parametrize(("seen", "world_size", "images"), [(200, 1, 200), (200, 2, 400), (501, 2, 1000)])
def test_images_are_counted_over_all_processes_and_never_twice(
    clock: list[float], seen: int, world_size: int, images: int
):
    history = History({})
    for start in (0.0, 10.0):
        clock += [start, start + 4.0]
        history.on_train_epoch_start(None, None)
        history.on_train_batch_end(None, None, {"images": seen}, None, 0)
        history.on_train_epoch_end(trainer(world_size=world_size), None)
    assert (history.images, history.seconds) == (2 * images, 8.0)
    assert history.images_per_second == images / 4


def test_before_the_first_epoch_there_is_no_speed():
    assert History({}).images_per_second == 0.0


def test_a_checkpoint_holds_the_configuration_and_the_epochs_so_far():
    history, checkpoint = History({"seed": 1}), {}
    history.epochs.append({"epoch": 1})
    history.on_save_checkpoint(trainer(), None, checkpoint)
    assert checkpoint == {"config": {"seed": 1}, "metrics": {"val/acc": 0.1234568}}
    other = History({})
    other.load_state_dict(history.state_dict())
    assert other.epochs == [{"epoch": 1}]


class Oracle(nn.Module):
    """Answers with the probabilities that it was given."""

    def __init__(self, probs: torch.Tensor) -> None:
        super().__init__()
        self.probs = probs

    def probabilities(self, _images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return self.probs


def test_a_milestone_is_the_test_result_after_its_epoch_and_no_other():
    probs = torch.full((4, 10), 0.05)
    probs[[0, 1, 2, 3], [3, 1, 4, 1]] = 0.55
    labels = torch.tensor([3, 1, 4, 2])  # the last is wrong
    test = SimpleNamespace(images=torch.zeros(4, 28, 28), labels=labels)
    model, milestones = Oracle(probs), Milestones([3, 5])
    for epoch in range(4):
        milestones.on_train_epoch_end(trainer(current_epoch=epoch, datamodule=SimpleNamespace(test=test)), model)
    (result,) = milestones.results
    assert result["epoch"] == 3
    assert result["test/acc"] == 0.75
    expected = -(3 * torch.tensor(0.55).log() + torch.tensor(0.05).log()) / 4
    assert result["test/loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert model.training
    resumed = Milestones([3, 5])
    resumed.load_state_dict(milestones.state_dict())
    assert resumed.results == milestones.results


def test_milestones_that_are_not_reached_are_named(caplog: pytest.LogCaptureFixture):
    milestones = Milestones([1, 2, 5])
    milestones.on_train_start(trainer(max_epochs=3), None)
    milestones.results = [{"epoch": 1}]
    milestones.on_train_end(trainer(max_epochs=3), None)
    endless = Milestones([5])
    endless.on_train_start(trainer(max_epochs=-1), None)
    endless.on_train_end(trainer(max_epochs=-1), None)
    assert caplog.messages == [
        "milestones [5] will not be measured: the last epoch is 3",
        "milestones [2] were not measured: training ended earlier",
        "milestones [5] were not measured: training ended earlier",
    ]


def test_a_milestone_that_is_certain_and_wrong_has_a_finite_loss():
    test = SimpleNamespace(images=torch.zeros(1, 28, 28), labels=torch.tensor([1]))
    milestones = Milestones([3])
    milestones.on_train_epoch_end(trainer(datamodule=SimpleNamespace(test=test)), Oracle(torch.eye(10)[:1]))
    assert milestones.results[0]["test/loss"] == pytest.approx(69.0776, rel=1e-4)  # -log(1e-30)
