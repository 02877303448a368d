"""Blocks of updates end with the weights of single ones. python -m pytest tests/models/test_updates.py -v"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from mnist_exp.data.datamodule import DigitsDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.models import updates
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.schedules import cosine, one_cycle
from mnist_exp.models.updates import GraphUpdate, HookedUpdate, Update, can_be_recorded, set_capturable, step_counter
from mnist_exp.training.lightning_messages import hide_messages

Optimizers = Callable[..., torch.optim.Optimizer]
ADAM: Optimizers = partial(torch.optim.Adam, lr=0.01, fused=True)
SGD: Optimizers = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
FUSED_SGD: Optimizers = partial(torch.optim.SGD, fused=True)


class Pixels(DigitsDataModule):
    """230 images of noise: with batches of 10, an epoch of 23."""

    def load(self) -> tuple[Digits, Digits]:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (230, 28, 28), dtype=torch.uint8, generator=generator)
        digits = Digits(images, torch.arange(230) % 10)
        return digits, digits


class Watched(DigitClassifier):
    """Knows which batches it has learned from, and how many steps the trainer had counted before each."""

    def learn(self, images: Tensor, labels: Tensor, *, last: bool) -> tuple[Tensor, Tensor]:
        self.learned.append((self.trainer.global_step, len(labels), last))
        return super().learn(images, labels, last=last)


def made(*, optimizer: Optimizers = ADAM, dropout: float = 0, net: nn.Module | None = None, **settings: Any) -> Watched:
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(784, 12), nn.BatchNorm1d(12), nn.Dropout(dropout), nn.Linear(12, 10)
    model = Watched(name="small", net=net or nn.Sequential(*layers), optimizer=optimizer, **settings)
    model.learned = []  # type: ignore[assignment]
    return model


def trained(
    model: DigitClassifier,
    *,
    batch_size: int = 10,
    callbacks: Iterable[Callback] = (),
    ckpt_path: Path | None = None,
    **settings: Any,
) -> DigitClassifier:
    hide_messages()
    torch.manual_seed(1)
    settings = {"max_epochs": 2, "accelerator": "cpu"} | settings
    trainer = Trainer(
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=list(callbacks), **settings,
    )  # fmt: skip
    trainer.fit(model, Pixels(name="pixels", batch_size=batch_size, val_size=0), ckpt_path=ckpt_path)
    model.last_trainer = trainer  # type: ignore[assignment]  # the model refers to its own weakly
    return model


def assert_same(one: nn.Module, other: nn.Module) -> None:
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


# ---- blocks ----


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scheduler": cosine},
        {"optimizer": SGD, "scheduler": one_cycle},
        {"gradient_clip_val": 0.1},
        {"dropout": 0.5},
        {"accumulate_grad_batches": 3},
    ],
    ids=["plain", "schedule", "momentum", "clipped", "dropout", "accumulated"],
)
def test_blocks_of_sixteen_batches_end_with_the_weights_of_single_ones(settings: dict[str, Any]):
    single, block = (trained(made(block_images=images, **settings)) for images in (0, 160))
    assert_same(single, block)
    assert single.learned == block.learned
    assert len(single.learned) == 46


def test_a_block_is_a_function_of_the_batch_size_alone():
    trained(model := made())
    assert [model.batches_in_block(size) for size in (1, 64, 100, 4096, 5000)] == [4096, 64, 40, 1, 1]


def test_a_block_is_augmented_as_a_whole():
    sizes = []

    def augment(images: Tensor, labels: Tensor) -> Tensor:
        sizes.append((len(images), len(labels)))
        return images

    trained(made(block_images=160, augment=augment), max_epochs=1)
    assert sizes == [(160, 160), (70, 70)]


def test_bfloat16_uses_the_weights_of_the_last_step_and_no_older_copies():
    single, block = (trained(made(block_images=images), precision="bf16-mixed") for images in (0, 160))
    assert_same(single, block)


# ---- the numbers that a user gives ----


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, 46),
        ({"max_steps": 30}, 30),
        ({"max_steps": 1}, 1),
        ({"max_epochs": -1, "max_steps": 50}, 50),
        ({"limit_train_batches": 20}, 40),
        ({"limit_train_batches": 0.5}, 22),
        ({"limit_train_batches": 1}, 2),
        ({"limit_train_batches": 1.0}, 46),
        ({"fast_dev_run": True}, 1),
        ({"fast_dev_run": 3}, 3),
    ],
    ids=str,
)
def test_steps_and_batches_are_counted_one_by_one(settings: dict[str, Any], steps: int):
    totals = []

    def schedule(optimizer: torch.optim.Optimizer, *, total_steps: int) -> Any:
        totals.append(total_steps)
        return cosine(optimizer, total_steps=total_steps)

    model = trained(made(block_images=160, scheduler=schedule), **settings)
    assert [step for step, *_ in model.learned] == list(range(steps))
    assert model.last_trainer.global_step == steps
    assert totals == [steps]
    assert model.last_trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_a_schedule_must_know_the_end():
    with pytest.raises(ValueError, match=r"set trainer\.max_epochs or trainer\.max_steps"):
        trained(made(scheduler=cosine), max_epochs=-1, max_time="00:00:01:00")


def test_accumulated_batches_are_one_larger_batch():
    """Batch normalisation and a last batch of another size would tell them apart: here is neither."""
    settings = {"optimizer": partial(torch.optim.SGD, lr=0.1), "block_images": 40}
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    models = []
    for size, accumulate in ((20, 1), (5, 4)):
        model = made(net=deepcopy(net), accumulate_grad_batches=accumulate, **settings)
        models.append(trained(model, batch_size=size, max_epochs=1, limit_train_batches=accumulate * 10))
        assert model.last_trainer.global_step == 10
    assert torch.allclose(*(model.net[1].weight for model in models), atol=1e-5)


def test_gradients_are_clipped_at_every_step():
    norms = []

    class Step(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            gradients = [weights.grad for group in self.param_groups for weights in group["params"]]
            norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm().item())
            return super().step(closure)

    trained(made(optimizer=partial(Step, lr=0.1), gradient_clip_val=0.01, block_images=160))
    assert len(norms) == 46
    assert max(norms) <= 0.0101


def test_validation_within_an_epoch_makes_blocks_of_one():
    trained(model := made(), val_check_interval=0.5)
    assert model.batches_in_block(64) == 1


def test_other_modules_get_batches_of_the_size_that_was_asked_for():
    sizes = []

    class Other(LightningModule):
        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            sizes.append(len(batch[1]))
            return self.weights.sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            self.weights = nn.Parameter(torch.zeros(1))
            return torch.optim.SGD([self.weights])

    trained(Other(), max_epochs=1)  # type: ignore[arg-type]
    assert sizes == [10] * 23


def stopped(path: Path, **settings: Any) -> Path:
    trained(model := made(), **settings)
    model.last_trainer.save_checkpoint(path)
    return path


def test_training_does_not_go_on_within_an_epoch(tmp_path: Path):
    within = stopped(tmp_path / "within.ckpt", max_steps=30)
    with pytest.raises(ValueError, match="after 7 of the 23 steps of an epoch"):
        trained(made(), ckpt_path=within, max_epochs=3)


def test_training_goes_on_after_an_epoch(tmp_path: Path):
    end = stopped(tmp_path / "end.ckpt", max_epochs=1)
    assert_same(trained(made(), ckpt_path=end), trained(made()))


# ---- where Lightning takes part ----


def test_a_callback_sees_every_update():
    class Callbacks(Callback):
        seen = 0

        def on_before_optimizer_step(self, *_: Any) -> None:
            self.seen += 1

    plain, watched = trained(made(gradient_clip_val=0.1)), trained(made(gradient_clip_val=0.1), callbacks=[Callbacks()])
    assert watched.last_trainer.callbacks[0].seen == 46
    assert watched.last_trainer.global_step == 46
    assert_same(plain, watched)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_updates_through_lightning_end_with_the_same_weights(accumulate: int, monkeypatch: pytest.MonkeyPatch):
    settings = {"accumulate_grad_batches": accumulate, "scheduler": one_cycle, "gradient_clip_val": 0.1}
    plain = trained(made(**settings))
    monkeypatch.setattr(updates, "needs_hooks", lambda _: True)
    hooked = trained(made(**settings))
    assert_same(plain, hooked)
    assert plain.last_trainer.global_step == hooked.last_trainer.global_step


def test_lightning_still_counts_steps_where_we_do():
    """If this fails, a new version of Lightning has moved the counter of `step_counter`."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy._lightning_module = made()
    step_counter(trainer).completed += 5
    assert trainer.global_step == 5


# ---- CUDA graphs, with a recorder that runs on the CPU ----


class Replayer:
    """Records by keeping the function: a replay runs it again on the memory that it refers to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.warmed_up = self.replayed = 0

    def warm_up(self, function: Callable[[], Any]) -> Any:
        self.warmed_up += 1
        return function()

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")

        def replay() -> None:
            self.replayed += 1
            function()

        return replay


@pytest.fixture
def replayer(monkeypatch: pytest.MonkeyPatch) -> Replayer:
    """Training uses it as if there were a GPU."""
    recorder = Replayer()

    def make(module: Any, loss: Any, **_: Any) -> GraphUpdate:
        update = Update(module, loss)
        set_capturable(update.optimizer, True)
        for group in update.optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = False  # on a CPU torch refuses it
        return GraphUpdate(update, recorder)

    monkeypatch.setattr("mnist_exp.models.classifier.make_update", make)
    return recorder


@pytest.mark.parametrize("optimizer", [ADAM, SGD, partial(torch.optim.AdamW, lr=0.01)], ids=["adam", "sgd", "adamw"])
def test_replayed_updates_end_with_the_weights_of_plain_ones(replayer: Replayer, optimizer: Optimizers):
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    settings = {"optimizer": optimizer, "scheduler": cosine, "gradient_clip_val": 0.1}
    replayed = trained(made(net=deepcopy(net), **settings), batch_size=12)
    assert (replayer.warmed_up, replayer.replayed) == (3, 35)  # of two epochs of 20 steps, whose last batch is smaller
    assert replayed.last_trainer.global_step == 40
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnist_exp.models.classifier.make_update", updates.make_update)
        plain = trained(made(net=net, **settings), batch_size=12)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(replayed.parameters(), plain.parameters(), strict=True))


def test_a_recording_is_not_replayed_when_more_than_the_rate_has_changed(replayer: Replayer):
    trained(made(scheduler=one_cycle))
    assert replayer.replayed == 1  # for the batch that it was made with


def test_results_of_a_replay_are_not_overwritten_by_the_next(replayer: Replayer):
    model = made()
    losses = []
    learn = model.learn
    model.learn = lambda *args, **kwargs: losses.append(learn(*args, **kwargs)) or losses[-1]  # type: ignore
    trained(model)
    assert replayer.replayed
    assert len({loss.item() for loss, _ in losses}) == 46
    assert len({logits.data_ptr() for _, logits in losses}) == 46


def test_where_nothing_can_be_recorded_updates_go_on(replayer: Replayer, caplog: pytest.LogCaptureFixture):
    replayer.fails = True
    model = trained(made())
    assert model.last_trainer.global_step == 46
    assert [record.message for record in caplog.records if "CUDA graph" in record.message] == [
        "no CUDA graph can be made of an update, which will be slower: operation not permitted when stream is capturing"
    ]


@pytest.mark.parametrize(
    ("optimizer", "possible"),
    [
        (FUSED_SGD, True),
        (torch.optim.SGD, False),
        (torch.optim.Adam, True),
        (torch.optim.NAdam, True),
        (torch.optim.SparseAdam, False),
    ],
)
def test_optimizers_that_count_on_the_gpu_can_be_recorded(optimizer: Optimizers, possible: bool):
    assert can_be_recorded(optimizer([nn.Parameter(torch.zeros(1))])) is possible


def test_an_optimizer_is_made_ready_for_a_graph_and_back():
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=0.5)
    set_capturable(optimizer, True)
    (group,) = optimizer.param_groups
    assert (group["lr"].item(), group["capturable"]) == (0.5, True)
    set_capturable(optimizer, False)
    assert (group["lr"], group["capturable"]) == (0.5, False)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (GraphUpdate, {}),
        (Update, {"recordable": False}),
        (Update, {"device": "cpu"}),
        (Update, {"optimizer": torch.optim.SparseAdam}),
        (Update, {"accumulate": 2}),
        (HookedUpdate, {"hooks": True}),
    ],
    ids=["graph", "network", "device", "optimizer", "accumulated", "hooks"],
)
def test_a_graph_is_used_on_a_gpu_where_all_allow_it(
    kind: type, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    how = {"device": "cuda", "optimizer": FUSED_SGD, "accumulate": 1, "hooks": False, "recordable": True} | change
    monkeypatch.setattr(updates, "needs_hooks", lambda _: how["hooks"])
    monkeypatch.setattr(updates, "step_counter", lambda _: count())
    optimizer = how["optimizer"]([nn.Parameter(torch.zeros(1))])
    module = SimpleNamespace(
        device=torch.device(how["device"]),
        trainer=None,
        accumulate_grad_batches=how["accumulate"],
        optimizers=lambda **_: optimizer,
        lr_schedulers=lambda: None,
    )
    assert type(updates.make_update(module, None, recordable=how["recordable"])) is kind  # type: ignore[arg-type]
