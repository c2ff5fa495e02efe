"""The command line. A command is imported when it is called, so that `netvigil --help` is quick."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import Any, NoReturn

import click

from netvigil import __version__

COMMANDS = {
    "demo": ("demo", "See netvigil at work on a recorded network with attacks."),
    "data": ("data", "Inspect, convert, label, join, audit and plant; write a sample."),
    "run": ("experiments", "Fit, score and judge an experiment over its seeds."),
    "fit": ("experiments", "Fit an experiment and write its bundle."),
    "detect": ("experiments", "Score a source with a bundle and write alerts."),
    "evaluate": ("experiments", "Judge a score file by a label file."),
    "explain": ("explain", "Say what a run's highest alerts rest on."),
    "report": ("report", "Draw finished runs as one offline page."),
    "compare": ("compare", "Put finished runs side by side."),
    "tune": ("tune", "Search settings without reading the test part."),
    "generate": ("generate", "Learn labelled traffic and make more of it, classes balanced."),
    "plugins": ("plugins", "List, examine and start plugins."),
    "bench": ("bench", "Time what the installed plugins do, room by room."),
}
"""Command -> its module in this package, and its line in `--help`."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order above: the usual way through the tool."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"netvigil.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where one is unknown."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from netvigil.errors import nearest

            hint = nearest(args[0], COMMANDS)
            raise click.UsageError(f"{error.message} {hint}".strip(), ctx) from error


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: netvigil data inspect capture.pcap",
)
@click.version_option(__version__, prog_name="netvigil")
def cli() -> None:
    """Turn network traffic into scored, explained, honestly evaluated anomalies."""


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line: exit code 0, 1 where the job failed, 2 where the call was wrong."""
    try:
        result = cli.main(args=args, prog_name="netvigil", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("Stopped. Nothing half-written was left; an unfinished run goes on with --resume.")
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        code = _explain(error)
        if code is None:
            raise
        sys.exit(code)
    # Without click's own exit, `ctx.exit(1)` comes back as a value.
    sys.exit(result if isinstance(result, int) else 0)


def _explain(error: Exception) -> int | None:
    """Print what went wrong where we know it, and return the exit code; None for a bug of ours."""
    from netvigil.errors import ConfigError, NetvigilError, UnknownPartError
    from netvigil.errors import IncompatiblePartsError as Incompatible

    if isinstance(error, NetvigilError):
        _say(str(error))
        wrong_call = isinstance(error, ConfigError | UnknownPartError | Incompatible)
        return 2 if wrong_call else 1
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            _say(
                "The disk is full. Nothing half-written was left.\n"
                "Free some space and try again; an unfinished run goes on with --resume."
            )
        else:
            _say(f"{error.strerror or error}\n{error.filename or ''}".strip())
        return 1
    if isinstance(error, MemoryError):
        _say("There is not enough memory.\nLower features.fit_flows or the window length.")
        return 1
    return None


def _say(text: str) -> None:
    click.echo(_safe(text), err=True)


def _safe(text: str) -> str:
    """Escape control characters, which may come from traffic and would reach the terminal."""
    kept: list[Any] = [c if c == "\n" or c.isprintable() else repr(c)[1:-1] for c in text]
    return "".join(kept)
