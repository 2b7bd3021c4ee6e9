"""The command line where a standard stream is closed, full or not read."""

import errno
import os
import subprocess
import sys

import pytest

import superloop_core.cli

FULL = os.path.exists("/dev/full")


def run(shell, **environment):
    """Run the command line in a shell, as ``$superloop``."""
    superloop = f"{sys.executable} -m superloop_core.cli"
    return subprocess.run(
        ["sh", "-c", shell],
        capture_output=True,
        text=True,
        env=os.environ | {"superloop": superloop, **environment},
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_output_is_one_line_of_error(unbuffered):
    if not FULL:
        pytest.skip("there is no /dev/full")
    done = run("$superloop plugins --json > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    assert done.stderr == (
        "superloop: error: the output or a file: No space left on device; "
        "free space there, or raise the limit, and run the command again\n"
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(closed):
    done = run(f"$superloop plugins {closed}")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_with_a_closed_stderr_is_seen_by_its_status():
    done = run("$superloop validate nothing.toml 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_a_pipe_that_nobody_reads_ends_the_command_without_a_word():
    done = run("{ $superloop plugins --json; echo $? >&2; } | true")
    assert done.stderr.strip() in ("0", "1")


def test_a_name_that_is_no_text_is_escaped(tmp_path):
    os.mkdir(os.path.join(os.fsencode(tmp_path), b"a\xff"))
    done = run(f"$superloop doctor {tmp_path}/a*", PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{tmp_path}/a\\udcff" in done.stdout


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            FileNotFoundError(errno.ENOENT, "", "/a/b"),
            "/a/b: No such file or directory; check the path: was it mistyped, deleted or renamed?",
        ),
        (
            PermissionError(errno.EACCES, "", b"/a"),
            "/a: Permission denied; choose a place that you may read and write",
        ),
        (OSError("no number"), "the output or a file: no number"),
    ],
)
def test_an_error_of_the_system_is_one_line(monkeypatch, capsys, error, line):
    def fail():
        raise error

    monkeypatch.setattr(superloop_core.cli, "cli", fail)
    with pytest.raises(SystemExit) as end:
        superloop_core.cli.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == f"superloop: error: {line}\n"
