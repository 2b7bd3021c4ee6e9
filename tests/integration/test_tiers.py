"""Every test is in a tier: `tox` and `tox -e release` together run all of them."""

import re
from configparser import ConfigParser
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]


def selections(environment):
    """Return the expressions of markers with which an environment of tox runs pytest."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    commands = [line for line in tox[environment]["commands"].splitlines() if "pytest " in line]
    assert not any(" -k " in command for command in commands)
    return [re.search(r'-m "([^"]+)"', command)[1] for command in commands]


def test_no_test_is_left_out_of_every_tier():
    expressions = [*selections("testenv"), *selections("testenv:release")]
    assert len(expressions) == 2
    for slow, release in product((False, True), repeat=2):
        marks = {"slow": slow, "release": release}
        assert any(eval(expression, marks) for expression in expressions), marks


def test_the_fast_tier_has_the_tests_without_a_mark():
    (expression,) = selections("testenv:fast")
    for slow, release in product((False, True), repeat=2):
        assert eval(expression, {"slow": slow, "release": release}) is not (slow or release)
