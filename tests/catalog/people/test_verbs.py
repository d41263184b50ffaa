"""The verbs do the same on both databases."""

from __future__ import annotations

from typer.testing import CliRunner

from parscope.catalog.store.catalog import Catalog
from parscope.cli.main import app


def test_find_note_show_and_saved_take_any_address(address: str) -> None:
    def told(*arguments: str) -> str:
        answer = CliRunner().invoke(app, [*arguments, "--catalog", address])
        assert (answer.exit_code, answer.stderr) == (0, ""), answer.output
        return answer.stdout

    with Catalog(address) as catalog:
        one, two = catalog.add_many([{"name": "one", "dose": 3}, {"name": "two", "dose": 5, "odd": float("nan")}])
    told("find", "annotation.sample exists", "--save", "samples", "--subscribe")
    told("note", two[:10], "--set", "sample=PZT", "--tag", "good", "--derived-from", one)
    assert told("saved", "samples", "--new").split() == [two]
    assert told("find", 'dose > 4 and tagged "good" and odd = nan', "--ids").split() == [two]
    assert told("find", "--order", "dose", "--reverse", "--ids").split() == [one, two]
    assert told("find", "--facet", "dose").splitlines()[0] == "dose  records"
    assert told("find", "--paths", "do%").split()[-3:] == ["dose", "2", "number"]
    assert f"derived from\n  {one[:8]} one" in told("show", two)
