"""`python -m vidclf_train COMMAND`: each command lives in its own module, imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from vidclf_cli.errors import UsageError, VidclfError

COMMANDS = {
    "ablate": "vidclf_train.ablate.command:ablate",
    "baselines": "vidclf_train.baselines.command:baselines",
    "encoders": "vidclf_train.encoders:encoders",
    "pack": "vidclf_train.pack:pack",
    "real-clips": "vidclf_train.clips_report:real_clips",
    "topics": "vidclf_train.topics:topics",
    "youtube8m": "vidclf_train.youtube8m.command:youtube8m",
    "zero-shot": "vidclf_train.zero_shot_report:zero_shot",
}


class LazyGroup(click.Group):
    """Imports the module of a command only when that command is called (torch alone takes seconds)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, sorted."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; None for a name that is no command.

        Raises:
            UsageError: A package of the extra `train` is not installed.
        """
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module_name, _, function_name = COMMANDS[cmd_name].partition(":")
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if not missing or missing.startswith("vidclf"):
                raise
            raise UsageError(
                f"`{cmd_name}` needs {missing}, which is not installed.",
                "Install the extra: `pip install 'vidclf[train]'`.",
            ) from error
        command: click.Command = getattr(module, function_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a user can meet becomes one line and an exit code, as in `vidclf`."""
        try:
            return super().invoke(ctx)
        except VidclfError as error:
            click.echo(f"Error: {' '.join(str(error).split())}", err=True)
            ctx.exit(error.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the names alone: their help texts would import every module."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, "") for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup)
def main() -> None:
    """Build and measure what vidclf ships."""


if __name__ == "__main__":
    main(prog_name="python -m vidclf_train")
