"""The classifier: a network with its preprocessing, loss, metrics and optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

MNIST_MEAN, MNIST_STD = 0.1307, 0.3081  # of the 60,000 training images, scaled to 0..1
LIGHTNING_HOOK_NAME = "_current_fx_name"  # the attribute in which Lightning notes its current hook
CHECK_EVERY = 100  # batches between two checks that the losses are finite: each check waits for the GPU


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


class DigitClassifier(LightningModule):
    """Takes uint8 images (B, 28, 28) and returns float logits (B, 10). It scales the pixels itself.

    name: the model's name in result.json.
    net: float (B, 1, 28, 28) -> logits (B, 10).
    optimizer: parameters -> optimizer. None for a model that is only evaluated.
    scheduler: (optimizer, total_steps=int) -> scheduler, stepped after every batch. None keeps the learning rate.
    standardize: True scales pixels to mean 0 and standard deviation 1 over MNIST's training set, False to 0..1.
    augment: uint8 images (B, 28, 28) -> the same, applied to training batches only. None for no augmentation.
    label_smoothing: share of the target probability, 0 to below 1, that training spreads evenly over all ten digits
        (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).

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
        augment: Callable[[Tensor], Tensor] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.name = name
        self.net = net.to(memory_format=torch.channels_last)  # the fastest layout for convolutions
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.augment = augment
        self.label_smoothing = label_smoothing
        mean, std = (MNIST_MEAN, MNIST_STD) if standardize else (0.0, 1.0)
        self.scale = 1 / (255 * std)  # a Python number, not a buffer: torch then multiplies and adds in one pass
        self.shift = -mean / std
        self.train_metrics, self.val_metrics, self.test_metrics = EpochMetrics(), EpochMetrics(), EpochMetrics()

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning sets this attribute 44 times a batch. nn.Module checks each time whether the value is a weight. With
        # a small network this took 5% of an epoch (docs/log.md), so this attribute is set without the check.
        if name == LIGHTNING_HOOK_NAME:
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def forward(self, images: Tensor) -> Tensor:
        x = images.unsqueeze(1).to(self.dtype)  # (B, 1, 28, 28)
        return self.net(x * self.scale + self.shift)

    @torch.inference_mode()
    def probabilities(self, images: Tensor, *, batch_size: int = 1000) -> Tensor:
        """The probabilities of the ten digits, float32 (N, 10) on the CPU, for uint8 images (N, 28, 28) on any device.

        batch_size: images in one forward pass; it limits the memory that this takes.
        """
        batches = images.split(batch_size) if len(images) else [images]
        return torch.cat([self(batch.to(self.device)).float().softmax(dim=1).cpu() for batch in batches])

    def shared_step(self, batch: tuple[Tensor, Tensor], metrics: EpochMetrics) -> tuple[Tensor, Tensor]:
        """The loss and the logits of a batch (images, labels), stored in `metrics`."""
        images, labels = batch
        logits = self(images)
        smoothing = self.label_smoothing if self.training else 0.0
        # Not reduction="mean", which gives nan for the empty batch that a process can get at the end of an epoch.
        loss = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing) / max(len(labels), 1)
        metrics.update(loss, logits, labels)
        return loss, logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        if self.augment is not None:
            images = self.augment(images)
        loss, _ = self.shared_step((images, labels), self.train_metrics)
        if batch_idx % CHECK_EVERY == CHECK_EVERY - 1 or self.trainer.is_last_batch:
            self.check_finite()
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return self.shared_step(batch, self.val_metrics)[1]

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return self.shared_step(batch, self.test_metrics)[1]

    def on_train_epoch_end(self) -> None:
        self.log_epoch("train", self.train_metrics)

    def on_validation_epoch_end(self) -> None:
        self.log_epoch("val", self.val_metrics)

    def on_test_epoch_end(self) -> None:
        self.log_epoch("test", self.test_metrics)

    def log_epoch(self, stage: str, metrics: EpochMetrics) -> None:
        """Logs the loss and accuracy of the epoch that ends, and starts the next one with empty metrics."""
        values = {f"{stage}/{key}": value for key, value in metrics.compute().items()}
        metrics.reset()
        # Loggers draw metrics over "step". With epochs there, runs of different batch sizes can be compared.
        # The test runs after the last epoch, when Lightning has already counted it.
        # torchmetrics has reduced the values over all processes. sync_dist=True only silences a warning of Lightning.
        self.log_dict({**values, "step": float(self.current_epoch + (stage != "test"))}, sync_dist=True)

    def check_finite(self) -> None:
        """Raises NonFiniteLossError if a loss of this epoch is nan or infinite."""
        batch = self.train_metrics.first_non_finite()
        if batch is not None:
            lr = self.trainer.optimizers[0].param_groups[0]["lr"]
            raise NonFiniteLossError(
                f"the loss is not finite at batch {batch + 1} of epoch {self.current_epoch + 1}, learning rate {lr:g}: "
                "try a smaller learning rate"
            )

    def configure_optimizers(self) -> Any:
        assert self.optimizer is not None, "a model without an optimizer can only be evaluated"
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
