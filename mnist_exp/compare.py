"""Turn runs into a verdict: which group is better, by how much, how sure, and which factor makes the difference.

python -m mnist_exp.compare runs=outputs/sweeps/puzzle
"""

import hashlib
import shlex
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
    """Writes the report and returns its folder. Raises ValueError for what the user should mend."""
    from omegaconf import OmegaConf

    from mnist_exp.analysis.markdown import counted
    from mnist_exp.analysis.publish import publish
    from mnist_exp.analysis.report import write_report
    from mnist_exp.analysis.runs import collect

    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    asked = plain["compare"]
    paths = [Path(run) for run in as_list(plain["runs"])]
    if not paths:
        raise ValueError("compare what? runs=outputs/sweeps/<name>, or several: runs=[a,b]")
    study = collect(paths, epochs=as_list(asked["epochs"]), borrow=as_list(asked["borrow"]))
    name = plain["name"] or "+".join(map(name_of, paths))[:100]
    report = write_report(
        study,
        title=f"{name}: {counted(study.finished['run'].nunique(), 'run')} compared",
        start=asked["from"],
        end=asked["to"],
        pictures=lambda fingerprint: mnist_pictures(Path(plain["data_dir"]), fingerprint),
        command=command_line(),
    )
    folder = Path(plain["reports_dir"]) / name
    publish(report, study, folder)
    show(report, folder)
    return folder


def as_list(value: Any) -> list[Any]:
    """A list without repetitions, nothing as an empty one, and a single value as a list of one."""
    return list(dict.fromkeys(value)) if isinstance(value, list) else [] if value is None else [value]


def name_of(path: Path) -> str:
    """A sweep's or runs folder's own name; a single run is called by its time alone, so its parent's comes first."""
    path = path.resolve()
    return f"{path.parent.name}_{path.name}" if (path / ".hydra").exists() else path.name


def command_line() -> str:
    from hydra.core.hydra_config import HydraConfig

    overrides = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return shlex.join(["python", "-m", "mnist_exp.compare", *overrides])


def mnist_pictures(data_dir: Path, fingerprint: str) -> "NDArray[np.uint8] | None":
    """MNIST's test images, uint8 (10000, 28, 28), read without torch; None for other data or where there are none."""
    name = "t10k-images-idx3-ubyte"
    path = data_dir / "MNIST" / "raw" / name
    if fingerprint != MNIST_FINGERPRINT or not path.is_file():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        return None
    return np.frombuffer(content, dtype=np.uint8, offset=16).reshape(-1, 28, 28)


def show(report: "Report", folder: Path) -> None:
    """The beginning of the report, up to its verdict, and where to find the rest."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(Markdown("\n## ".join(report.markdown.split("\n## ")[:2])))
    print(f"\n{folder}/report.html: the whole report (also report.md, runs.csv, and in TensorBoard)")


@command("compare")
def main(cfg: "DictConfig") -> None:
    compare(cfg)


if __name__ == "__main__":
    main()
