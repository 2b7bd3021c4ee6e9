import keras
import numpy as np
import pytest

from superloop_core import ConfigError, load_model
from superloop_core.config import read_config, read_loop
from superloop_core.loop.trace_selection import ALL
from superloop_core.registry import load_registry

TAPE = {"use": "attention", "id": "tape", "width": 2, "datapoints": 4}
SCRATCH = {"use": "register_memory", "id": "scratch", "depth": 3, "width": 2}
GRU = {"use": "gru", "units": 3}


def with_cell(**inner):
    return {"inputs": 2, "outputs": 2, "cells": [{"use": "superloop", "loop": {"cells": [GRU]} | inner}]}


def with_system(**inner):
    system = {"use": "superloop", "id": "inner", "loop": {"inputs": 3, "outputs": 2, "cells": [GRU]} | inner}
    return {"inputs": 2, "outputs": 2, "cells": [GRU], "systems": [system]}


def test_a_loop_as_the_only_cell_equals_that_loop(made, assert_close):
    plain, feed = made({"inputs": 2, "outputs": 2, "cells": [GRU], "systems": [TAPE, SCRATCH]}, traces=ALL)
    nested, _ = made(with_cell(systems=[TAPE, SCRATCH]), like=plain, traces=ALL)
    traces, expected = nested(feed), plain(feed)
    assert_close(traces["outputs"], expected["outputs"])
    for name in ("tape.position", "tape.read", "scratch.memory", "scratch.control", "cells.0.h"):
        assert_close(traces[f"cells.0.{name}"], expected[name], at=name)
    assert nested.state_names == tuple(
        f"cells.0.{name}"
        for name in ("cells.0.h", "tape.position", "scratch.memory", "tape.read", "scratch.read")
    )


def test_a_loop_as_a_system_maps_the_control_to_its_outputs(made, assert_close):
    outer, feed = made(with_system(systems=[TAPE]), traces=ALL)
    assert set(feed) == {"inputs", "inner_tape_data"}
    traces = outer(feed)
    inner, _ = made(
        {"inputs": 3, "outputs": 2, "cells": [GRU], "systems": [TAPE]}, traces=["tape.position", "outputs"]
    )
    inner.set_weights([weight.numpy() for weight in outer.wiring.systems[0].wiring.weights])
    expected = inner({"inputs": traces["inner.control"], "tape_data": feed["inner_tape_data"]})
    assert_close(traces["inner.outputs"], expected["outputs"])
    assert_close(traces["inner.tape.position"], expected["tape.position"])
    # The cells read the outputs one timestep later.
    assert_close(traces["inner.read"][:, 1:], expected["outputs"][:, :-1])


def test_a_loop_in_a_loop_in_a_loop_is_saved_and_loaded(made, tmp_path, assert_close):
    deep = {"use": "superloop", "loop": {"cells": [GRU], "systems": [SCRATCH]}}
    config = with_cell(cells=[deep, GRU], systems=[SCRATCH])
    layer, feed = made(config, traces="*.memory")
    assert set(layer(feed)) == {"outputs", "cells.0.scratch.memory", "cells.0.cells.0.scratch.memory"}
    inputs = layer.symbolic_inputs()
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")(feed["inputs"])
    for name, trace in model(feed["inputs"]).items():
        assert_close(again[name], trace, at=name)


def test_inner_initial_states_can_be_learned(made):
    learning = GRU | {"learn_initial_state": True}
    layer, _ = made(with_system(cells=[learning]))
    assert sum("initial_cells" in weight.path for weight in layer.weights) == 1
    outer, _ = made(
        {"inputs": 2, "cells": [{**with_cell(systems=[SCRATCH])["cells"][0], "learn_initial_state": True}]}
    )
    assert sum("initial_cells" in weight.path for weight in outer.weights) == 3


def test_in_mixed_precision_all_of_a_system_computes_in_float32(made):
    layer, feed = made(with_system(systems=[SCRATCH]), dtype="mixed_float16", traces=ALL)
    traces = layer(feed)
    assert traces["inner.cells.0.h"].dtype == "float32"
    assert traces["cells.0.h"].dtype == "float16"


def test_a_config_round_trips_and_takes_overrides():
    config = {"loop": with_system(systems=[TAPE], cells=[{"use": "superloop", "loop": {"cells": [GRU]}}])}
    read = read_config(config, load_registry())
    assert read_config(read.to_dict(), load_registry()) == read
    (changed,) = read_config(
        config, load_registry(), ["loop.systems.inner.loop.systems.tape.width=5"]
    ).loop.systems
    assert changed.settings.loop.sources == {"tape_data": (4, 5)}


@pytest.mark.parametrize(
    ("loop", "text"),
    [
        (
            with_cell(cells=[]),
            'loop.cells[0] "superloop".loop: needs a cell: add a [[loop.cells.loop.cells]] table',
        ),
        (with_cell(inputs=2), "'inputs' may not be set here"),
        (with_cell(timesteps=4), "'timesteps' may not be set here"),
        (with_system(inputs=0), "'inputs' must be >= 1"),
        (with_system(outputs=0), "'outputs' must be >= 1"),
        (with_system(cells=[{"use": "gru", "unit": 3}]), "no setting 'unit'; did you mean 'units'?"),
        ({"inputs": 2, "cells": [{"use": "superloop"}]}, "'loop' is missing"),
        ({"inputs": 2, "cells": [{"use": "superloop", "loop": 3}]}, "must be a table: 3"),
    ],
)
def test_inner_problems_have_their_place(loop, text):
    with pytest.raises(ConfigError) as error:
        read_loop(loop, load_registry())
    problems = [str(problem) for problem in error.value.problems]
    assert any(text in problem for problem in problems), problems
    assert all(".loop" in problem or "is missing" in problem for problem in problems)


def test_two_cells_cannot_share_a_source_name_but_layers_of_one_cell_share_it(made):
    twice = {"use": "superloop", "loop": {"cells": [GRU], "systems": [TAPE]}}
    with pytest.raises(ConfigError, match="two inputs of the loop would be called 'tape_data'"):
        read_loop({"inputs": 2, "cells": [twice, twice]}, load_registry())
    layer, feed = made({"inputs": 2, "cells": [twice | {"layers": 2}]})
    assert set(feed) == {"inputs", "tape_data"}
    outputs = layer(feed)
    assert outputs.shape == (3, 4, 3)
    assert np.isfinite(outputs).all()
