"""The way into every command: overrides are checked before torch is imported, and a mistake gets one clear message.

Hydra composes the configuration; this module says, for what Hydra would refuse, what was probably meant, and refuses
what Hydra cannot judge: a value of another type than the one it replaces, or out of range.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from textwrap import indent
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mnist_exp.results.hint import did_you_mean

CONF = Path(__file__).parents[1] / "conf"


def sweep_name(study: str | None, overrides: list[str]) -> str:
    """The folder of a sweep: its study's name, or else what it sets, such as `data+data.batch_size`."""
    keys = (override.split("=", 1)[0].lstrip("+~") for override in overrides)
    return study or "+".join(key.replace("/", ".") for key in keys) or "default"


def fast_precision() -> str:
    """bf16-mixed where the GPU, or else the processor, computes in bfloat16 by itself; 32-true elsewhere."""
    import torch

    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"


OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
OmegaConf.register_new_resolver("fast_precision", fast_precision, replace=True)


class OverrideError(ValueError):
    """An override that cannot be meant: what is wrong, and what is there instead."""


def command(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Makes a function of the configuration a command: `hydra.main` behind the check of its overrides.

    Exit status: 0 when done; 2 for an override that cannot be meant; 1 where the run, or any job of a sweep, failed.
    A failure is one message; HYDRA_FULL_ERROR=1 shows where it came from.
    """

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        hydra_main = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(reported(task))

        @wraps(task)
        def main() -> None:
            arguments = get_args_parser().parse_args()
            if arguments.hydra_help or arguments.shell_completion:
                hydra_main()
                return
            try:
                cfg = check(config_name, arguments.overrides)
            except OverrideError as error:
                if os.environ.get("HYDRA_FULL_ERROR") == "1":
                    raise
                fail(str(error), status=2)
            if arguments.help:
                print(usage(config_name, cfg))
                return
            started = time.time()
            hydra_main()
            if arguments.multirun or str(cfg.hydra.mode) == "RunMode.MULTIRUN":
                from mnist_exp.results.sweep import close_sweep

                sys.exit(close_sweep(Path(cfg.hydra.sweep.dir), since=started))

        return main

    return decorate


def reported(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """The task, with its exception made the message that ends the program."""

    @wraps(task)
    def run(cfg: DictConfig) -> Any:
        try:
            return task(cfg)
        except Exception as error:
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            if isinstance(error, (ValueError, OSError, RuntimeError)):  # written for people
                fail(str(error))
            fail(f"{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)")

    return run


def fail(message: str, *, status: int = 1) -> NoReturn:
    """Ends the program with one message on stderr."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


def usage(config_name: str, cfg: DictConfig) -> str:
    """What `--help` prints: Hydra's own help, whose list of groups would take it half a second."""
    chosen = {name: option for name, option in cfg.hydra.runtime.choices.items() if not name.startswith("hydra")}
    groups = [f"  {name}: {', '.join(options(name))}" for name in sorted(chosen)]
    settings = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(settings, dict)
    del settings["hydra"]
    return "\n".join(
        [
            f"python -m {cfg.hydra.help.app_name} [group=option ...] [key=value ...]",
            f"Everything that can be set is explained in conf/{config_name}.yaml and the groups' files beside it.",
            *(["\nGroups, group=option:", *groups] if groups else []),
            "\nKeys, key=value; -m and several values, key=a,b, make a sweep:",
            indent(OmegaConf.to_yaml(settings), "  "),
            "--cfg job prints only these, --hydra-help is about Hydra's own flags.",
        ]
    )


def options(group: str) -> list[str]:
    """The choices of a group; what they share, base, is none."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem != "base")


def check(config_name: str, overrides: list[str]) -> DictConfig:
    """The configuration, composed with Hydra's own node, if every override can be meant.

    A sweep's overrides are tried value by value (as many compositions as the longest list), those of a `sweep/` file
    included, so that a mistake shows before the first job starts.

    Raises OverrideError.
    """
    from hydra import initialize_config_dir

    with initialize_config_dir(str(CONF), version_base="1.3"):
        columns = [expand(parse(text)) for text in overrides]
        first = compose_checked(config_name, [values[0] for values in columns])
        swept = [f"{key}={values}" for key, values in (first.hydra.sweeper.params or {}).items()]
        columns += [expand(parse(text)) for text in swept]
        for row in range(0 if swept else 1, max(map(len, columns), default=0)):
            compose_checked(config_name, [values[row % len(values)] for values in columns])
    return first


def parse(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        hint = "write key=value" if "=" not in text else "quote it for the shell and for Hydra: 'key=\"a b\"'"
        raise OverrideError(f"cannot read the override {text!r}: {hint}") from error


def expand(override: Override) -> list[str]:
    """The single overrides that a sweep override stands for; itself where it is none."""
    if not override.is_sweep_override():
        return [override.input_line or ""]
    key = (override.input_line or "").split("=", 1)[0]
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def compose_checked(config_name: str, overrides: list[str]) -> DictConfig:
    """Composes one configuration, groups first, so that each mistake can be told from its neighbours."""
    parsed = [parse(text) for text in overrides]
    groups = [override for override in parsed if is_group(override)]
    for override in groups:
        check_group(override)
    base = compose(config_name, [override.input_line or "" for override in groups])
    before = OmegaConf.to_container(base, resolve=False)
    for override in parsed:
        if override not in groups and not override.is_add():
            check_key(override, before)
    cfg = base if len(groups) == len(parsed) else compose(config_name, overrides)
    after = OmegaConf.to_container(cfg, resolve=False)
    for override in parsed:
        if override not in groups and override.type is OverrideType.CHANGE:
            check_type(override, before, after)
    check_ranges(after)
    return cfg


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    try:
        return hydra.compose(config_name, overrides, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise OverrideError(" ".join(str(error).split())) from error


def is_group(override: Override) -> bool:
    """Hydra's own groups are left to Hydra: their options come with its plugins."""
    own = not override.key_or_group.startswith("hydra")
    return own and (CONF / override.key_or_group).is_dir() and not isinstance(override.value(), dict)


def check_group(override: Override) -> None:
    known = options(override.key_or_group)
    chosen = override.value()
    for option in chosen if isinstance(chosen, list) else [chosen]:
        if str(option) not in known:
            raise OverrideError(
                f"{override.key_or_group} has no option {str(option)!r}{did_you_mean(str(option), known)} "
                f"({override.key_or_group} is one of: {', '.join(known)})"
            )


def check_key(override: Override, settings: Any) -> None:
    key = override.key_or_group
    known = list(flat_keys(settings))
    if key.startswith("hydra") or key in known:
        return
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    raise OverrideError(f"there is no {key!r} in the configuration{did_you_mean(key, known + groups)} (see --help)")


def check_type(override: Override, before: Any, after: Any) -> None:
    """A value keeps the type of the one it replaces, except that an int may replace a float, and null anything.

    Keys that have a range are judged by that alone.
    """
    key = override.key_or_group
    if key.startswith("hydra") or key in RANGES:
        return
    old, new = raw_value(before, key), raw_value(after, key)
    if old is None or new is None or is_interpolation(old) or is_interpolation(new):
        return
    kinds = {bool: (bool,), int: (int,), float: (float, int), str: (str, int, float)}.get(type(old), (type(old),))
    if not isinstance(new, kinds) or (isinstance(new, bool) and bool not in kinds):
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        expected = names.get(type(old), f"a {type(old).__name__}")
        raise OverrideError(f"{key} is {expected} (such as {old!r}), not {new!r}")


def at_least(least: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number of at least {least}", lambda value: type(value) is int and value >= least


def one_of(*names: str) -> tuple[str, Callable[[Any], bool]]:
    return f"one of: {', '.join(names)}", lambda value: str(value) in names


def above_zero() -> tuple[str, Callable[[Any], bool]]:
    return "a number above 0", lambda value: type(value) in (int, float) and value > 0


def share() -> tuple[str, Callable[[Any], bool]]:
    return "a number from 0 to below 1", lambda value: type(value) in (int, float) and 0 <= value < 1


def batches() -> tuple[str, Callable[[Any], bool]]:
    return (
        "a number of batches, a share of them such as 0.5, or null for all",
        lambda value: (
            value is None or (type(value) is int and value >= 0) or (type(value) is float and 0 <= value <= 1)
        ),
    )


def auto_or_bool() -> tuple[str, Callable[[Any], bool]]:
    return "auto, true or false", lambda value: value == "auto" or isinstance(value, bool)


RANGES = {
    "seed": at_least(0),
    "data.batch_size": at_least(1),
    "data.eval_batch_size": at_least(1),
    "data.val_size": at_least(0),
    "data.placement": one_of("auto", "device", "host"),
    "model.label_smoothing": share(),
    "optimizer.lr": above_zero(),
    "photo": auto_or_bool(),
    "show": auto_or_bool(),
    "suite.photo": auto_or_bool(),
    "trainer.max_epochs": at_least(1),
    "trainer.limit_train_batches": batches(),
    "trainer.limit_val_batches": batches(),
    "trainer.limit_test_batches": batches(),
    "trainer.accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.precision": one_of(
        "32-true", "32", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "64", "bf16", "16"
    ),
}


def check_ranges(settings: Any) -> None:
    for key, (expected, holds) in RANGES.items():
        value = raw_value(settings, key, missing="${absent}")
        if not is_interpolation(value) and not holds(value):
            names = expected.removeprefix("one of: ").split(", ") if expected.startswith("one of") else []
            raise OverrideError(f"{key} is {expected}, not {value!r}{did_you_mean(str(value), names)}")


def raw_value(node: Any, key: str, missing: Any = None) -> Any:
    """The value at a dotted key of nested dicts, as it is written there."""
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return missing
        node = node[part]
    return node


def is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def flat_keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from flat_keys(value, f"{prefix}{key}.")
