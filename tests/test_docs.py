"""README.md, CONTRIBUTING.md and docs/: links lead somewhere, and figures are those of docs/data.

python -m pytest tests/test_docs.py -v
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from hydra import initialize_config_dir

from mnist_exp.cli.overrides import CONF, OverrideError, compose_job, parse, single_overrides
from mnist_exp.data import csv_parse, suites
from mnist_exp.data.datamodule import EpochSampler
from mnist_exp.imaging import photo
from mnist_exp.models import checkpoint_file, registry
from mnist_exp.web import uploads

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def data(name: str) -> pd.DataFrame:
    return pd.read_csv(DOCS / "data" / f"{name}.csv")


def table(page: str, first_cell: str) -> dict[str, list[str]]:
    """The cells after the first one, by the first one, of the table whose header starts with `first_cell`."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        rows[first] = rest
    return rows


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"-?\d[\d,]*\.?\d*", text)]


# ---- limits ----


def test_the_limits_are_those_of_the_code() -> None:
    limits = {kind: numbers(limit) for kind, [limit] in table("files.md", "file").items()}
    million = 10**6
    assert limits == {
        "checkpoint": [checkpoint_file.MAX_FILE_BYTES / million, registry.MAX_PARAMETERS / million],
        "`.csv`, `.csv.gz`": [csv_parse.MAX_BYTES / million, csv_parse.MAX_LINE / million],
        "`.npz`": [suites.MAX_ARRAY / million],
        "picture": [photo.MAX_PIXELS / million, photo.MIN_SIDE],
        "picture sent to the demo": [
            uploads.MAX_BYTES / million,
            uploads.MAX_PIXELS / million,
            uploads.MAX_DECODED_PIXELS / million,
        ],
    }


# ---- links ----


def anchors(path: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    """Links and images within the repository."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_or_a_heading(page: Path):
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{page.name} links to {target}, which does not exist"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}: no such heading"


@pytest.mark.parametrize("folder", ["images", "data"])
def test_every_picture_and_data_file_is_linked(folder: str):
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for path in (DOCS / folder).iterdir():
        assert f"{folder}/{path.name}" in text, f"no page links to docs/{folder}/{path.name}"


def test_every_file_named_in_code_style_exists():
    """`scripts/reproduce.sh` and the like, in running text."""
    for page in PAGES:
        if page.name == "CHANGELOG.md":
            continue  # it also names what is gone
        for name in re.findall(r"`((?:conf|docs|mnist_exp|scripts|tests)/[\w./-]+)`", page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{page.name} names {name}, which does not exist"


# ---- figures ----


def test_the_puzzle_s_table_has_the_means_of_its_runs():
    runs = data("puzzle")
    keys = ["model", "optimizer", "model.standardize", "epochs"]
    means = runs[runs["data"] == "image"].groupby(keys)["test/acc"].agg(["mean", "count"])
    lines = (DOCS / "puzzle.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("|").split("|") for line in lines if re.match(r"\| (perceptron|CNN) \| (SGD|Adam) \|", line)]
    assert len(rows) == 8
    for network, optimizer, pixels, *cells in rows:
        model = {"perceptron": "mlp", "CNN": "cnn"}[network.strip()]
        for epochs, cell in zip((3, 20), cells, strict=True):
            recipe = means.loc[model, optimizer.strip().lower(), pixels.strip() == "standardised", epochs]
            assert numbers(cell)[0] == pytest.approx(100 * recipe["mean"], abs=0.005)
            assert recipe["count"] == 3


def test_the_puzzle_s_opening_figures_are_those_of_its_runs():
    text = (DOCS / "puzzle.md").read_text(encoding="utf-8")
    runs = data("puzzle").query("data == 'image' and model == 'mlp' and not `model.standardize` and epochs == 3")
    sgd, adam = (100 * runs[runs["optimizer"] == name]["test/acc"].mean() for name in ("sgd", "adam"))
    assert f"**{sgd:.2f}% to {adam:.2f}%**" in text


def test_the_real_world_table_has_the_means_of_its_runs():
    expected = 100 * data("real_world").groupby(["suite", "model"])["accuracy"].mean().unstack()
    order = [
        "test",
        "MNIST-C",
        "hand",
        "pen",
        "camera",
        "load_digits",
        "nsysu",
        "sudoku_phone",
        "hwd1000_drawn",
        "photos",
    ]
    rows = list(table("real-world.md", "test set").values())
    models = ["solution1", "solution2", "fast", "robust"]
    for suite, (_, *cells) in zip(order, rows, strict=False):
        assert [float(cell) for cell in cells] == pytest.approx(expected.loc[suite, models].tolist(), abs=0.0501)
    assert len(rows) == len(order) + 1  # the last row is the calibration error
    errors = 100 * data("real_world").groupby("model")["calibration_error"].mean()
    assert [float(cell) for cell in rows[-1][1:]] == pytest.approx(errors[models].tolist(), abs=0.0501)


def test_the_batch_size_tables_have_the_means_and_deviations_of_their_runs():
    lines = (DOCS / "batch-size.md").read_text(encoding="utf-8").split("## The same 430 steps")
    for name, text in zip(("batch_size", "batch_size_updates"), lines, strict=True):
        runs = data(name)
        finished = runs[runs["status"] == "finished"].groupby(["data.batch_size", "optimizer"])["test/acc"]
        expected = 100 * finished.agg(["mean", "std"])
        counts = finished.count()
        rows = [line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| [\d,]+ \|", line)]
        assert len(rows) == 10
        for batch, _, *cells in rows:
            for optimizer, cell in zip(("sgd_momentum", "sgd_scaled"), cells[:2], strict=True):
                key = int(numbers(batch)[0]), optimizer
                if "all three diverged" in cell:
                    assert key not in expected.index
                    continue
                assert numbers(cell)[:2] == pytest.approx(expected.loc[key].tolist(), abs=0.0051)
                assert ("n = 2" in cell) == (counts[key] == 2)


def test_the_images_seen_in_430_steps_are_those_of_the_sampler():
    updates = data("batch_size_updates").query("status == 'finished'")
    rows = table("batch-size.md", "batch | images seen")
    assert len(rows) == 10
    for batch, (seen, *_) in rows.items():
        size = int(numbers(batch)[0])
        batches = [len(indices) for indices in EpochSampler(torch.arange(60_000), batch_size=size, shuffle=False)]
        epochs, rest = divmod(430, len(batches))
        assert numbers(seen) == [epochs * 60_000 + sum(batches[:rest])]
        assert set(updates[updates["data.batch_size"] == size]["epoch"]) == {epochs + (rest > 0)}


def test_the_speed_table_has_the_ratios_of_the_benchmark():
    rows = data("speed").set_index(["section", "what", "contender"])
    places = {
        "an epoch, CNN, batch 64": ("loop", "cnn 64: an epoch", "bare loop"),
        "an epoch, perceptron, batch 64": ("loop", "mlp 64: an epoch", "bare loop"),
        "an epoch, CNN, batch 512": ("loop", "cnn 512: an epoch", "bare loop"),
        "an epoch, perceptron, batch 512": ("loop", "mlp 512: an epoch", "bare loop"),
        "training, `experiment=fast`": ("to_99", "training to 99.0%", "public recipe"),
        "reading MNIST's CSV for the first time": ("csv", "cold read", "pyarrow, the parse"),
        "from the command to the first training step": ("start", "imports alone", "the imports"),
        "12 short trainings in one sweep": ("sweep", "12 trainings of 20 batches", "12 commands"),
    }
    lines = (DOCS / "speed.md").read_text(encoding="utf-8").splitlines()
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][2:]
    assert len(shown) == 9
    page = " ".join("\n".join(lines).split())
    assert f"takes no more, and {rows.loc[('scale', 'preparing', '20x')]['ratio']:.1f} times as long" in page
    for what, against, ratio, n, target in shown:
        place = ("stock", "mlp 64: an epoch", "stock, 0 workers") if "as usual" in against else places[what]
        row = rows.loc[place]
        assert numbers(ratio)[0] == pytest.approx(row["ratio"], abs=0.0005)
        assert (int(n), numbers(target)[0]) == (row["n"], row["target"])
        assert ("missed" in target) == (row["met"] == "no")


# ---- commands ----

COMMAND = re.compile(
    r"python -m (mnist_exp\.(?:train|evaluate|predict|compare|export|demo)|scripts\.bench)\b([^\n`\"]*)"
)


def shown_commands() -> Iterator[tuple[str, str, list[str]]]:
    """Each command in docs/, docstrings and the comments of conf/: where it is, its configuration, its overrides."""
    paths = [
        *DOCS.glob("*.md"),
        *ROOT.glob("conf/**/*.yaml"),
        *ROOT.glob("mnist_exp/**/*.py"),
        *ROOT.glob("scripts/**/*.py"),
    ]
    for path in sorted(paths):
        for module, arguments in COMMAND.findall(path.read_text(encoding="utf-8")):
            words = re.split(r"\s+#|\s{3,}|: ", arguments)[0].strip(" :.,)")
            words = re.sub(r"<\w+>", "name", words)
            overrides = [word for word in shlex.split(words) if "=" in word]
            yield str(path.relative_to(ROOT)), module.rpartition(".")[2], overrides


def test_every_command_in_docs_docstrings_and_config_comments_has_overrides_that_exist():
    commands = list(shown_commands())
    assert len(commands) > 20
    places = {(config_name, *overrides): where for where, config_name, overrides in commands}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for (config_name, *overrides), where in places.items():
            try:
                compose_job(config_name, [single_overrides(parse(text))[0] for text in overrides])
            except OverrideError as error:
                pytest.fail(f"{where}: {' '.join(overrides)}: {error}")
