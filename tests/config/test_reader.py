"""Configs: what is read, what is refused and how it is told."""

import json
import tomllib

import attrs
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superloop_core import ConfigError
from superloop_core.config import read_config, read_loop
from superloop_core.config.schema import WIRING
from superloop_core.registry import load_registry

PLUGINS = load_registry()
TAPE = {"use": "attention", "id": "tape", "width": 3}
REGISTERS = {"use": "register_memory", "id": "scratch", "depth": 2, "width": 4}


def loop(**changes):
    """A small valid loop, changed."""
    return {"inputs": 2, "cells": [{"use": "gru", "units": 3}], "systems": [TAPE, REGISTERS]} | changes


def problems(data):
    """What is told of a loop that is refused."""
    with pytest.raises(ConfigError) as refused:
        read_loop(data, PLUGINS)
    return [str(problem) for problem in refused.value.problems]


def test_a_loop_holds_the_plugins_settings_by_qualified_names():
    read = read_loop(loop(), PLUGINS)
    assert read.cells[0].use == "superloop-plugin-cells:gru"
    assert read.cells[0].settings.units == 3
    assert [system.id for system in read.systems] == ["tape", "scratch"]
    assert read.sources == {"tape_data": (None, 3)}
    assert read.feedback_size == 3 + 4


def test_a_system_without_an_id_is_called_by_its_name():
    (system,) = read_loop(loop(systems=[{"use": "Attention", "width": 1}]), PLUGINS).systems
    assert system.id == "attention"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"timestep": 3}, "loop: no setting 'timestep'; did you mean 'timesteps'?"),
        ({"inputs": -2}, "loop: 'inputs' must be >= 0: -2"),
        ({"inputs": True}, "loop: 'inputs' must be an integer: True (bool)"),
        ({"inputs": 1.0}, "loop: 'inputs' must be an integer: 1.0 (float)"),
        ({"inputs": "2"}, "loop: 'inputs' must be an integer: '2' (str)"),
        ({"inputs": None}, "loop: 'inputs' must be an integer: None (NoneType)"),
        (
            {"outputs_read_systems": 1},
            "loop: 'outputs_read_systems' must be true or false: 1 (int)",
        ),
        ({"cells": []}, "loop: needs a cell: add a [[loop.cells]] table with use = NAME"),
        (
            {"cells": {"use": "gru"}},
            "loop.cells: must be a list of tables: {'use': 'gru'}; write [[loop.cells]]",
        ),
        ({"cells": [3]}, "loop.cells[0]: must be a table: 3"),
        ({"cells": [{"units": 3}]}, "loop.cells[0]: 'use' is missing; write use = NAME"),
        (
            {"cells": [{"use": 7}]},
            "loop.cells[0]: 'use' must be the name of a cell: 7; write use = NAME",
        ),
        ({"cells": [{"use": "gru"}]}, "loop.cells[0] \"gru\": 'units' is missing; it must be an integer"),
        (
            {"cells": [{"use": "gru", "units": 3, "layers": 0}]},
            "loop.cells[0] \"gru\": 'layers' must be >= 1: 0",
        ),
        (
            {"cells": [{"use": "gru", "units": 3, "dropout": 1}]},
            "loop.cells[0] \"gru\": 'dropout' must be < 1: 1.0",
        ),
        ({"cells": [{"use": "grus", "units": 3}]}, "loop.cells[0]: no cell 'grus'; did you mean 'gru'?"),
        (
            {"systems": [TAPE | {"kernel": "inverse_squared"}]},
            "loop.systems[0] \"tape\": 'kernel' must be one of 'inverse_square', 'inverse_distance': "
            "'inverse_squared'; did you mean 'inverse_square'?",
        ),
        (
            {"systems": [TAPE, REGISTERS | {"id": "tape"}]},
            "loop.systems: 2 systems have the id 'tape'; give each an id of its own",
        ),
        (
            {"systems": (TAPE, TAPE)},
            "loop.systems: 2 systems have the id 'tape'; give each an id of its own",
        ),
        ({"cells": 1 << 20_000}, "loop.cells: must be a list of tables: <int>"),
        ({"systems": [TAPE | {"id": "cells"}]}, "loop.systems: the id 'cells' is taken by the loop itself"),
        ({"systems": [TAPE | {"id": "a/b"}]}, "loop.systems: an id must consist of letters, digits"),
        ({"systems": [TAPE | {"id": 3}]}, "loop.systems[0] \"3\": 'id' must be a string: 3 (int)"),
        ({"inputs": 0, "systems": []}, "loop: has neither inputs nor systems"),
        ({"inputs": 0}, "loop: 'timesteps' must be >= 1 where inputs = 0"),
        ({"timesteps": 3, "suppress_output": 3}, "loop: 'suppress_output' must be < timesteps (3): 3"),
        ({"outputs_read_systems": True}, "loop: 'outputs_read_systems' needs outputs >= 1 and a system"),
        (
            {"systems": [TAPE | {"id": "a_data"}, TAPE | {"id": "a", "use": "attention"}]},
            None,
        ),
    ],
)
def test_a_wrong_loop_is_reported_with_its_place_rule_value_and_next_move(change, told):
    if told is None:
        assert read_loop(loop(**change), PLUGINS).sources.keys() == {"a_data_data", "a_data"}
    else:
        assert any(problem.startswith(told) for problem in problems(loop(**change)))


def test_every_problem_is_reported_at_once():
    data = loop(
        timestep=3,
        inputs=-1,
        cells=[{"use": "lstmm"}, {"use": "gru", "unit": 3}],
        systems=[TAPE | {"width": 0}, REGISTERS | {"id": "tape", "depth": "two"}],
    )
    told = problems(data)
    for place in ("loop:", "loop.cells[0]", "loop.cells[1]", "loop.systems[0]", "loop.systems[1]"):
        assert any(problem.startswith(place) for problem in told), place
    assert "loop.systems: 2 systems have the id 'tape'; give each an id of its own" in told
    assert len(told) == 8


def test_a_config_file_with_a_table_that_nobody_owns_is_rejected():
    with pytest.raises(ConfigError, match=r"no table \[tsak\]; did you mean 'task'\?"):
        read_config({"loop": loop(), "tsak": {}}, PLUGINS)
    with pytest.raises(ConfigError, match=r"a table \[loop\] is missing"):
        read_config({}, PLUGINS)
    with pytest.raises(ConfigError, match="train: must be a table: 3"):
        read_config({"loop": loop(), "train": 3}, PLUGINS)
    with pytest.raises(ConfigError, match="task: no task 'parity'"):
        read_config({"loop": loop(), "task": {"use": "parity"}}, PLUGINS)
    with pytest.raises(ConfigError, match="plugins: 'cells' must be a string: 3"):
        read_config({"loop": loop(), "plugins": {"cells": 3}}, PLUGINS)


def test_a_config_comes_back_from_toml_and_json_as_it_was(tmp_path):
    config = read_config(
        {"loop": loop(), "train": {"steps": 3}, "task": {"use": "last_two_before_nine"}}, PLUGINS
    )
    (tmp_path / "config.toml").write_text(tomli_w.dumps(config.to_dict()))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert read_config(tmp_path / "config.toml", PLUGINS) == config
    assert read_config(tmp_path / "config.json", PLUGINS) == config


cells = st.fixed_dictionaries(
    {
        "use": st.sampled_from(["gru", "LSTM", "superloop-plugin-cells:simple_rnn"]),
        "units": st.integers(1, 99),
    },
    optional={"layers": st.integers(1, 40), "dropout": st.floats(0, 0.99)},
)
systems = st.one_of(
    st.fixed_dictionaries(
        {"use": st.just("attention"), "width": st.integers(1, 9)},
        optional={
            "kernel": st.sampled_from(["inverse_square", "inverse_distance"]),
            "bounded": st.booleans(),
        },
    ),
    st.fixed_dictionaries(
        {"use": st.just("register_memory"), "depth": st.integers(1, 9), "width": st.integers(1, 9)}
    ),
)


@given(
    cells=st.lists(cells, min_size=1, max_size=3),
    systems=st.lists(systems, max_size=3),
    timesteps=st.integers(0, 99),
    outputs=st.integers(0, 9),
)
def test_any_valid_loop_survives_toml(cells, systems, timesteps, outputs):
    systems = [system | {"id": f"s{index}"} for index, system in enumerate(systems)]
    data = loop(cells=cells, systems=systems, timesteps=timesteps, outputs=outputs)
    read = read_loop(data, PLUGINS)
    assert read_loop(tomllib.loads(tomli_w.dumps(read.to_dict())), PLUGINS) == read


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["use", "id", "units", "layers", "cells", "systems", "inputs", "width", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw builds the strategies
@given(st.dictionaries(st.sampled_from(["loop", "train", "task", "plugins", "x"]), junk))
def test_junk_is_rejected_and_nothing_worse(data):
    with pytest.raises(ConfigError) as refused:
        read_config(data, PLUGINS)
    assert refused.value.problems


def test_the_number_of_cells_and_systems_is_bounded_also_in_nested_loops():
    gru, stack = {"use": "gru", "units": 1}, {"use": "stack", "depth": 2, "width": 1}
    read = read_loop({"inputs": 1, "cells": [gru | {"layers": 100}] * 10}, load_registry())
    assert len(read.cells) == 10
    inner = {"use": "superloop", "layers": 100, "loop": {"cells": [gru | {"layers": 9}]}}
    assert read_loop({"inputs": 1, "cells": [inner]}, load_registry()).cells[0].layers == 100
    inner["loop"]["cells"].append(gru)
    many = {
        "1,001": {"cells": [gru | {"layers": 100}] * 10 + [gru]},
        "2,001": {"cells": [gru], "systems": [stack | {"id": f"s{index}"} for index in range(2000)]},
        "1,100": {"cells": [inner]},
    }
    for count, loop in many.items():
        with pytest.raises(ConfigError, match=f"1,000 cells and systems at most, .* included: {count}$"):
            read_loop({"inputs": 1} | loop, load_registry())


def test_no_plugin_here_has_a_setting_with_the_name_of_a_connection():
    parts = [record for record in load_registry().records if record.kind in ("cell", "system")]
    for record in parts:
        names = {field.alias for field in attrs.fields(record.spec.config)}
        assert not names & set(WIRING), record.qualified_name
