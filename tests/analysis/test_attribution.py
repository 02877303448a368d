"""The section that divides a gap among factors, against a factorial by hand.

python -m pytest tests/analysis/test_attribution.py -v
"""

import re
from itertools import product

import pytest
from made_runs import make_factorial, make_failed_run, make_run

from mnist_exp.analysis.attribution import attribution, check_corners, corner_groups
from mnist_exp.analysis.runs import collect

START, END = {"data": "image", "model": "mlp"}, {"data": "csv", "model": "cnn"}


@pytest.fixture
def factorial(tmp_path):
    make_factorial(tmp_path)
    return collect([tmp_path])


def section(study, start=START, end=END):
    return attribution(study, check_corners(study, start, end), {})


def rows(text, caption):
    """The table under a caption: first cell -> the other cells."""
    lines = text.split(f"*{caption}")[1].split("\n\n")[1].splitlines()[2:]
    cells = [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines]
    return {first: rest for first, *rest in cells}


def with_part(effect, part):
    """The cells of a share, its part of the gap, and an equal main effect."""
    return [effect, part, effect]


def test_shares_main_effects_and_interactions_are_those_by_hand(factorial):
    text = section(factorial)
    # Of the model: 6.1 points with images, 8.1 with CSV. Of the data: 0 with mlp, 2 with cnn.
    assert rows(text, "Effects") == {
        "model": [
            "mlp",
            "cnn",
            "+6.10 [+5.85, +6.35]",
            "+8.10 [+7.85, +8.35]",
            *with_part("+7.10 [+6.85, +7.35]", "88%"),
        ],
        "data": [
            "image",
            "csv",
            "0.00 [0.00, 0.00]",
            "+2.00 [+2.00, +2.00]",
            *with_part("+1.00 [+1.00, +1.00]", "12%"),
        ],
        "the gap": ["", "", "", "", "+8.10 [+7.85, +8.35]", "100%", ""],
    }
    assert rows(text, "Interactions") == {"data × model": ["+1.00 [+1.00, +1.00]"]}
    assert "The largest interaction of two factors is data × model: +1.00 [+1.00, +1.00]." in text
    assert (
        "From `data=image model=mlp` to `data=csv model=cnn` test accuracy changes by **+8.10 percentage points**, "
        "95% interval [+7.85, +8.35]. The factors' shares add up to this gap: model +7.10, data +1.00." in text
    )
    assert "All 4 combinations of 2 factors, with 3 seeds (0, 1, 2); intervals are over seeds." in text


def test_from_the_better_to_the_worse_all_signs_turn(factorial):
    text = section(factorial, END, START)
    assert rows(text, "Effects")["model"][2:] == [
        "−8.10 [−8.35, −7.85]", "−6.10 [−6.35, −5.85]", *with_part("−7.10 [−7.35, −6.85]", "88%")
    ]  # fmt: skip
    assert "model −7.10, data −1.00" in text


def test_a_factor_against_the_gap_has_a_negative_part_of_it(tmp_path):
    for data in ("image", "csv"):
        for model in ("mlp", "cnn"):
            acc = 0.8 + 0.04 * (model == "cnn") - 0.02 * (data == "csv")
            make_run(tmp_path / f"{data}{model}", f"data={data}", f"model={model}", acc=acc)
    text = section(collect([tmp_path]))
    assert [row[-2] for row in rows(text, "Effects").values()] == ["200%", "−100%", "100%"]
    assert "changes by **+2.00 percentage points**. The" in text  # one seed has no interval


def test_no_gap_has_no_parts(tmp_path):
    for data in ("image", "csv"):
        make_run(tmp_path / data, f"data={data}")
    text = section(collect([tmp_path]), {"data": "image"}, {"data": "csv"})
    assert "changes by **0.00 percentage points**" in text
    assert "100%" not in text
    assert "nteraction" not in text.replace("An interaction of two", "")  # there is one factor


def test_interactions_of_two_and_three_factors_stand_in_the_order_of_their_size(tmp_path):
    for data, model, lr in product(("image", "csv"), ("mlp", "cnn"), ("0.001", "0.1")):
        acc = 0.5 + 0.1 * (model == "cnn") * (lr == "0.1") - 0.2 * (data == "csv") * (model == "cnn") * (lr == "0.1")
        make_run(tmp_path / f"{data}{model}{lr}", f"data={data}", f"model={model}", f"optimizer.lr={lr}", acc=acc)
    corners = [
        {"data": d, "model": m, "optimizer.lr": lr} for d, m, lr in (("image", "mlp", 0.001), ("csv", "cnn", 0.1))
    ]
    text = section(collect([tmp_path]), *corners)
    # Of three: half of half of -20 points. Of model and lr: half of 10 points with images, and of -10 with CSV.
    assert rows(text, "Interactions") == {
        "data × model": ["−5.00"],
        "data × optimizer.lr": ["−5.00"],
        "data × model × optimizer.lr": ["−5.00"],
        "model × optimizer.lr": ["0.00"],
    }
    assert "The largest interaction of two factors is data × model: −5.00." in text


def test_a_seed_without_all_combinations_is_left_out_by_name(factorial, tmp_path):
    assert "left out" not in section(factorial)
    make_failed_run(tmp_path / "data=csv,model=cnn,seed=2", seed=2)
    text = section(collect([tmp_path]))
    assert "with 2 seeds (0, 1); seeds 2 are left out, because they lack runs; intervals" in text


@pytest.mark.usefixtures("factorial")
def test_without_a_complete_seed_the_missing_runs_are_named(tmp_path):
    for seed in (0, 1, 2):
        make_failed_run(tmp_path / f"data=csv,model=cnn,seed={seed}", seed=seed)
    with pytest.raises(ValueError, match=r"compare\.from, compare\.to: no seed has finished .* run the 3 missing ones"):
        section(collect([tmp_path]))


def test_borrowed_runs_complete_a_factorial_and_are_explained(tmp_path):
    for seed in (0, 1):
        for model, acc in (("mlp", 0.8), ("cnn", 0.9)):
            for data in ("image", "csv") if seed == 0 else ("image",):
                make_run(tmp_path / f"{data}{model}{seed}", f"data={data}", f"model={model}", acc=acc, seed=seed)
    text = section(collect([tmp_path], borrow=["data"]))
    assert "with 2 seeds (0, 1)" in text
    assert "Borrowed for `data=csv` from `data=image`: 2 values" in text
    assert "Borrowed values count in this section only." in text
    text = section(collect([tmp_path]))
    assert "with 1 seed (0)" in text
    assert "Borrowed" not in text


# --- corners ---


def test_without_corners_there_is_no_section(factorial):
    assert check_corners(factorial, None, None) is None
    assert check_corners(factorial, {}, {}) is None
    assert attribution(factorial, None, {}) == ""


def test_levels_become_text(tmp_path):
    for flag in ("true", "false"):
        make_run(tmp_path / flag, f"model.standardize={flag}")
    corners = check_corners(collect([tmp_path]), {"model.standardize": False}, {"model.standardize": True})
    assert corners == ({"model.standardize": "false"}, {"model.standardize": "true"})


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ({"modle": "mlp"}, {"modle": "cnn"}, "do not differ in 'modle': did you mean 'model'"),
        ({"model": "mpl"}, {"model": "cnn"}, "no run has model=mpl: did you mean 'mlp'"),
        ({"model": "mlp"}, None, "compare.from and compare.to go together"),
        (None, {"model": "mlp"}, "compare.from and compare.to go together"),
        ({"model": "mlp"}, {"data": "csv"}, "must name the same factors; only one of them has data, model"),
        ({"model": "mlp"}, {"model": "mlp"}, "same level of model: leave it out of both"),
        ({"model": "mlp"}, {"model": "cnn"}, "name the factor in which they differ"),
    ],
)
def test_corners_that_are_not_there_are_an_error(factorial, start, end, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        section(factorial, start, end)


def test_the_groups_at_the_corners_come_better_one_first(factorial, tmp_path):
    corners = check_corners(factorial, START, END)
    assert corner_groups(factorial, corners) == ["data=csv model=cnn", "data=image model=mlp"]
    assert corner_groups(factorial, check_corners(factorial, {"model": "mlp"}, {"model": "cnn"})) == []
    assert corner_groups(factorial, None) == []
    for seed in (0, 1, 2):
        make_failed_run(tmp_path / f"data=csv,model=cnn,seed={seed}", seed=seed)
    assert corner_groups(collect([tmp_path]), corners) == ["data=image model=mlp"]


def test_corners_are_found_whatever_the_groups_are_called(tmp_path):
    for experiment, acc in (("solution1", 0.88), ("fast", 0.99)):
        make_run(tmp_path / experiment, f"experiment={experiment}", acc=acc)
    study = collect([tmp_path])
    corners = check_corners(study, {"experiment": "solution1"}, {"experiment": "fast"})
    assert corner_groups(study, corners) == ["fast", "solution1"]
