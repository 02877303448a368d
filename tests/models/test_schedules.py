"""Learning rates against their formulas: python -m pytest tests/models/test_schedules.py -v"""

import math

import pytest
import torch

from mnist_exp.models import schedules


def rates(schedule: str, *, steps: int = 20, **kwargs: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = getattr(schedules, schedule)(optimizer, total_steps=steps, **kwargs)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if len(seen) < steps else None
    return seen


def test_cosine_is_half_a_cosine():
    assert rates("cosine") == pytest.approx([0.25 * (1 + math.cos(math.pi * step / 20)) for step in range(20)])
    assert rates("cosine")[0] == 0.5


def test_cosine_after_a_warmup_in_a_line():
    """A quarter of 8 steps rises: 1/3 and 2/3 of the rate, then half a cosine over the other 6."""
    falling = [0.25 * (1 + math.cos(math.pi * step / 6)) for step in range(6)]
    assert rates("cosine", steps=8, warmup=0.25) == pytest.approx([0.5 / 3, 1 / 3, *falling])


def test_cosine_may_rise_all_the_time():
    assert rates("cosine", steps=4, warmup=1.0) == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_linear_warmup_rises_in_a_line_and_stays():
    assert rates("linear_warmup", steps=10, warmup=0.3) == pytest.approx([0.125, 0.25, 0.375] + 7 * [0.5])
    assert rates("linear_warmup", steps=4, warmup=0.0) == [0.5] * 4


def test_one_cycle_rises_from_a_25th_to_the_rate_and_falls_to_nothing():
    seen = rates("one_cycle", steps=20, warmup=0.3)
    assert seen[0] == pytest.approx(0.5 / 25)
    assert seen.index(max(seen)) == 5  # 0.3 * 20 - 1
    assert max(seen) == pytest.approx(0.5)
    assert seen[-1] == pytest.approx(0.5 / 25 / 1e4)
    assert rates("one_cycle", steps=20) == seen


@pytest.mark.parametrize("first", [torch.optim.Adam, torch.optim.SGD])
def test_one_cycle_lowers_momentum_where_there_is_one(first: type[torch.optim.Optimizer]):
    has_momentum = {"betas": (0.9, 0.99)} if first is torch.optim.Adam else {"momentum": 0.9}
    optimizer = first([torch.zeros(1, requires_grad=True)], lr=0.5, **has_momentum)  # type: ignore[call-arg]
    scheduler = schedules.one_cycle(optimizer, total_steps=10, warmup=0.5)
    group, seen = optimizer.param_groups[0], []
    for _ in range(9):
        seen.append(group["betas"][0] if "betas" in group else group["momentum"])
        optimizer.step()
        scheduler.step()
    assert seen[0] == pytest.approx(0.95)
    assert min(seen) == pytest.approx(0.85)


def test_one_cycle_leaves_an_optimizer_without_momentum_as_it_is():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedules.one_cycle(optimizer, total_steps=10)
    assert optimizer.param_groups[0]["momentum"] == 0


def test_the_scaled_rate_is_the_rate_at_the_reference_and_grows_with_the_batch():
    parameters = [torch.zeros(1, requires_grad=True)]
    made = [schedules.scaled_sgd(parameters, lr=0.01, batch_size=size, momentum=0.9) for size in (64, 256)]
    assert [optimizer.param_groups[0]["lr"] for optimizer in made] == [0.01, 0.04]
    assert made[0].param_groups[0]["momentum"] == 0.9
    assert schedules.scaled_sgd(parameters, lr=0.01, batch_size=64, reference=32).param_groups[0]["lr"] == 0.02


def test_the_scaled_rate_counts_accumulated_batches_and_all_processes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schedules, "is_initialized", lambda: True)
    monkeypatch.setattr(schedules, "get_world_size", lambda: 2)
    made = schedules.scaled_sgd([torch.zeros(1, requires_grad=True)], lr=0.01, batch_size=64, accumulate=3)
    assert made.param_groups[0]["lr"] == pytest.approx(0.06)
