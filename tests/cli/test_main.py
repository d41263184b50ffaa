"""The command line: verbs, version, and one line for every fault that a person can act on."""

from __future__ import annotations

import errno
import subprocess
import sys
from importlib import import_module

import pytest
import typer
from typer.testing import CliRunner

from parscope import __version__
from parscope.cli import main
from parscope.cli.errors import explain, say
from parscope.core.errors import OptionError

COMMAND = "import sys; sys.argv[0] = 'parscope'; from parscope.cli.main import run; run()"
FAILING = """
import sys, types, typer
from parscope.core.errors import ShapeError
from parscope.cli import main
house = types.ModuleType("parscope.cli.fail")
house.app = typer.Typer()
@house.app.command()
def fail() -> None:
    {fault}
sys.modules[house.__name__] = house
main.VERBS["fail"] = "Fail."
main.app.command("fail")(fail)
sys.argv = ["parscope", "fail"]
main.run()
"""


def parscope(*arguments: str, code: str = COMMAND) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def failing_with(fault: str) -> subprocess.CompletedProcess[str]:
    return parscope(code=FAILING.format(fault=fault))


def test_help_lists_every_verb_and_imports_none() -> None:
    answer = parscope(
        "--help", code=COMMAND.replace("run()", "\ntry:\n    run()\nfinally:\n    print(sorted(sys.modules))")
    )
    assert answer.returncode == 0, answer.stderr
    assert all(verb in answer.stdout for verb in main.VERBS)
    assert not any(f"'parscope.cli.{verb}'" in answer.stdout for verb in main.VERBS)


def test_version() -> None:
    answer = parscope("--version")
    assert (answer.returncode, answer.stdout) == (0, f"parscope {__version__}\n")


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_is_there_and_says_in_its_help_what_the_list_says(verb: str) -> None:
    command = typer.main.get_command(import_module(f"parscope.cli.{verb}").app)
    assert (command.help or "").partition("\n")[0] == main.VERBS[verb]


@pytest.mark.parametrize("verb", main.VERBS)
def test_the_help_of_every_verb_shows_all_that_was_written(verb: str) -> None:
    """Words in square brackets are markup to what sets the help."""
    command = typer.main.get_command(import_module(f"parscope.cli.{verb}").app)
    shown = CliRunner().invoke(main.app, [verb, "--help"], env={"COLUMNS": "300", "TERM": "dumb"}).stdout
    for sentence in (main.VERBS[verb], *(option.help or "" for option in command.params)):
        assert "".join(sentence.replace("\\[", "[").split()) in "".join(shown.split())


def test_a_misspelt_verb_is_answered_with_the_nearest_one() -> None:
    answer = parscope("strian")
    assert answer.returncode == 2
    assert "strain" in answer.stderr


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        ("raise ShapeError('is 3D', 'scan.npy', 'pass --scan-shape')", 2, "scan.npy: is 3D; pass --scan-shape"),
        ("open('/nowhere/a.npy')", 2, "/nowhere/a.npy: there is no such file or folder; check the path"),
        (
            "raise MemoryError('3 TiB')",
            2,
            "not enough memory: 3 TiB; close other programs or map a smaller part of the scan",
        ),
        ("raise KeyboardInterrupt", 130, "stopped; what was written before is kept"),
    ],
)
def test_a_fault_a_person_can_act_on_is_one_line_on_standard_error(fault: str, code: int, line: str) -> None:
    answer = failing_with(fault)
    assert (answer.returncode, answer.stdout, answer.stderr) == (code, "", f"parscope: {line}\n")


def test_a_fault_of_parscope_keeps_its_traceback_and_asks_for_a_report() -> None:
    answer = failing_with("{}['lost']")
    assert answer.returncode == 1
    assert "KeyError: 'lost'" in answer.stderr
    assert "please report it" in answer.stderr.splitlines()[-1]
    assert __version__ in answer.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "strain.zarr"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "strain.zarr"),
        OSError("Can't write data (errno = 28, error message = 'No space left on device')"),
    ],
)
def test_a_full_disk_is_called_that_whoever_reports_it(error: OSError) -> None:
    verdict = explain(error)
    assert verdict is not None
    assert "the disk is full" in verdict.sentence
    assert verdict.code == 2


def test_what_is_kept_after_a_stop_is_said_by_whoever_knows() -> None:
    stop = KeyboardInterrupt()
    stop.add_note("312 of 1024 rows are in strain.zarr; run the same command again to go on")
    assert explain(stop) == ("stopped; 312 of 1024 rows are in strain.zarr; run the same command again to go on", 130)


@pytest.mark.parametrize("error", [ValueError("?"), OSError(errno.EIO, "Input/output error"), OSError("of no number")])
def test_what_nobody_can_act_on_is_not_explained_away(error: Exception) -> None:
    assert explain(error) is None


def test_a_long_line_stays_one_line_and_brackets_stay_text(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = str(OptionError("[bold]" + "x" * 300))
    say(sentence)
    assert capsys.readouterr().err == f"parscope: {sentence}\n"
