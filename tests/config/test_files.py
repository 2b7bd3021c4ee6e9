"""Config files as dicts, and overrides."""

import codecs
import os

import pytest

from superloop_core import ConfigError
from superloop_core.config.files import apply_overrides, load_dict


def loop():
    return {
        "inputs": 2,
        "cells": [{"use": "gru", "units": 3}, {"use": "superloop-plugin-cells:lstm", "units": 4}],
        "systems": [{"use": "attention", "id": "tape"}, {"use": "register_memory", "id": "scratch"}],
    }


def test_files_that_cannot_be_configs_are_rejected_in_a_line(tmp_path):
    deep = "[" * 5000 + "]" * 5000
    for name, text, told in (
        ("a.toml", "loop = ", "is not valid TOML"),
        ("b.json", "{", "is not valid JSON"),
        ("c.json", "[]", "must hold a table, not a list"),
        ("d.yaml", "loop: 1", "must be a .toml or a .json file"),
        ("e.json", '{"loop":' + deep + "}", "."),
        ("f.json", '{"loop":' + "[" * 40 + "]" * 40 + "}", "nested 32 deep at most"),
        ("g.toml", "#" * 1_000_001, "1,000,000 bytes at most: 1,000,001"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=told):
            load_dict(tmp_path / name)
    (tmp_path / "h.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_dict(tmp_path / "h.toml")
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory; check the path"):
        load_dict(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(
        ConfigError, match="cannot be read: Is a directory; a folder is in the place of a file"
    ):
        load_dict(tmp_path / "folder.toml")


@pytest.mark.parametrize("source", [None, 5, [1]])
def test_what_is_neither_a_dict_nor_a_path_is_rejected(source):
    with pytest.raises(ConfigError, match="a config must be a dict or a path"):
        load_dict(source)


def test_overrides_reach_tables_list_entries_by_index_id_and_plugin_and_leave_the_dict_alone():
    data = {"loop": loop()}
    changed = apply_overrides(
        data,
        [
            "loop.timesteps=7",
            "loop.cells.0.units=9",
            "loop.cells.gru.layers = 2",
            "loop.cells.lstm.units = 5",
            "loop.systems.tape.kernel=inverse_distance",
            'loop.systems.scratch.id="pad"',
            "train.learning_rate=1e-3",
        ],
    )
    assert changed["loop"]["timesteps"] == 7
    gru, lstm = changed["loop"]["cells"]
    assert gru == {"use": "gru", "units": 9, "layers": 2}
    assert lstm["units"] == 5
    assert changed["loop"]["systems"][0]["kernel"] == "inverse_distance"
    assert changed["loop"]["systems"][1]["id"] == "pad"
    assert changed["train"] == {"learning_rate": 1e-3}
    assert data == {"loop": loop()}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("loop.timesteps", "must read KEY=VALUE"),
        ("=3", "must read KEY=VALUE"),
        ("loop.cells.2.units=3", "no entry '2'"),
        ("loop.systems.tap.width=3", "no entry 'tap'; did you mean 'tape'?"),
        ("loop.inputs.x=3", "'inputs' is a value, and has no 'x'"),
        ("loop.twins.gru.units=3", "'gru' names 2 entries; write an index of [0, 1]"),
    ],
)
def test_an_override_that_leads_nowhere_is_rejected(override, told):
    with pytest.raises(ConfigError) as refused:
        apply_overrides({"loop": loop() | {"twins": [{"use": "gru"}, {"use": "gru"}]}}, [override])
    assert told in str(refused.value)


TOML, JSON = '[loop]\ninputs = 3\nname = "é"\n', '{"loop": {"inputs": 3, "name": "é"}}'


@pytest.mark.parametrize("name", ["c.toml", "c.TOML", "c.Toml", "c.json", "C.JSON"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_byte_order_mark_and_an_ending_in_capitals_are_read(name, mark, tmp_path):
    text = TOML if name.lower().endswith("toml") else JSON
    (tmp_path / name).write_bytes(mark + text.encode())
    assert load_dict(tmp_path / name) == {"loop": {"inputs": 3, "name": "é"}}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (TOML.encode("utf-16"), "begins with the byte order mark of UTF-16 or UTF-32; save it as UTF-8"),
        (TOML.encode("utf-32"), "begins with the byte order mark of UTF-16 or UTF-32; save it as UTF-8"),
        (codecs.BOM_UTF16_BE + TOML.encode("utf-16-be"), "begins with the byte order mark"),
        (codecs.BOM_UTF32_BE + TOML.encode("utf-32-be"), "begins with the byte order mark"),
        (TOML.encode("utf-16-le"), "holds null bytes, as text in UTF-16 does; save it as UTF-8"),
        (TOML.encode("latin-1"), "line 3 is not in UTF-8"),
    ],
)
@pytest.mark.parametrize("name", ["c.toml", "c.json"])
def test_another_encoding_is_rejected_in_words(name, raw, told, tmp_path):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(ConfigError) as refused:
        load_dict(tmp_path / name)
    assert told in str(refused.value)
    assert "codec" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', '{"a": {"b": [{"a": 1, "c": 2, "a": 1}]}}', '{"a": 1, "\\u0061": 2}']
)
def test_a_key_that_stands_twice_in_a_json_object_is_rejected(text, tmp_path):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ConfigError, match=r"is not valid JSON: the key 'a' stands 2 times in one object"):
        load_dict(tmp_path / "c.json")


@pytest.mark.parametrize("key", ["loop.cells..units", ".loop", "loop.", "loop. .x", ".", "..", " . "])
def test_an_empty_part_of_a_dotted_key_is_rejected(key):
    with pytest.raises(ConfigError, match="a dotted key must have a name before, between and after its dots"):
        apply_overrides({"loop": loop()}, [f"{key}=7"])


@pytest.mark.parametrize(
    "override",
    [
        "a." * 40 + "b=1",
        "loop.cells." + "9" * 5_000 + ".units=1",
        "loop.x=" + "[" * 40 + "]" * 40,
        "x" * 100_000,
        "loop.cells." + "x" * 100_000 + ".units=1",
        "loop.inputs." + "x" * 100_000 + "=1",
    ],
    ids=len,
)
def test_an_override_without_measure_is_rejected_in_a_line(override):
    with pytest.raises(ConfigError) as refused:
        apply_overrides({"loop": loop()}, [override])
    assert len(str(refused.value)) < 1_000


def test_an_integer_with_too_many_digits_is_text():
    assert apply_overrides({}, ["a=" + "9" * 5_000]) == {"a": "9" * 5_000}


@pytest.mark.parametrize("key", [3, None, ("a",), 1 << 20_000, b"loop"], ids=lambda key: str(type(key)))
def test_a_key_that_is_no_string_is_rejected(key):
    with pytest.raises(ConfigError, match="the keys of a table must be strings"):
        load_dict({"loop": {"cells": [{key: 1}]}})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_device_or_a_pipe_is_no_config(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    for name in ("pipe.toml", "zero.toml"):
        with pytest.raises(ConfigError, match=f"{name}: is a device or a pipe, not a regular file"):
            load_dict(tmp_path / name)


def test_an_integer_of_5000_digits_is_rejected_in_every_form(tmp_path):
    digits = "9" * 5000
    (tmp_path / "a.toml").write_text(f"x = {digits}")
    (tmp_path / "a.json").write_text(f'{{"x": {digits}}}')
    for name in ("a.toml", "a.json"):
        with pytest.raises(ConfigError, match=r"is not valid .*: Exceeds the limit"):
            load_dict(tmp_path / name)
    assert apply_overrides({}, [f"x={digits}"]) == {"x": digits}  # a string, which no number takes
