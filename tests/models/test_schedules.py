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


def test_cosine_starts_at_the_rate_and_ends_near_zero():
    seen = rates("cosine")
    assert seen[0] == 0.5
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0.01


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_warmup_rises_to_the_rate_then_falls(schedule: str):
    seen = rates(schedule, warmup=0.25)
    peak = seen.index(max(seen))
    assert max(seen) == pytest.approx(0.5, rel=0.05)
    assert 3 <= peak <= 6
    assert seen[-1] < 0.05


def test_the_scaled_rate_is_the_rate_at_the_reference_and_grows_with_the_batch():
    parameters = [torch.zeros(1, requires_grad=True)]
    made = [schedules.scaled_sgd(parameters, lr=0.01, batch_size=size, reference=64) for size in (64, 256)]
    assert [optimizer.param_groups[0]["lr"] for optimizer in made] == [0.01, 0.04]


def test_one_cycle_leaves_an_optimizer_without_momentum_without():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedules.one_cycle(optimizer, total_steps=10)
    assert optimizer.param_groups[0]["momentum"] == 0
