"""What people would use instead of this project. Each program is written as its source writes it.

Nothing here is part of the package.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms
from torchvision.datasets import MNIST

from mnist_exp.data.datamodule import EpochSampler
from mnist_exp.data.image_datamodule import load_mnist
from mnist_exp.models.classifier import MNIST_MEAN, MNIST_STD

SCALE, SHIFT = 1 / (255 * MNIST_STD), -MNIST_MEAN / MNIST_STD


def bare(
    net: nn.Module, optimizer: Optimizer, *, data_dir: Path, batch_size: int, seed: int, epochs: int = 1
) -> dict[str, Any]:
    """A PyTorch loop over tensors in memory, with as little as possible: no Trainer, no DataLoader, no log.

    It computes the loss and accuracy of training, as ours does. It takes its batches from our sampler, so that it ends
    with the same weights as our training, bit for bit. Returns `seconds` of training and test accuracy `acc`.
    """
    train, test = load_mnist(data_dir)
    order = EpochSampler(torch.arange(len(train)), batch_size=batch_size, shuffle=True, seed=seed)
    started = time.perf_counter()
    net.train()
    for epoch in range(epochs):
        order.set_epoch(epoch)
        losses, preds, labels = [], [], []
        for indices in order:
            images, y = train[indices]
            logits = net(images.unsqueeze(1).float() * SCALE + SHIFT)
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            preds.append(logits.detach().argmax(dim=1))
            labels.append(y)
        torch.stack(losses).mean().item()
        (torch.cat(preds) == torch.cat(labels)).float().mean().item()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "acc": accuracy(net, test.images.unsqueeze(1).float() * SCALE + SHIFT, test.labels)}


@torch.inference_mode()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    net.eval()
    preds = torch.cat([net(batch).argmax(dim=1) for batch in x.split(1000)])
    return int((preds == y).sum()) / len(y)


class StockClassifier(pl.LightningModule):
    """A classifier as in Lightning's documentation."""

    def __init__(self, net: nn.Module, optimizer: Callable[..., Optimizer]) -> None:
        super().__init__()
        self.net = net
        self.optimizer = optimizer
        self.train_acc = MulticlassAccuracy(num_classes=10, average="micro")
        self.test_acc = MulticlassAccuracy(num_classes=10, average="micro")

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        x, y = batch
        logits = self.net(x)
        loss = F.cross_entropy(logits, y)
        self.train_acc(logits, y)
        self.log("train_loss", loss)
        self.log("train_acc", self.train_acc, on_step=False, on_epoch=True)
        return loss

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:  # noqa: ARG002
        x, y = batch
        self.test_acc(self.net(x), y)
        self.log("test_acc", self.test_acc, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self.parameters())


def stock(
    net: nn.Module,
    optimizer: Callable[..., Optimizer],
    *,
    data_dir: Path,
    batch_size: int,
    workers: int,
    run_dir: Path,
    epochs: int = 1,
) -> dict[str, Any]:
    """The usual pipeline of Lightning and torchvision: a DataLoader with ToTensor and Normalize for each image."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MNIST_MEAN,), (MNIST_STD,))])
    train, test = (MNIST(str(data_dir), train=part, transform=transform) for part in (True, False))
    loader = DataLoader(train, batch_size=batch_size, shuffle=True, num_workers=workers)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, logger=False,
        default_root_dir=run_dir,
    )  # fmt: skip
    module = StockClassifier(net, optimizer)
    started = time.perf_counter()
    trainer.fit(module, loader)
    seconds = time.perf_counter() - started
    (figures,) = trainer.test(module, DataLoader(test, batch_size=1000), verbose=False)
    return {"seconds": seconds, "acc": figures["test_acc"]}


def public(*, data_dir: Path, seed: int, device: str = "cpu") -> Iterator[dict[str, Any]]:
    """The fastest public recipe to 99% (github.com/tuomaso/train_mnist_fast). It reports 99.04% as a mean of 30 seeds.

    One epoch in batches of 256, Adam with learning rate 0.01 and betas (0.7, 0.9), a one-cycle schedule. Yields the
    same as `plain_loop`.
    """
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 24, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.7, 0.9))
    steps = -(-60_000 // 256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    yield from plain_loop(net, optimizer, schedule, data_dir=data_dir, batch_size=256, epochs=1, device=device)


class ExampleNet(nn.Module):
    """The network of PyTorch's MNIST example."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = self.dropout1(F.max_pool2d(x, 2)).flatten(1)
        return self.fc2(self.dropout2(F.relu(self.fc1(x))))


def example(*, data_dir: Path, seed: int, device: str = "cpu", epochs: int = 14) -> Iterator[dict[str, Any]]:
    """PyTorch's MNIST example (github.com/pytorch/examples, mnist/main.py).

    14 epochs in batches of 64 with Adadelta, and a learning rate that is multiplied by 0.7 after each epoch. Its
    DataLoader is left out: the images are tensors in memory, as for the other contenders.
    """
    torch.manual_seed(seed)
    net = ExampleNet().to(device)
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    per_epoch = -(-60_000 // 64)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.7 ** (step // per_epoch))
    yield from plain_loop(net, optimizer, schedule, data_dir=data_dir, batch_size=64, epochs=epochs, device=device)


def plain_loop(
    net: nn.Module,
    optimizer: Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    *,
    data_dir: Path,
    batch_size: int,
    epochs: int,
    device: str,
) -> Iterator[dict[str, Any]]:
    """Trains. Yields after each epoch: `seconds` of training so far, and test accuracy `acc`."""
    train, test = (digits.to(torch.device(device)) for digits in load_mnist(data_dir))
    x, y = train.images.unsqueeze(1).float() * SCALE + SHIFT, train.labels
    x_test = test.images.unsqueeze(1).float() * SCALE + SHIFT
    seconds = 0.0
    for _ in range(epochs):
        wait(device)
        started = time.perf_counter()
        net.train()
        for indices in torch.randperm(len(y), device=device).split(batch_size):
            loss = F.cross_entropy(net(x[indices]), y[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        wait(device)
        seconds += time.perf_counter() - started
        yield {"seconds": seconds, "acc": accuracy(net, x_test, test.labels)}


def wait(device: str) -> None:
    """Waits until the GPU has finished. Otherwise a clock would measure only how fast work is queued."""
    if device == "cuda":
        torch.cuda.synchronize()
