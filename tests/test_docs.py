"""README.md, CONTRIBUTING.md and docs/: links lead somewhere, and figures are those of docs/data.

python -m pytest tests/test_docs.py -v
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

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


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    from scripts import tables

    return tables


def test_the_tables_of_the_studies_are_made_from_their_data(tables: ModuleType):
    pages = {name: (DOCS / name).read_text(encoding="utf-8") for name in tables.PAGES}
    for name, text in pages.items():
        assert text == tables.filled(text), f"docs/{name}: run python -m scripts.tables"
        unmarked = tables.MARKED.sub("", text)
        assert not re.search(r"^\|.*--:", unmarked, flags=re.MULTILINE), f"docs/{name}: a table of numbers without mark"
    assert {made for text in pages.values() for _, made, _ in tables.MARKED.findall(text)} == set(tables.TABLES)


def accuracies_of_the_puzzle() -> pd.Series:
    """The mean accuracy in per cent, by model, optimizer, whether pixels are standardised, and epochs."""
    runs = data("puzzle").query("data == 'image'")
    return 100 * runs.groupby(["model", "optimizer", "model.standardize", "epochs"])["test/acc"].mean()


def test_the_figures_in_the_text_about_the_puzzle_are_those_of_its_runs():
    text = " ".join((DOCS / "puzzle.md").read_text(encoding="utf-8").split())
    acc = accuracies_of_the_puzzle()
    assert f"**{acc['mlp', 'sgd', False, 3]:.2f}% to {acc['mlp', 'adam', False, 3]:.2f}%**" in text
    assert f"is {acc['cnn', 'adam', True, 3] - acc['mlp', 'sgd', False, 20]:.2f} points" in text

    shorter = acc.xs(20, level="epochs") - acc.xs(3, level="epochs")
    lost = shorter.xs("sgd", level="optimizer")
    assert f"cost the SGD recipes {lost.min():.1f} to {lost.max():.1f} points" in text
    assert f"the Adam recipes {shorter.xs('adam', level='optimizer').max():.1f} points at most" in text

    adam = acc.xs("adam", level="optimizer")
    standardised = adam.xs(True, level="model.standardize") - adam.xs(False, level="model.standardize")
    assert f"by −{-standardised.min():.2f} to +{standardised.max():.2f} points" in text
    deeper = adam.xs("cnn", level="model") - adam.xs("mlp", level="model")
    assert f"the CNN is {deeper.min():.2f} to {deeper.max():.2f} points better" in text

    runs = data("puzzle").query("data == 'image' and model == 'cnn' and optimizer == 'sgd' and epochs == 3")
    assert f"(standard deviation {100 * runs.groupby('model.standardize')['test/acc'].std().max():.1f} points)" in text


def test_the_figures_in_the_text_about_real_handwriting_are_those_of_its_runs():
    text = " ".join((DOCS / "real-world.md").read_text(encoding="utf-8").split())
    runs = data("real_world")
    acc = (100 * runs.groupby(["suite", "model"])["accuracy"].mean()).round(1)
    assert f"It reads **{acc['nsysu', 'robust']}%** of the scanned exams" in text
    assert f"only **{acc['nsysu', 'solution2']}%** of the digits on scanned exams" in text
    assert f"only {acc['camera', 'fast']}% of the images with camera effects" in text
    errors = 100 * runs.groupby("model")["calibration_error"].mean()
    assert f"is {errors['robust']:.1f} points instead of {errors['solution2']:.1f}" in text
    sure = data("risk_coverage").query("min_confidence == 0.9 and suite == 'nsysu' and model == 'robust'")
    answered, wrong = 100 * sure[["answered", "error"]].mean()
    assert f"answers {answered:.1f}% of the digits, and {wrong:.2f}% of these answers are wrong" in text


def test_the_figures_in_the_text_about_batch_sizes_are_those_of_its_runs():
    text = " ".join((DOCS / "batch-size.md").read_text(encoding="utf-8").split())
    runs = data("batch_size")
    acc = 100 * runs.groupby(["optimizer", "scheduler", "data.batch_size"])["test/acc"].mean()
    usual = acc["sgd_scaled", "none", 64]
    assert (
        f"reaches {usual:.1f}% with batches of 64 and {acc['sgd_momentum', 'none', 8192]:.1f}% with batches of" in text
    )
    assert f"but {usual - acc['sgd_scaled', 'warmup', 2048]:.1f} points are lost" in text
    best = 100 * data("batch_size_tuned").query("seed > 0").groupby(["optimizer", "data.batch_size"])["test/acc"].mean()
    assert f"{best['adam', 4096]:.1f}% and {best['adam', 8192]:.1f}% with Adam" in text
    assert f"{best['sgd_momentum', 4096]:.1f}% and {best['sgd_momentum', 8192]:.1f}% with SGD" in text
    assert f"That is {usual - best.max():.1f} to {usual - best.min():.1f} points less" in text


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
