"""Optimizer steps. One `training_step` makes a block of them, so that Lightning's work is done once a block.

Lightning's hooks around a training step take about as long as a step of a small network (docs/speed.md).
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.optim import SGD, Optimizer

BLOCK_IMAGES = 4096  # of a training step. Part of every recipe: the draws of an augmentation depend on it
HOOKS_OF_AN_UPDATE = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
WARM_UP = 3  # updates before the recording: libraries choose their algorithms in the first ones

LossFunction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # images, labels -> loss, logits

logger = logging.getLogger(__name__)


class Update:
    """Learns from a batch in plain PyTorch: forward, backward, step.

    module: a LightningModule attached to a trainer, with an optimizer, and with `accumulate_grad_batches`. Its hook
        `on_before_optimizer_step` may clip the gradients.
    loss: (images, labels) -> (loss, logits).
    """

    def __init__(self, module: Any, loss: LossFunction) -> None:
        self.module = module
        self.loss = loss
        self.optimizer: Optimizer = module.optimizers(use_pl_optimizer=False)
        self.scheduler: Any = module.lr_schedulers()
        self.accumulate: int = module.accumulate_grad_batches
        self.waiting = 0  # batches whose gradients wait for a step
        self.steps = step_counter(module.trainer)

    def __call__(self, images: Tensor, labels: Tensor, *, last: bool = False) -> tuple[Tensor, Tensor]:
        """The loss and the logits of the batch before the step, without their graph.

        last: no batch follows in this epoch, so the step is made even if fewer batches than `accumulate` wait for it.
        """
        loss, logits = self.loss(images, labels)
        self.backward(loss / self.accumulate if self.accumulate > 1 else loss)
        self.waiting += 1
        if last or self.waiting == self.accumulate:
            self.waiting = 0
            self.step()
            self.end_step()
        return loss.detach(), logits.detach()

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        self.module.on_before_optimizer_step(self.optimizer)
        self.optimizer.step()
        self.optimizer.zero_grad()
        torch.clear_autocast_cache()  # it holds bfloat16 copies of the weights as they were before the step

    def end_step(self) -> None:
        """What a CUDA graph cannot do: count the step, and set the next learning rate."""
        self.steps.completed += 1
        if self.scheduler is not None:
            self.scheduler.step()


class HookedUpdate(Update):
    """The same through Lightning, which then synchronises processes, scales float16 losses and calls all hooks."""

    def backward(self, loss: Tensor) -> None:
        self.module.manual_backward(loss)

    def step(self) -> None:
        optimizer = self.module.optimizers()
        optimizer.step()  # calls on_before_optimizer_step
        optimizer.zero_grad()
        torch.clear_autocast_cache()

    def end_step(self) -> None:
        if self.scheduler is not None:  # Lightning has counted the step
            self.scheduler.step()


class Recorder(Protocol):
    """What `GraphUpdate` needs of a GPU."""

    def warm_up(self, function: Callable[[], Any]) -> Any:
        """Run the function where it can be recorded later, and return its result."""

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Record what the function does, without doing it. Returns what does it."""


class CudaRecorder:
    """https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs"""

    def warm_up(self, function: Callable[[], Any]) -> Any:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            result = function()
        torch.cuda.synchronize()
        return result

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            function()
        return graph.replay


class GraphUpdate:
    """An update that is recorded once and then replayed: the GPU gets all its kernels in one call.

    Not replayed are batches of another size than the first, and any batch when the optimizer's settings are not those
    of the recording: a one-cycle schedule changes Adam's betas at every step. The learning rate may change, because it
    is a tensor that a schedule fills in place. Where the recording fails, updates go on without it.
    """

    def __init__(self, update: Update, recorder: Recorder) -> None:
        self.update = update
        self.recorder = recorder
        self.calls = 0
        self.replay: Callable[[], None] | None = None

    def __call__(self, images: Tensor, labels: Tensor, *, last: bool = False) -> tuple[Tensor, Tensor]:
        self.calls += 1
        if self.calls <= WARM_UP:
            return self.recorder.warm_up(lambda: self.update(images, labels, last=last))
        if self.calls == WARM_UP + 1:
            self.try_to_record(images, labels)
        if self.replay is None or images.shape != self.images.shape or self.constants() != self.recorded_constants:
            return self.update(images, labels, last=last)
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.replay()
        self.update.end_step()
        loss, logits = self.result
        return loss.clone(), logits.clone()  # the next replay writes to the same memory

    def try_to_record(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images.clone(), labels.clone()
        self.recorded_constants = self.constants()

        def update() -> None:
            loss, logits = self.update.loss(self.images, self.labels)
            self.update.backward(loss)
            self.update.step()
            self.result = loss.detach(), logits.detach()

        try:
            self.replay = self.recorder.record(update)
        except RuntimeError as error:
            self.update.optimizer.zero_grad()  # what was recorded of them was never computed
            logger.warning("no CUDA graph can be made of an update, which will be slower: %s", error)

    def constants(self) -> list[dict[str, Any]]:
        """The optimizer's settings that a recording does not read again."""
        groups = self.update.optimizer.param_groups
        return [{key: value for key, value in group.items() if key not in ("params", "lr")} for group in groups]


def make_update(module: Any, loss: LossFunction, *, recordable: bool) -> Update | GraphUpdate:
    """The fastest way to update the module's weights that the trainer and the optimizer allow.

    recordable: whether the loss does the same operations for every batch, so that a CUDA graph can replay them.
    """
    if needs_hooks(module.trainer):
        return HookedUpdate(module, loss)
    update = Update(module, loss)
    recordable &= module.device.type == "cuda" and can_be_recorded(update.optimizer) and update.accumulate == 1
    set_capturable(update.optimizer, recordable)
    return GraphUpdate(update, CudaRecorder()) if recordable else update


def needs_hooks(trainer: Any) -> bool:
    """Whether Lightning must take part in every update."""
    return (
        not isinstance(trainer.strategy, SingleDeviceStrategy)
        or getattr(trainer.precision_plugin, "scaler", None) is not None
        or any(is_overridden(hook, each, Callback) for each in trainer.callbacks for hook in HOOKS_OF_AN_UPDATE)
    )


def can_be_recorded(optimizer: Optimizer) -> bool:
    """Whether all that the optimizer counts is on the GPU. Another one would replay the counts of the recording."""
    fused_sgd = type(optimizer) is SGD and all(group["fused"] for group in optimizer.param_groups)
    return fused_sgd or all("capturable" in group for group in optimizer.param_groups)


def set_capturable(optimizer: Optimizer, capturable: bool) -> None:
    """Prepare the optimizer for a CUDA graph, or take that back: training can go on elsewhere from a checkpoint."""
    for group in optimizer.param_groups:
        lr = float(group["lr"])
        group["lr"] = torch.tensor(lr, device=group["params"][0].device) if capturable else lr
        if "capturable" in group:
            group["capturable"] = capturable


def step_counter(trainer: Trainer) -> Any:
    """The number of optimizer steps is its attribute `completed`. It is what `trainer.global_step` shows.

    Lightning has no public way to count steps that it does not make itself.
    """
    return trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.total
