"""Progress where there is no terminal: nothing of what is quick, and a line from time to time of what is not."""

from __future__ import annotations

import pytest

from parscope.cli.progress import progress_bar


def test_a_log_gets_a_line_from_time_to_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress_bar("set-up", "steps", logged=True) as show:
        show("learn, loss 1.5", 200, 4000)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("parscope.cli.progress._QUIET", 0.0)
    with progress_bar("set-up", "steps", logged=True) as show:
        show("learn, loss [1.5]", 200, 4000)
    assert capsys.readouterr().err == "learn, loss [1.5]: 200 of 4000 steps\n"
    with progress_bar("set-up") as show:
        show("fit", 1, 2)
    assert capsys.readouterr().err == ""
