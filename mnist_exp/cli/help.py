"""What `--help` prints."""

from textwrap import indent

from omegaconf import DictConfig, OmegaConf

from mnist_exp.cli.overrides import options


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
