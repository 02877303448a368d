"""The classifier: a network with its preprocessing, loss, metrics and optimizer."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from mnist_exp.models.updates import BLOCK_IMAGES, make_update

if TYPE_CHECKING:
    from numpy.typing import NDArray

MNIST_MEAN, MNIST_STD = 0.1307, 0.3081  # of the 60,000 training images, scaled to 0..1
CHECK_EVERY = 100  # batches between two checks that the losses are finite: each check waits for the GPU
OUR_NETWORKS = "mnist_exp.models."


class NonFiniteLossError(RuntimeError):
    """The loss became nan or infinite: the weights are lost, and training must not go on."""


class EpochMetrics(nn.Module):
    """Mean loss and accuracy over the images of an epoch, and over all processes.

    Each batch is only stored. torchmetrics sees them together at the end of the epoch: one update a batch would take
    about as long as a training step of a small network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = MeanMetric()
        self.acc = MulticlassAccuracy(num_classes=10, average="micro", validate_args=False)
        self.reset()

    def reset(self) -> None:
        self.loss.reset()
        self.acc.reset()
        self.batches: list[tuple[Tensor, Tensor, Tensor]] = []

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.batches.append((loss.detach(), logits.detach().argmax(dim=1), labels))

    def first_non_finite(self) -> int | None:
        """The index of the first batch of this epoch whose loss is not finite. None if all are finite."""
        bad = ~torch.stack([loss for loss, _, _ in self.batches]).isfinite()
        return int(bad.nonzero()[0]) if bad.any() else None

    def compute(self) -> dict[str, Tensor]:
        """`loss` and `acc`, of the batches since `reset`."""
        losses, preds, labels = zip(*self.batches, strict=True)
        sizes = torch.tensor([len(batch) for batch in labels], device=losses[0].device)
        self.loss.update(torch.stack(losses).float(), weight=sizes)
        self.acc.update(torch.cat(preds), torch.cat(labels))
        return {"loss": self.loss.compute(), "acc": self.acc.compute()}


def as_batch(images: Tensor) -> Tensor:
    """uint8 images (B, 28, 28), from such images, from (B, 1, 28, 28), or from one image (28, 28).

    Raises ValueError for another type or shape.
    """
    if images.dtype != torch.uint8:
        raise ValueError(
            f"images have the type {images.dtype}, not torch.uint8: give pixels from 0 (background) to 255 (ink). "
            "For pixels from 0 to 1: (255 * images).round().to(torch.uint8)"
        )
    shape = tuple(images.shape)
    if shape[-2:] != (28, 28) or not (len(shape) in (2, 3) or (len(shape) == 4 and shape[1] == 1)):
        raise ValueError(f"images have the shape {shape}, not (B, 28, 28), (B, 1, 28, 28) or (28, 28)")
    return images if len(shape) == 3 else images.reshape(-1, 28, 28)


class DigitClassifier(LightningModule):
    """Takes uint8 images (B, 28, 28) and returns float logits (B, 10). It scales the pixels itself.

    Images (B, 1, 28, 28) and a single image (28, 28) are taken as well, and others are refused: see `as_batch`.

    name: the model's name in result.json.
    net: float (B, 1, 28, 28) -> logits (B, 10).
    optimizer: parameters -> optimizer. None for a model that is only evaluated.
    scheduler: (optimizer, total_steps=int) -> scheduler, stepped after every batch. None keeps the learning rate.
    standardize: True scales pixels to mean 0 and standard deviation 1 over MNIST's training set, False to 0..1.
    augment: (uint8 images (B, 28, 28), labels int64 (B,)) -> other images of the same labels, uint8 (B, 28, 28).
        Applied to training batches only. None for no augmentation.
    label_smoothing: share of the target probability, 0 to below 1, that training spreads evenly over all ten digits
        (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).
    gradient_clip_val, gradient_clip_algorithm, accumulate_grad_batches: as the arguments of Lightning's Trainer, which
        refuses them for a module that makes its own optimizer steps.
    block_images: images that a training step takes at once, in as many batches as fit, but at least one batch.

    Logs train/, val/ and test/ loss and acc once an epoch, over epochs counted from 1.

    Training raises NonFiniteLossError.
    """

    def __init__(
        self,
        *,
        name: str,
        net: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] | None = None,
        scheduler: Callable[..., LRScheduler] | None = None,
        standardize: bool = True,
        augment: Callable[[Tensor, Tensor], Tensor] | None = None,
        label_smoothing: float = 0.0,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
        accumulate_grad_batches: int = 1,
        block_images: int = BLOCK_IMAGES,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # Lightning's word for: training_step makes the optimizer steps
        self.name = name
        self.net = net.to(memory_format=torch.channels_last)  # the fastest layout for convolutions
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.augment = augment
        self.label_smoothing = label_smoothing
        self.gradient_clip_val = gradient_clip_val
        self.gradient_clip_algorithm = gradient_clip_algorithm
        self.accumulate_grad_batches = accumulate_grad_batches
        self.block_images = block_images
        mean, std = (MNIST_MEAN, MNIST_STD) if standardize else (0.0, 1.0)
        self.scale = 1 / (255 * std)  # a Python number, not a buffer: torch then multiplies and adds in one pass
        self.shift = -mean / std
        self.train_metrics, self.val_metrics, self.test_metrics = EpochMetrics(), EpochMetrics(), EpochMetrics()

    def forward(self, images: Tensor) -> Tensor:
        x = as_batch(images).unsqueeze(1).to(self.dtype)  # (B, 1, 28, 28)
        return self.net(x * self.scale + self.shift)

    @torch.inference_mode()
    def probabilities(self, images: "Tensor | NDArray[np.uint8]", *, batch_size: int = 1000) -> Tensor:
        """The probabilities of the ten digits, float32 (N, 10) on the CPU, for uint8 images (N, 28, 28) on any device.

        images: also a NumPy array, and the other shapes that `as_batch` takes.
        batch_size: images in one forward pass; it limits the memory that this takes.

        Raises ValueError for images of another type or shape.
        """
        images = as_batch(images if isinstance(images, Tensor) else torch.tensor(np.asarray(images)))
        batches = images.split(batch_size) if len(images) else [images]
        return torch.cat([self(batch.to(self.device)).float().softmax(dim=1).cpu() for batch in batches])

    def predict(self, images: "Tensor | NDArray[np.uint8]") -> Tensor:
        """The most probable label of each image, int64 (N,) on the CPU. Images as in `probabilities`."""
        return self.probabilities(images).argmax(dim=1)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # a checkpoint has the network's settings: none are to be given
        cls, checkpoint_path: str | Path, map_location: Any = None, *, network: str | None = None
    ) -> Self:
        """The classifier of a run's checkpoint, in evaluation mode and without an optimizer.

        map_location: the device to put it on; None for the CPU. network: see `checkpoint.load_classifier`.

        Raises CheckpointError for a file that cannot be used, or that holds a classifier of another class.
        """
        from mnist_exp.models.checkpoint import CheckpointError, load_classifier

        model, _ = load_classifier(checkpoint_path, network)
        if not isinstance(model, cls):
            raise CheckpointError(f"{checkpoint_path} holds a {type(model).__name__}, not a {cls.__name__}")
        return model.to(map_location or "cpu")

    def loss_and_logits(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of a batch, and its logits, float (B, 10)."""
        logits = self(images)
        smoothing = self.label_smoothing if self.training else 0.0
        # The mean of an empty batch, which a process can get at the end of an epoch, would be nan. Its sum is 0.
        reduction = "mean" if len(labels) else "sum"
        return F.cross_entropy(logits, labels, reduction=reduction, label_smoothing=smoothing), logits

    def shared_step(self, batch: tuple[Tensor, Tensor], metrics: EpochMetrics) -> Tensor:
        """The logits of a batch of validation or test (images, labels)."""
        images, labels = batch
        loss, logits = self.loss_and_logits(images, labels)
        metrics.update(loss, logits, labels)
        return logits

    def batches_in_block(self, batch_size: int) -> int:
        """How many batches a training step takes at once. The data module asks for it.

        It follows from the recipe, never from the machine. It is 1 where Lightning does something between two batches:
        it validates within an epoch, or synchronises processes.
        """
        alone = self.trainer.world_size > 1 or self.trainer.val_check_interval != 1.0
        return 1 if alone else max(self.block_images // batch_size, 1)

    def on_train_start(self) -> None:
        """Raises ValueError where training would go on after a part of an epoch: the rest of it would be left out."""
        within = self.trainer.global_step % self.steps_in_epoch() if self.trainer.global_step else 0
        if within:
            raise ValueError(
                f"training cannot go on from this checkpoint, which was written after {within} of the "
                f"{self.steps_in_epoch()} steps of an epoch: take one from the end of an epoch, or train from the start"
            )
        recordable = type(self.net).__module__.startswith(OUR_NETWORKS)  # another's may decide something in Python
        self.update_weights = make_update(self, self.loss_and_logits, recordable=recordable)

    def on_train_end(self) -> None:
        del self.update_weights  # a CUDA graph holds memory

    def training_step(self, block: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:  # noqa: ARG002
        """Learns from the batches of a block (images, labels), one after the other. Returns how many `images`."""
        images, labels = block
        if self.augment is not None:
            images = self.augment(images, labels)
        batch_size = getattr(self.datamodule, "batch_size", None) or max(len(labels), 1)
        batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
        trainer, metrics, is_last_block = self.trainer, self.train_metrics, self.trainer.is_last_batch
        checked = len(metrics.batches) // CHECK_EVERY
        seen = 0
        for index, (x, y) in enumerate(batches, 1):
            loss, logits = self.learn(x, y, last=is_last_block and index == len(batches))
            metrics.update(loss, logits, y)
            seen += len(y)
            if trainer.global_step == trainer.max_steps:
                trainer.should_stop = True  # Lightning then validates, wherever in the epoch this is
                break
        if len(metrics.batches) // CHECK_EVERY > checked:
            self.check_finite("train", metrics)
        return {"images": seen}

    @property
    def datamodule(self) -> LightningDataModule | None:
        return getattr(self.trainer, "datamodule", None)  # Lightning sets it when `fit` is given one

    def learn(self, images: Tensor, labels: Tensor, *, last: bool) -> tuple[Tensor, Tensor]:
        """Learns from a batch. Returns its loss and logits. `last`: no batch follows in this epoch."""
        return self.update_weights(images, labels, last=last)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        if self.gradient_clip_val:
            self.clip_gradients(optimizer, self.gradient_clip_val, self.gradient_clip_algorithm)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return self.shared_step(batch, self.val_metrics)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return self.shared_step(batch, self.test_metrics)

    def on_train_epoch_end(self) -> None:
        self.log_epoch("train", self.train_metrics)

    def on_validation_epoch_end(self) -> None:
        self.log_epoch("val", self.val_metrics)

    def on_test_epoch_end(self) -> None:
        self.log_epoch("test", self.test_metrics)

    def log_epoch(self, stage: str, metrics: EpochMetrics) -> None:
        """Logs the loss and accuracy of the epoch that ends, and starts the next one with empty metrics."""
        self.check_finite(stage, metrics)
        values = {f"{stage}/{key}": value for key, value in metrics.compute().items()}
        metrics.reset()
        # Loggers draw metrics over "step". With epochs there, runs of different batch sizes can be compared.
        # The test runs after the last epoch, when Lightning has already counted it.
        # torchmetrics has reduced the values over all processes. sync_dist=True only silences a warning of Lightning.
        self.log_dict({**values, "step": float(self.current_epoch + (stage != "test"))}, sync_dist=True)

    def check_finite(self, stage: str, metrics: EpochMetrics) -> None:
        """Raises NonFiniteLossError if a loss of this epoch is nan or infinite."""
        batch = metrics.first_non_finite()
        if batch is not None:
            where = f"at batch {batch + 1} of epoch {self.current_epoch + (stage != 'test')}"
            if stage == "train":
                where += f", learning rate {float(self.trainer.optimizers[0].param_groups[0]['lr']):g}"
            raise NonFiniteLossError(f"the {stage} loss is not finite {where}: try a smaller learning rate")

    def configure_optimizers(self) -> Any:
        if self.optimizer is None:
            raise ValueError(
                "a classifier without an optimizer, such as one from a checkpoint, can only be evaluated: to train it, "
                "set model.optimizer to a function of the parameters, such as torch.optim.Adam"
            )
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        return [optimizer], [self.scheduler(optimizer, total_steps=self.steps_in_training())]

    def steps_in_training(self) -> int:
        """The optimizer steps of the whole training. Lightning's own estimate would count blocks.

        Raises ValueError where neither epochs nor steps limit it.
        """
        trainer: Any = self.trainer
        if not hasattr(self.datamodule, "batches_in_epoch"):
            return int(trainer.estimated_stepping_batches)
        if trainer.max_epochs == trainer.max_steps == -1:
            raise ValueError("a schedule must know when training ends: set trainer.max_epochs or trainer.max_steps")
        if trainer.max_epochs == -1:
            return trainer.max_steps
        steps = self.steps_in_epoch() * trainer.max_epochs
        return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)

    def steps_in_epoch(self) -> int:
        batches = getattr(self.datamodule, "batches_in_epoch", None) or self.trainer.num_training_batches
        return math.ceil(batches / self.accumulate_grad_batches)
