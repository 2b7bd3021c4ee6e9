"""Codes that a terminal obeys are escaped, whatever file or name they come from."""

import pytest
from click.testing import CliRunner

from superloop_core.cli import cli
from superloop_core.errors import ConfigError, Problem, TraceError, WeightsError, printable

CODES = "\x1b]0;owned\x07\x9b2J\x08\r\u202e"
LOOP = '[loop]\ninputs = 1\n[[loop.cells]]\nuse = "gru"\nunits = 1\n'


def is_safe(text):
    return text.replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize("kind", [ConfigError, TraceError, WeightsError])
def test_an_error_escapes_what_it_quotes(kind):
    assert is_safe(str(kind(f"a table {CODES}")))
    assert is_safe(str(ConfigError([Problem(CODES, CODES)])))


def test_lines_and_tabs_stay():
    assert printable("a\n\tb é 日本") == "a\n\tb é 日本"


@pytest.mark.parametrize(
    "text",
    [
        f'{LOOP}["{CODES.encode("unicode_escape").decode().replace("x", "u00")}"]\n',
        LOOP.replace("gru", "\\u001b[2J"),
        LOOP + 'id = "\\u001b[2J"\n',
        LOOP.replace("units", '"\\u001b[2J"'),
        f"{LOOP}{CODES}",
        LOOP + '[plugins]\n"\\u001b[2J" = "\\u009b2J"\n',
    ],
    ids=["table", "plugin", "key", "setting", "syntax", "version"],
)
def test_validate_escapes_what_a_config_holds(tmp_path, text):
    path = tmp_path / "a.toml"
    path.write_text(text)
    done = CliRunner().invoke(cli, ["validate", str(path)])
    assert is_safe(done.output)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("superloop-plugin-x:y", "pip install superloop-plugin-x"),
        ("süperloop:y", None),
        ("x;y:z", None),
        ("-r:z", None),
        ("x\x1b[2J:z", None),
    ],
)
def test_only_a_name_of_pep_508_is_an_argument_of_pip(tmp_path, name, hint):
    path = tmp_path / "a.json"
    import json

    path.write_text(json.dumps({"loop": {"inputs": 1, "cells": [{"use": name}]}}))
    done = CliRunner().invoke(cli, ["validate", str(path)])
    assert done.exit_code == 2
    assert is_safe(done.output)
    assert ("pip install" in done.output) == (hint is not None)
    assert (hint or "") in done.output
