import numpy as np
import pytest
from click.testing import CliRunner
from superloop_plugin_view.commands import plot_command

from superloop_core import ConfigError, TraceError, Traces


@pytest.fixture
def file(tmp_path):
    rng = np.random.default_rng(0)
    traces = Traces(arrays={"memo.cells": rng.random((3, 5, 4, 2)), "memo.gates": rng.random((3, 5, 3))})
    traces.save(tmp_path / "traces.npz")
    return tmp_path / "traces.npz"


def run(*arguments):
    return CliRunner().invoke(plot_command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_a_file_of_traces_is_drawn(file, tmp_path):
    out = tmp_path / "new" / "figure.pdf"
    result = run(
        file, "--out", out, "--trace", "memo.c*", "--sequence", 2, "--width", "column", "--font-size", 8
    )
    assert (result.exit_code, result.output) == (0, f"{out}\n")
    assert out.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--out", "a.docx"), ConfigError, "must end in one of .pdf, .png, .svg, .eps"),
        (("--out", "a.pdf", "--sequence", 3), ConfigError, "--sequence must be from 0 to 2: 3"),
        (
            ("--out", "a.pdf", "--width", "broad"),
            ConfigError,
            "must be column, page or from 1 to 100 inches: broad",
        ),
        (("--out", "a.pdf", "--trace", "memo.gate"), TraceError, "did you mean 'memo.gates'"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(file, tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        run(file, *arguments)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        run(tmp_path / "nothing.npz", "--out", "a.pdf")
