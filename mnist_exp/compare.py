"""Turn runs into a verdict: which group is better, by how much, how sure, and which factor makes the difference.

python -m mnist_exp.compare runs=outputs/sweeps/puzzle
"""

import hashlib
import os
import shlex
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_exp.cli.command import command
from mnist_exp.data.mnist_download import SHA256

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from omegaconf import DictConfig

    from mnist_exp.analysis.report import Report

# Of MNIST's 70,000 digits, as mnist_exp.data.digits.fingerprint computes it.
MNIST_FINGERPRINT = "sha256:1e35582d42a90940c55b956deb61875c020b567ed20e3c5b174f52bf7809ed9b"


def compare(cfg: "DictConfig") -> Path:
    """Writes the report and returns its folder. Raises ValueError for what the user can fix."""
    from omegaconf import OmegaConf

    from mnist_exp.analysis.publish import check_free, publish, report_folder
    from mnist_exp.analysis.report import write_report
    from mnist_exp.analysis.runs import collect
    from mnist_exp.cli.working import working

    # Where the report goes: nothing else may be there.
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    paths = [path for run in as_list(plain["runs"]) for path in matching(str(run))]
    if not paths:
        raise ValueError("no runs are given. Name a folder, runs=outputs/sweeps/<name>, or several: runs=[a,b]")
    name = str(plain["name"] or default_name(paths))
    folder = report_folder(Path(plain["reports_dir"]), name)
    check_free(folder)

    # Read the runs, compare them, write it down.
    asked = plain["compare"]
    with working("comparing the runs"):
        study = collect(paths, epochs=as_list(asked["epochs"]), borrow=as_list(asked["borrow"]))
        report = write_report(
            study,
            name=name,
            start=asked["from"],
            end=asked["to"],
            margin=asked["margin"],
            pictures=lambda fingerprint: mnist_pictures(Path(plain["data_dir"]), fingerprint),
            command=command_line(),
        )
        publish(report, study, folder)
    show(report, folder)
    return folder


def as_list(value: Any) -> list[Any]:
    """A list without repetitions. None becomes an empty list, a single value a list of one."""
    if value is None:
        return []
    return list(dict.fromkeys(value)) if isinstance(value, list) else [value]


def matching(pattern: str) -> list[Path]:
    """The folder of that name, or those that a pattern such as outputs/sweeps/t* names. Raises ValueError for none."""
    if Path(pattern).exists() or not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    if not (found := sorted(Path(path) for path in glob(pattern) if Path(path).is_dir())):  # noqa: PTH207
        raise ValueError(f"no folder is named like {pattern}")
    return found


def default_name(paths: list[Path]) -> str:
    """The folders' names, joined by +, at most 100 bytes."""
    return os.fsencode("+".join(map(name_of, paths)))[:100].decode(errors="ignore")


def name_of(path: Path) -> str:
    """The folder's own name. A single run's folder is only a time, so its parent's name comes first."""
    path = Path(os.path.realpath(path))  # Path.resolve fails at links in a circle
    return f"{path.parent.name}_{path.name}" if (path / ".hydra").exists() else path.name


def command_line() -> str:
    """The command as it was typed."""
    from mnist_exp.training.run import typed_overrides

    return shlex.join(["python", "-m", "mnist_exp.compare", *typed_overrides()])


def mnist_pictures(data_dir: Path, fingerprint: str) -> "NDArray[np.uint8] | None":
    """MNIST's test images, uint8 (10000, 28, 28), read without torch. None for other data, or if they are missing."""
    name = "t10k-images-idx3-ubyte"
    path = data_dir / "MNIST" / "raw" / name
    if fingerprint != MNIST_FINGERPRINT or not path.is_file():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256["MNIST"][name]:
        return None
    return np.frombuffer(content, dtype=np.uint8, offset=16).reshape(-1, 28, 28)


def show(report: "Report", folder: Path) -> None:
    """Prints the beginning of the report, up to the end of its verdict, and where the rest is."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(Markdown("\n## ".join(report.markdown.split("\n## ")[:2]), hyperlinks=False))
    print(f"\n{folder}/report.html: the whole report (also report.md, runs.csv, and in TensorBoard)")


@command("compare")
def main(cfg: "DictConfig") -> None:
    compare(cfg)


if __name__ == "__main__":
    main()
