"""Every test is in a tier: `tox`, `tox -e release` and `tox -e stress` together run all of them."""

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
    expressions = [selections(f"testenv{name}") for name in ("", ":release", ":stress")]
    assert [len(of_one) for of_one in expressions] == [1, 1, 1]
    for slow, release, stress in product((False, True), repeat=3):
        marks = {"slow": slow, "release": release, "stress": stress}
        assert any(eval(expression, marks) for (expression,) in expressions), marks


def test_stress_tests_run_in_their_own_tier_only():
    for name in ("testenv", "testenv:fast", "testenv:release"):
        (expression,) = selections(name)
        assert not eval(expression, {"slow": False, "release": True, "stress": True})
    (expression,) = selections("testenv:stress")
    assert not eval(expression, {"slow": False, "release": True, "stress": False})


def test_the_fast_tier_has_the_tests_without_a_mark():
    (expression,) = selections("testenv:fast")
    for slow, release in product((False, True), repeat=2):
        marks = {"slow": slow, "release": release, "stress": False}
        assert eval(expression, marks) is not (slow or release)
