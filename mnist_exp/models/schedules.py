"""Learning rates: schedules that are stepped after every batch, and SGD whose rate grows with the batch size."""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.distributed import get_world_size, is_initialized
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR


def cosine(optimizer: Optimizer, *, total_steps: int, warmup: float = 0.0) -> LambdaLR:
    """Half a cosine from the optimizer's learning rate to 0 (Loshchilov and Hutter 2017, without restarts).

    https://arxiv.org/abs/1608.03983

    warmup: share of the steps, 0 to 1, in which the rate first rises linearly from 0.
    """
    rising = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total_steps - rising, 1)))

    return LambdaLR(optimizer, factor)


def linear_warmup(optimizer: Optimizer, *, total_steps: int, warmup: float = 0.2) -> LambdaLR:
    """The rate rises in a line from 0 to the optimizer's learning rate, and then stays (Goyal et al. 2017).

    Goyal et al. begin at the rate of a small batch instead of 0. https://arxiv.org/abs/1706.02677

    warmup: share of the steps, 0 to 1, in which the rate rises.
    """
    rising = round(warmup * total_steps)
    return LambdaLR(optimizer, lambda step: min((step + 1) / (rising + 1), 1.0))


def one_cycle(optimizer: Optimizer, *, total_steps: int, warmup: float = 0.3) -> OneCycleLR:
    """The rate rises to the optimizer's learning rate and falls to almost 0 (Smith and Topin 2018).

    An optimizer's momentum, if it has one, falls from 0.95 to 0.85 meanwhile and rises again.
    https://arxiv.org/abs/1708.07120

    warmup: share of the steps, 0 to 1, in which the rate rises.
    """
    first = optimizer.param_groups[0]
    has_momentum = bool(first.get("momentum")) or "betas" in first
    return OneCycleLR(
        optimizer, max_lr=first["lr"], total_steps=total_steps, pct_start=warmup, cycle_momentum=has_momentum
    )


def scaled_sgd(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    batch_size: int,
    reference: int = 64,
    accumulate: int = 1,
    **kwargs: Any,
) -> SGD:
    """SGD with the learning rate `lr * images / reference` (the linear scaling rule of Goyal et al. 2017).

    With batches twice as large an epoch has half as many steps, so each step is made twice as long. `images` is how
    many a step learns from: those of the `accumulate` batches that each process adds up, over all processes.
    https://arxiv.org/abs/1706.02677

    batch_size: images in a batch, for each process.
    """
    images = batch_size * accumulate * (get_world_size() if is_initialized() else 1)
    return SGD(parameters, lr=lr * images / reference, **kwargs)
