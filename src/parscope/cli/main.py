"""The command `parscope`: its verbs, imported only when used, and what it says when something goes wrong."""

from __future__ import annotations

import signal
import sys
import traceback
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import parscope
from parscope.cli.errors import FAULT, explain, say
from parscope.core.errors import ParscopeError

VERBS = {
    "strain": "Map strain and rotation from a 4D-STEM scan.",
    "fit": "Fit spectra, and map the parameters of a technique.",
    "train": "Train a network on a scan, without labels; use it with --solver.",
    "forecast": "Forecast how well the parameters of a technique can be known.",
    "simulate": "Simulate a scan whose truth is known.",
    "emulate": "Behave as a DECTRIS detector, with faults on request, until Ctrl-C.",
    "demo": "Simulate a strained crystal, map its strain and compare with the truth.",
    "live": "Analyse a stream pattern by pattern, until it ends or Ctrl-C; report the latency and every hole.",
    "tee": "Pass on all messages of a detector to each of several programs, until Ctrl-C.",
    "collect": "Collect every file that appears in a folder, until Ctrl-C, with all of its metadata.",
    "find": "Find records of the catalog by any of their metadata.",
    "show": "Show a record: what its file says, where it is, its versions, what it was made from, what people said.",
    "note": "Tag a record, annotate it, put it into a collection, say what it was made from.",
    "saved": "List the queries that are kept, or what matches them now and did not before.",
    "unpack": "Take the records of an RO-Crate into the catalog, all or none.",
    "verify": "Read every collected file again, and tell which are damaged, changed or missing.",
    "view": "Look at the maps of a fit in the browser: click a pixel, see its spectrum with the fit.",
}


# typer carries its own copy of click; the base of all complaints about words on the command line has no public name.
_Misuse: Any = typer.BadParameter.__mro__[1]


class Verbs(TyperGroup):
    """The verbs; each module of `parscope.cli` is imported when its verb is used, not to list it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Replace the line in the list of verbs by the verb itself."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in VERBS:
            command = typer.main.get_command(import_module(f"parscope.cli.{name}").app)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run a verb; a fault that a person can act on becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except _Misuse as error:
            sentence = error.format_message().rstrip(".")
            if not sentence:
                raise  # A verb of verbs that was given nothing: its help has been shown.
            say(f"{sentence}; see {(error.ctx or ctx).command_path} --help")
            raise typer.Exit(FAULT) from error
        except (ParscopeError, OSError, MemoryError, KeyboardInterrupt) as error:
            verdict = explain(error)
            if verdict is None:
                raise
            say(verdict.sentence)
            raise typer.Exit(verdict.code) from error


app = typer.Typer(cls=Verbs, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        print(f"parscope {parscope.__version__}")
        raise typer.Exit


@app.callback()
def parscope_command(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Microscopy data from the instrument to the decision.

    Every verb explains itself: parscope strain --help
    """


def _listed() -> None:
    """Stand in the list of verbs; the verb itself is in the module of its name."""


for _name, _sentence in VERBS.items():
    app.command(_name, help=_sentence)(_listed)


def run() -> None:
    """Run the command line and leave with its exit code.

    0: done. 1: a fault of parscope. 2: a fault of the input, the options or the machine. 130: stopped by the user.

    Raises
    ------
    SystemExit
        Always.
    """
    # Batch systems end a job by SIGTERM: what is done is kept then as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="parscope")
    except Exception:  # noqa: BLE001 - whatever it is, it is shown whole
        traceback.print_exc()
        say(
            "this is a fault of parscope itself; please report it with the lines above, "
            f"the command and its version ({parscope.__version__}, Python {sys.version.split()[0]})"
        )
        sys.exit(1)
