"""The classifier: any network made a recogniser of digits, with its preprocessing, loss, metrics and optimizer."""

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
CHECK_EVERY = 100  # batches between two looks for a loss that is not finite; each look waits for the accelerator


class NonFiniteLossError(RuntimeError):
    """The loss became nan or infinite: what was learnt is lost, and going on would hide it."""


class EpochMetrics(nn.Module):
    """Mean loss and accuracy over an epoch, each image counted once, over all processes.

    Batches are kept as they come and reduced together: a torchmetrics update a batch would cost about as much as a
    small network's step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = MeanMetric()
        self.acc = MulticlassAccuracy(num_classes=10, average="micro", validate_args=False)
        self.reset()

    def reset(self) -> None:
        self.loss.reset()
        self.acc.reset()
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self._batches.append((loss.detach(), logits.detach().argmax(dim=1), labels))

    def first_non_finite(self) -> int | None:
        """The first batch of this epoch, counted from 0, whose loss is not finite."""
        bad = ~torch.stack([loss for loss, _, _ in self._batches]).isfinite()
        return int(bad.nonzero()[0]) if bad.any() else None

    def compute(self) -> dict[str, Tensor]:
        losses, preds, labels = zip(*self._batches, strict=True)
        sizes = torch.tensor([len(batch) for batch in labels], device=losses[0].device)
        self.loss.update(torch.stack(losses).float(), weight=sizes)
        self.acc.update(torch.cat(preds), torch.cat(labels))
        return {"loss": self.loss.compute(), "acc": self.acc.compute()}


class DigitClassifier(LightningModule):
    """uint8 images (B, 28, 28) in, logits float (B, 10) out; scaling and normalising happen inside.

    name: what result.json calls this model.
    net: float (B, 1, 28, 28) -> logits (B, 10).
    optimizer: parameters -> optimizer. None for a model that is only evaluated.
    scheduler: (optimizer, total_steps=int) -> scheduler, stepped after every batch. None keeps the learning rate.
    standardize: pixels to mean 0, standard deviation 1 over MNIST's training set; otherwise to 0..1.
    augment: images uint8 (B, 28, 28) -> the same, for batches of training only. None leaves them as they are.
    label_smoothing: share of the probability, 0 to below 1, that training wants spread evenly over all ten digits
        (Szegedy et al. 2016).

    Logs train/, val/ and test/ loss and acc once an epoch, with the epoch (counted from 1) as TensorBoard's x axis.
    Raises NonFiniteLossError.
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
        self.net = net.to(memory_format=torch.channels_last)  # the fast layout for convolutions, on CPU and GPU
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.augment = augment
        self.label_smoothing = label_smoothing
        mean, std = (MNIST_MEAN, MNIST_STD) if standardize else (0.0, 1.0)
        self.scale = 1 / (255 * std)  # plain numbers, not buffers: one fused multiply-add a batch
        self.shift = -mean / std
        self.train_metrics, self.val_metrics, self.test_metrics = EpochMetrics(), EpochMetrics(), EpochMetrics()

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes here, some forty times a batch, which hook it is in; nn.Module would look each time whether
        # that is a weight, and take a tenth of a small network's step for it.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def forward(self, images: Tensor) -> Tensor:
        x = images.unsqueeze(1).to(self.dtype)  # (B, 1, 28, 28)
        return self.net(x * self.scale + self.shift)

    @torch.inference_mode()
    def probabilities(self, images: Tensor, *, batch_size: int = 1000) -> Tensor:
        """Float32 (N, 10) on the CPU, rows adding up to 1, for uint8 images (N, 28, 28) wherever they lie."""
        batches = images.split(batch_size) if len(images) else [images]
        return torch.cat([self(batch.to(self.device)).float().softmax(dim=1).cpu() for batch in batches])

    def shared_step(self, batch: tuple[Tensor, Tensor], metrics: EpochMetrics) -> tuple[Tensor, Tensor]:
        images, labels = batch
        logits = self(images)
        smoothing = self.label_smoothing if self.training else 0.0
        # Not reduction="mean": a process whose share of the last batch is empty adds 0, not nan.
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

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return self(batch[0]).softmax(dim=1)

    def on_train_epoch_end(self) -> None:
        self.log_epoch("train", self.train_metrics)

    def on_validation_epoch_end(self) -> None:
        self.log_epoch("val", self.val_metrics)

    def on_test_epoch_end(self) -> None:
        self.log_epoch("test", self.test_metrics)

    def log_epoch(self, stage: str, metrics: EpochMetrics) -> None:
        values = {f"{stage}/{key}": value for key, value in metrics.compute().items()}
        metrics.reset()
        # "step" is what the loggers take for the x axis: epochs, which sweeps over batch size share, not batches.
        # The values are those of all processes already; sync_dist only keeps Lightning from warning that they are not.
        self.log_dict({**values, "step": float(self.current_epoch + (stage != "test"))}, sync_dist=True)

    def check_finite(self) -> None:
        batch = self.train_metrics.first_non_finite()
        if batch is not None:
            lr = self.trainer.optimizers[0].param_groups[0]["lr"]
            raise NonFiniteLossError(
                f"the loss is not finite at batch {batch + 1} of epoch {self.current_epoch + 1}, learning rate {lr:g}: "
                "try a smaller learning rate"
            )

    def configure_optimizers(self) -> Any:
        assert self.optimizer is not None, "a model without an optimizer can be evaluated, not trained"
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
