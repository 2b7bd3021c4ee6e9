import errno
import sys

import pytest
from superloop_plugin_lab.progress import progress


class Terminal:
    """A stream that shows what is written to it, or fails."""

    encoding = "utf-8"

    def __init__(self, error=None):
        self.error = error
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        if self.error is not None:
            raise self.error
        self.text += text

    def flush(self):
        if self.error is not None:
            raise self.error


@pytest.fixture
def terminal(monkeypatch):
    def make(error=None):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", Terminal(error))
        return sys.stderr

    return make


def test_brackets_in_a_path_are_shown_as_they_are(terminal):
    stream = terminal()
    with progress("measuring", 2, leaves_no_trace=True) as show:
        show(1, "of runs/foo[/bar][red]")
    assert "of runs/foo[/bar][red]" in stream.text


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), BrokenPipeError(), ValueError("I/O operation on closed file")]
)
@pytest.mark.parametrize("leaves_no_trace", [True, False])
def test_a_bar_that_cannot_be_shown_ends_nothing(terminal, error, leaves_no_trace):
    terminal(error)
    done = 0
    with progress("training", 3, leaves_no_trace=leaves_no_trace) as show:
        for done in (1, 2, 3):
            show(done, "loss 1")
    assert done == 3
