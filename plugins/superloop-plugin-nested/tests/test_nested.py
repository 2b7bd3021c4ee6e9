import keras
import numpy as np
import pytest

from superloop_core import ConfigError, Superloop, load_model
from superloop_core.config import read_config, read_loop
from superloop_core.loop.traces import ALL
from superloop_core.registry import load_registry

TAPE = {"use": "attention", "id": "tape", "width": 2, "datapoints": 4}
SCRATCH = {"use": "register_memory", "id": "scratch", "depth": 3, "width": 2}
GRU = {"use": "gru", "units": 3}


def with_cell(**inner):
    return {"inputs": 2, "outputs": 2, "cells": [{"use": "superloop", "loop": {"cells": [GRU]} | inner}]}


def with_system(**inner):
    system = {"use": "superloop", "id": "inner", "loop": {"inputs": 3, "outputs": 2, "cells": [GRU]} | inner}
    return {"inputs": 2, "outputs": 2, "cells": [GRU], "systems": [system]}


def test_a_loop_that_is_the_only_cell_is_that_loop(made, assert_close):
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


def test_a_loop_that_is_a_system_is_fed_the_control_and_answers_with_its_outputs(made, assert_close):
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
    assert_close(traces["inner.read"][:, 1:], expected["outputs"][:, :-1])  # the loop closes a timestep later


def test_loops_nest_as_deep_as_one_likes_and_are_saved(made, tmp_path, assert_close):
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


def test_a_learned_state_may_be_an_inner_one_s(made):
    learning = GRU | {"learn_initial_state": True}
    layer, _ = made(with_system(cells=[learning]))
    assert sum("initial_cells" in weight.path for weight in layer.weights) == 1
    outer, _ = made(
        {"inputs": 2, "cells": [{**with_cell(systems=[SCRATCH])["cells"][0], "learn_initial_state": True}]}
    )
    assert sum("initial_cells" in weight.path for weight in outer.weights) == 3


def test_under_mixed_precision_all_of_a_system_computes_in_float32(made):
    layer, feed = made(with_system(systems=[SCRATCH]), dtype="mixed_float16", traces=ALL)
    traces = layer(feed)
    assert traces["inner.cells.0.h"].dtype == "float32"
    assert traces["cells.0.h"].dtype == "float16"


def test_a_config_goes_round():
    config = {"loop": with_system(systems=[TAPE], cells=[{"use": "superloop", "loop": {"cells": [GRU]}}])}
    read = read_config(config, load_registry())
    assert read_config(read.to_dict(), load_registry()) == read
    (changed,) = read_config(
        config, load_registry(), ["loop.systems.inner.loop.systems.tape.width=5"]
    ).loop.systems
    assert changed.settings.loop.sources == {"tape_data": (4, 5)}


@pytest.mark.parametrize(
    ("loop", "told"),
    [
        (
            with_cell(cells=[]),
            'loop.cells[0] "superloop".loop: needs a cell: add a [[loop.cells.loop.cells]] table',
        ),
        (with_cell(inputs=2), "'inputs' may not be set here, as the loop around it decides it: 2"),
        (with_cell(timesteps=4), "'timesteps' may not be set here"),
        (with_system(inputs=0), "'inputs' must be >= 1, as it is how many numbers control it: 0"),
        (with_system(outputs=0), "'outputs' must be >= 1, as it is how many it answers: 0"),
        (with_system(cells=[{"use": "gru", "unit": 3}]), "no setting 'unit'; did you mean 'units'?"),
        ({"inputs": 2, "cells": [{"use": "superloop"}]}, "'loop' is missing"),
        ({"inputs": 2, "cells": [{"use": "superloop", "loop": 3}]}, "must be a table: 3"),
    ],
)
def test_what_is_wrong_within_is_told_with_its_place(loop, told):
    with pytest.raises(ConfigError) as refused:
        read_loop(loop, load_registry())
    assert any(told in str(problem) for problem in refused.value.problems), str(refused.value)
    wrong = [str(problem) for problem in refused.value.problems]
    assert all(".loop" in problem or "is missing" in problem for problem in wrong)


def test_two_cells_may_share_no_source(made):
    twice = {"use": "superloop", "loop": {"cells": [GRU], "systems": [TAPE]}}
    with pytest.raises(ConfigError, match="two inputs of the loop would be called 'tape_data'"):
        read_loop({"inputs": 2, "cells": [twice, twice]}, load_registry())
    layers, feed = made({"inputs": 2, "cells": [twice | {"layers": 2}]})
    assert set(feed) == {"inputs", "tape_data"}
    assert layers(feed).shape == (3, 4, 3)
    assert np.isfinite(layers(feed)).all()


def test_a_layer_is_made_again_from_its_config(made, assert_close):
    layer, feed = made(with_system(systems=[TAPE]))
    again = Superloop.from_config(layer.get_config())
    again(feed)
    again.set_weights(layer.get_weights())
    assert_close(again(feed), layer(feed))
