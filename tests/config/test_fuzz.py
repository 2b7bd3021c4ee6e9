"""Mangled configs: each is read, or rejected by an error of ours that fits on a screen; never a traceback."""

import json
import string
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superloop_core import SuperloopError
from superloop_core.config import read_config
from superloop_core.config.files import apply_overrides, load_dict
from superloop_core.config.forms import read_any
from superloop_core.config.original import read_original
from superloop_core.registry import load_registry

REGISTRY = load_registry()
FOLDER = Path(__file__).parents[2] / "docs/examples"
EXAMPLES = [tomllib.loads(path.read_text()) for path in sorted(FOLDER.glob("*.toml"))]
ORIGINAL = {
    "timesteps": 8,
    "model_inputs": 3,
    "model_outputs": 2,
    "recurrent_model": "SGU",
    "recurrent_layers": 1,
    "recurrent_units": 4,
    "superloop_models": ["Attention", "RegisterMemory"],
    "Attention": {"datapoints": 4, "outputs": 2},
    "RegisterMemory": {"registers": 3, "register_width": 2},
}
LIMIT = 4_000  # characters of a message

PLUGINS = {record.name for record in REGISTRY.records}
NAMES = sorted(PLUGINS | {"loop", "cells", "systems", "use", "id", "units"})
LONG = [
    "x" * 100_000, "\x1b]0;owned\x07" * 9_000, "\u202e", "\udcff", "\0", "", " ", "a.b", "..", "[/bold]",
    "superloop-plugin-cells:" + "x" * 5_000, ":" * 3_000, "é" * 3_000, "$HOME {0} %s",
]  # fmt: skip
texts = st.sampled_from([*NAMES, *LONG]) | st.text(max_size=9)
scalars = (
    texts
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**4_000, -1, 0, 10**30, float("nan"), float("inf"), b"bytes", 1j, object(), set()])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=6,
)
large = st.sampled_from(
    [
        [{"use": "gru"}] * 300,
        [{"use": "x" * 200}] * 300,
        [{"use": "stack", "id": "\x1b" * 500}] * 30,
        {f"setting_{number}": number for number in range(2_000)},
        {"x" * 3_000 + str(number): None for number in range(200)},
        [[]] * 3_000,
        "[" * 3_000,
    ]
)


def places(data, path=()):
    """The paths of all values of a config."""
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def changed(data, path, change):
    """A copy with one value changed; ``change`` has the table or list that holds it, and its key."""
    if len(path) == 0:
        return data
    copy = dict(data) if isinstance(data, dict) else list(data)
    if len(path) == 1:
        change(copy, path[0])
    else:
        copy[path[0]] = changed(copy[path[0]], path[1:], change)
    return copy


@st.composite
def mangled(draw, bases):
    """A config with one to three values replaced, removed, renamed, doubled or added."""
    data = draw(st.sampled_from(bases))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in places(data) if path]))
        kind, value, name = draw(st.integers(0, 4)), draw(values | large), draw(texts)

        def change(holder, key, kind=kind, value=value, name=name):
            if kind == 0 and isinstance(holder, dict):
                del holder[key]
            elif kind == 1 and isinstance(holder, dict):
                holder[name] = holder.pop(key)
            elif kind == 2 and isinstance(holder, dict):
                holder[name] = value
            elif kind == 3 and isinstance(holder, list):
                holder.append(value)
            else:
                holder[key] = value

        data = changed(data, path, change)
    return data


PIECES = [
    *(mark.encode() for mark in string.punctuation),
    *(b"\n", b"\xff\xfe", b"\xef\xbb\xbf", b'"""', b"[[a]]\n", b"1e999", b"9" * 5_000, b"[" * 2_000),
    *(b"a." * 2_000, b"x" * 9_000, b'"\\ud800"', b"1979-05-27", b"null", b"NaN"),
]


@st.composite
def mangled_text(draw, bases):
    """The bytes of a TOML or JSON file, with pieces replaced, and its ending."""
    data, ending = draw(st.sampled_from(bases)), draw(st.sampled_from([".toml", ".json", ".TOML", ".yaml"]))
    raw = (json.dumps(data) if ending == ".json" else tomli_w.dumps(data)).encode()
    pieces = st.binary(max_size=4) | st.sampled_from(PIECES)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        raw = raw[:start] + draw(pieces) + raw[start + draw(st.integers(0, 9)) :]
    return raw, ending


keys = st.sampled_from([*NAMES, "0", "1", "99", "-1", "", " ", "9" * 5_000]) | texts
written = ["1", "[1, 2", "{a = 1}", '"""', "1979-05-27", "9" * 5_000, "[" * 2_000, "1\nb = 2"]
overrides = st.builds(
    lambda path, value: ".".join(path) + "=" + value,
    st.lists(keys, min_size=1, max_size=6),
    texts | st.sampled_from(written),
)


def assert_read_or_rejected(read):
    """Check that a config is read, or that the error is ours, printable, and fits."""
    try:
        return read()
    except SuperloopError as error:
        told = str(error)
        assert 0 < len(told) <= LIMIT
        assert told.replace("\n", "").replace("\t", "").isprintable()
        for problem in getattr(error, "problems", ()):
            assert 0 < len(str(problem)) <= LIMIT


def check_dict(data):
    config = assert_read_or_rejected(lambda: read_config(data, REGISTRY))
    if config is not None:
        assert read_config(config.to_dict(), REGISTRY) == config
    assert_read_or_rejected(lambda: read_any(data))
    assert_read_or_rejected(
        lambda: read_any(data.get("loop", {})) if isinstance(data.get("loop"), dict) else 0
    )


def check_file(folder, text):
    raw, ending = text
    path = folder / f"config{ending}"
    path.write_bytes(raw)
    assert_read_or_rejected(lambda: read_config(path, REGISTRY))


def check_overrides(data, given):
    assert_read_or_rejected(lambda: read_config(data, REGISTRY, given))
    assert_read_or_rejected(lambda: apply_overrides(data, given))


quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
thorough = settings(quick, max_examples=2_500, deadline=20_000)  # milliseconds: nothing hangs


@quick
@given(mangled(EXAMPLES))
def test_a_mangled_config_is_read_or_rejected(data):
    check_dict(data)


@quick
@given(mangled([ORIGINAL]))
def test_a_mangled_config_of_the_original_is_read_or_rejected(data):
    assert_read_or_rejected(lambda: read_original(data, REGISTRY))


@quick
@given(mangled_text(EXAMPLES))
def test_a_mangled_file_is_read_or_rejected(tmp_path, text):
    check_file(tmp_path, text)


@quick
@given(st.sampled_from(EXAMPLES), st.lists(overrides, min_size=1, max_size=3))
def test_mangled_overrides_are_taken_or_rejected(data, given):
    check_overrides(data, given)


@pytest.mark.release
@thorough
@given(mangled(EXAMPLES))
def test_thousands_of_mangled_configs_are_read_or_rejected(data):
    check_dict(data)


@pytest.mark.release
@thorough
@given(mangled_text(EXAMPLES))
def test_thousands_of_mangled_files_are_read_or_rejected(tmp_path, text):
    check_file(tmp_path, text)


@pytest.mark.release
@settings(thorough, max_examples=1_000)
@given(mangled([ORIGINAL]), st.sampled_from(EXAMPLES), st.lists(overrides, min_size=1, max_size=3))
def test_a_thousand_mangled_originals_and_overrides_are_read_or_rejected(original, data, given):
    assert_read_or_rejected(lambda: read_original(original, REGISTRY))
    check_overrides(data, given)


@pytest.mark.parametrize(
    "data",
    [
        {"loop": {f"unknown_{number}": 1 for number in range(70_000)}},
        {f"unknown_{number}": {} for number in range(70_000)},
        {"loop": {"cells": [{"use": f"unknown_{number}"} for number in range(20_000)]}},
        {"loop": {"systems": [{"use": "stack", "id": "x"}] * 20_000}},
        {"loop": {"cells": [{"use": "x" * 500_000}]}},
        {"loop": {"cells": [{"use": "gru", "units": "x" * 500_000}]}},
        {"loop": {"cells": [{"use": "gru", "x" * 500_000: 1}]}},
        {"loop": {"systems": [{"use": "stack", "id": "x" * 500_000}] * 2}},
        {"plugins": {f"unknown_{number}": 1 for number in range(70_000)}},
    ],
    ids=range(9),
)
def test_a_config_with_mistakes_without_number_is_rejected_in_few_words(data, tmp_path):
    with pytest.raises(SuperloopError) as refused:
        read_config(data, REGISTRY)
    assert len(str(refused.value)) <= LIMIT
    assert len(refused.value.problems) <= 101
    (tmp_path / "c.json").write_text(json.dumps(data)[:900_000] + "}}")
    assert_read_or_rejected(lambda: load_dict(tmp_path / "c.json"))


def test_a_number_with_too_many_digits_is_rejected():
    for loop in (
        {"inputs": 1 << 20_000},
        {"cells": [{"use": "gru", "units": 1 << 20_000}]},
        {1 << 20_000: 1},
    ):
        assert assert_read_or_rejected(lambda loop=loop: read_config({"loop": loop}, REGISTRY)) is None
