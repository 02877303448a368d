"""What is installed is what was looked at: pinned by commit, version or SHA-256."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
CI = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
HASHES = (ROOT / "scripts" / "hashes.txt").read_text()


def test_actions_are_pinned_by_commit():
    actions = re.findall(r"uses: \S+@(\S+)", CI)
    assert actions
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for commit in actions)


def test_the_makefile_and_continuous_integration_take_the_same_uv():
    (version,) = re.findall(r"^UV_VERSION := ([\d.]+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f'version: "{version}"' in CI


def test_every_pinned_package_has_a_hash_and_no_registry_is_named():
    for package in re.split(r"\n(?=\S)", HASHES.rstrip()):
        first, *hashes = package.split(" \\\n")
        assert re.fullmatch(r"[a-z0-9._-]+==\S+( ; .+)?", first), first
        assert hashes, first
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line) for line in hashes), first


def test_every_dependency_of_the_project_is_among_the_pinned_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [project["project"]["dependencies"], project["dependency-groups"]["dev"]]
    groups += project["project"]["optional-dependencies"].values()
    names = {re.split(r"[<>=\[]", requirement)[0].lower() for group in groups for requirement in group}
    assert names - {re.split("==", line)[0] for line in HASHES.splitlines()} == set(), "run `make hashes`"
