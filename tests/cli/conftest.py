import pytest
from click.testing import CliRunner

from superloop_core.cli import cli


@pytest.fixture
def superloop():
    """Runs a command in this process; gives its result."""

    def run(*arguments, status=0):
        done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        if status is not None:
            assert done.exit_code == status, f"{done.output}\n{done.exception!r}"
        return done

    return run
