import json
from pathlib import Path

import pytest
from superloop_plugin_lab.evaluation import Evaluation
from superloop_plugin_lab.measurement import Measurement
from superloop_plugin_lab.report import print_evaluations


@pytest.fixture
def row():
    measured = Measurement(loss=1.0, accuracy=0.5, metrics={"bits[/]": float("nan"), "more": float("inf")})
    return Evaluation(
        run=Path("runs/a[/b]"), trained=(1, 4), length=4, timesteps=4, sequences=8, measured=measured
    )


def test_a_figure_that_is_not_finite_is_null_in_json(row, capsys):
    print_evaluations([row], as_json=True)
    (read,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (read["bits[/]"], read["more"], read["accuracy"]) == (None, None, 0.5)


def test_names_with_brackets_are_printed_as_they_are(row, capsys):
    print_evaluations([row], as_json=False)
    shown = capsys.readouterr().out
    assert "bits[/]" in shown
    assert "nan" in shown
