import keras
import numpy as np
import pytest

import superloop_core
from superloop_core import Superloop, SuperloopCell, SuperloopError, TraceError, Traces, intervene
from superloop_core.inspect.intervene import Intervention
from superloop_core.testing.subject import draw_weights

AT = 2


@pytest.fixture
def stack(made, stack_loop):
    """A loop in float64 with a stack, and its inputs."""
    return made(stack_loop(outputs_read_systems=True), timesteps=5, dtype="float64")


def by_hand(layer, feed, change, at=AT):
    """Step a session; before step ``at`` and later ones the state is what ``change(t, before, now)`` says."""
    session = layer.session(batch_size=3, traces="all")
    outputs, traces, before = [], [], None
    for t in range(feed["inputs"].shape[1]):
        now = {name: np.array(tensor) for name, tensor in session.state.items()}
        if t >= at:
            session.state = change(t, before, now)
        before = {name: np.array(tensor) for name, tensor in session.state.items()}
        outputs.append(np.array(session.step(feed["inputs"][:, t])))
        traces.append({name: np.array(tensor) for name, tensor in session.traces.items()})
    return np.stack(outputs, 1), {name: np.stack([at_t[name] for at_t in traces], 1) for name in traces[0]}


def assert_equals(found, expected):
    outputs, traces = expected
    np.testing.assert_allclose(found.results, outputs, atol=1e-12)
    for name, trace in traces.items():
        np.testing.assert_allclose(found[name], trace, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"set": {"memo.cells": lambda cells: cells, "memo.control": lambda c: c, "memo.read": lambda r: r}},
        {"swap": {"memo": (1, 1)}},
        {"set": {"memo.cells": 7.0}, "rows": []},
        {"off": ["memo"], "rows": []},
    ],
)
def test_a_change_that_changes_nothing_makes_differences_of_exactly_0(stack, change):
    layer, feed = stack
    found = intervene(layer, feed, at=AT, **change)
    assert all(not np.any(difference) for difference in found.differences.values())
    assert not np.any(found.results)
    assert found.first_changes() == {}
    np.testing.assert_array_equal(found.before.results, layer(feed))


def test_a_state_that_is_set_is_that_of_a_session_set_by_hand(stack):
    layer, feed = stack
    value = np.random.default_rng(3).normal(size=(3, 1, 4, 2))
    found = intervene(layer, feed, at=AT, set={"memo.cells": value, "cells.0.h": 0, "memo.read": [1.0, 2.0]})

    def change(t, before, now):
        new = {"memo.cells": value, "cells.0.h": np.zeros((3, 4)), "memo.read": np.tile([1.0, 2.0], (3, 1))}
        return new if t == AT else now

    assert_equals(found.after, by_hand(layer, feed, change))
    assert_equals(found.before, by_hand(layer, feed, lambda t, before, now: now))
    np.testing.assert_array_equal(found.after["memo.cells"][:, AT], value)
    difference = found.differences["memo.cells"]
    np.testing.assert_array_equal(difference, found.after["memo.cells"] - found.before["memo.cells"])
    assert next(iter(found.first_changes().values())) == AT
    assert not np.any(found.results[:, :AT])
    assert np.all(np.any(found.results[:, AT:], axis=2))


def test_only_the_chosen_rows_change(stack):
    layer, feed = stack
    found = intervene(layer, feed, at=AT, set={"memo.cells": lambda cells: cells + 1}, rows=[1])
    changed = np.any(found.results, axis=(1, 2))
    np.testing.assert_array_equal(changed, [False, True, False])


def test_rows_may_be_an_iterator_and_count_for_every_loop(stack_loop, x):
    inputs = keras.Input((5, 2))
    loops = [Superloop(stack_loop(), name=name) for name in ("one", "two")]
    model = keras.Model(inputs, [loop(inputs) for loop in loops])
    draw_weights(model)
    changes = {f"{name}.memo.cells": lambda cells: cells + 1 for name in ("one", "two")}
    listed = intervene(model, x, at=AT, set=changes, rows=[0, 1])
    found = intervene(model, x, at=AT, set=changes, rows=iter([0, 1]))
    for name in ("one.outputs", "two.outputs"):
        assert np.any(listed.after[name] != listed.before[name])
        np.testing.assert_array_equal(found.after[name], listed.after[name])


def test_a_shared_memory_has_the_name_of_its_owner(stack_loop, x):
    config = stack_loop()
    layer = Superloop(config | {"systems": [*config["systems"], {"id": "again", "shares": "memo"}]})
    layer(x)
    with pytest.raises(TraceError, match="no state 'again'; it shares the memory of another system"):
        intervene(layer, x, at=AT, swap={"again": (0, 1)})


def test_a_system_without_feedback_can_be_switched_off(made, stack_loop):
    alone = {"use": "stack", "id": "memo", "depth": 4, "width": 2, "feedback": False}
    layer, feed = made(stack_loop(systems=[alone]), timesteps=5)
    found = intervene(layer, feed, at=AT, off=["memo"])
    assert not np.any(found.after["memo.read"][:, AT:])
    np.testing.assert_array_equal(found.after["memo.cells"][:, AT], found.after["memo.cells"][:, -1])
    assert np.any(found.results[:, AT:])
    assert not np.any(found.results[:, :AT])


def test_a_system_that_is_off_reads_zeros_and_stays(stack):
    layer, feed = stack
    found = intervene(layer, feed, at=AT, off=["memo"])

    def change(t, before, now):
        kept = now if t == AT else {**now, "memo.cells": before["memo.cells"]}
        return {**kept, "memo.read": np.zeros((3, 2))}

    outputs, traces = by_hand(layer, feed, change)
    # A session cannot hide the read vector of a step from its output.
    h, (kernel, bias) = traces["cells.0.output"], layer.wiring.projection.get_weights()
    read = np.concatenate([traces["memo.read"][:, 1:], np.zeros((3, 1, 2))], axis=1)
    outputs[:, AT:] = (np.concatenate([h, read], axis=2) @ kernel + bias)[:, AT:]
    traces["outputs"] = outputs
    assert_equals(found.after, (outputs, traces))
    assert not np.any(found.after["memo.read"][:, AT:])
    np.testing.assert_array_equal(found.after["memo.cells"][:, AT], found.after["memo.cells"][:, -1])


def test_two_sequences_swap_their_memories(stack):
    layer, feed = stack
    found = intervene(layer, feed, at=AT, swap={"memo": (0, 2)})

    def change(t, before, now):
        return {**now, "memo.cells": now["memo.cells"][[2, 1, 0]]} if t == AT else now

    assert_equals(found.after, by_hand(layer, feed, change))
    np.testing.assert_array_equal(found.after["memo.read"][:, AT], found.before["memo.read"][:, AT])


def test_a_control_that_is_set_makes_the_step_of_the_paper(stack):
    layer, feed = stack
    found = intervene(layer, feed, at=AT, set={"memo.control": [0.5, -1.0, 2.0, 3.0, -4.0]})
    push, pop, stay = np.exp([0.5, -1.0, 2.0]) / np.exp([0.5, -1.0, 2.0]).sum()
    old = found.before["memo.cells"][:, AT, 0]
    down = np.concatenate([np.tile([3.0, -4.0], (3, 1, 1)), old[:, :-1]], axis=1)
    up = np.concatenate([old[:, 1:], np.zeros((3, 1, 2))], axis=1)
    expected = push * down + pop * up + stay * old
    np.testing.assert_allclose(found.after["memo.cells"][:, AT + 1, 0], expected, atol=1e-12)
    np.testing.assert_allclose(found.after["memo.actions"][:, AT, 0], np.tile([push, pop, stay], (3, 1)))
    np.testing.assert_array_equal(found.after["memo.control"][:, AT], np.tile([0.5, -1, 2, 3, -4], (3, 1)))
    assert found.first_changes()["memo.cells"] == AT + 1


def test_a_sequence_that_is_over_does_not_change(made, stack_loop):
    layer, feed = made(stack_loop(), timesteps=5)
    lengths = np.array([5, 2, 3])
    found = intervene(layer, feed | {"lengths": lengths}, at=AT, set={"memo.read": 9.0})
    np.testing.assert_array_equal(np.any(found.results, axis=(1, 2)), [True, False, True])
    alone = intervene(layer, {"inputs": feed["inputs"][2:, :3]}, at=AT, set={"memo.read": 9.0})
    np.testing.assert_allclose(found.after.results[2, :3], alone.after.results[0], atol=1e-6)


def test_a_loop_within_a_model_and_a_part_within_a_loop(stack_loop, x):
    inner = {"use": "superloop", "loop": {name: stack_loop()[name] for name in ("cells", "systems")}}
    inputs = keras.Input((5, 2))
    h = Superloop(stack_loop(cells=[inner], outputs=2), name="encoder")(inputs)
    model = keras.Model(inputs, {"tags": Superloop(stack_loop(), name="decoder")(h)})
    draw_weights(model)
    change = {"set": {"encoder.cells.0.memo.control": 1.0}, "off": ["encoder.cells.0.memo"]}
    found = intervene(model, x, at=3, **change)
    np.testing.assert_array_equal(found.after["encoder.cells.0.memo.control"][:, 3], 1.0)
    assert not np.any(found.after["encoder.cells.0.memo.read"][:, 3:])
    changes = found.first_changes()
    assert changes["encoder.cells.0.memo.read"] == 3
    assert min(step for name, step in changes.items() if name.startswith("decoder.")) == 3
    assert not np.any(found.results["tags"][:, :3])
    assert np.any(found.results["tags"][:, 3:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"set": {"memo.cels": 0}}, r"no 'memo.cels': .*; did you mean 'memo.cells'"),
        ({"set": {"memo.actions": 0}}, r"'memo.actions' is computed within a step: states, read vectors and"),
        (
            {"set": {"memo.cells": [1, 2, 3]}},
            r"'memo.cells' at a timestep has the shape \(3, 1, 4, 2\): \(3,\)",
        ),
        ({"off": ["mem"]}, r"no system 'mem'; did you mean 'memo'"),
        ({"swap": {"meme": (0, 1)}}, "no state 'meme'; did you mean 'memo'"),
        ({"swap": {"memo": (0, 3)}}, "sequences are numbered from 0 to 2: 3"),
        ({"at": 5, "off": ["memo"]}, "at must be from 0 to 4, the last timestep: 5"),
    ],
)
def test_what_cannot_be_changed_is_an_error_with_the_names_there_are(stack, change, message):
    layer, feed = stack
    with pytest.raises((SuperloopError, TraceError), match=message):
        intervene(layer, feed, **({"at": AT} | change))


def test_names_of_a_model_with_two_loops_begin_with_a_layer(stack_loop, x):
    loop = [Superloop(stack_loop(outputs=2), name=name) for name in ("one", "two")]
    model = keras.Sequential([keras.Input((5, 2)), *loop])
    with pytest.raises(TraceError, match=r"'memo.cells' must begin with the name of a loop: one, two"):
        intervene(model, x, at=1, set={"memo.cells": 0})


def test_a_keras_cell_cannot_be_changed(stack_loop, x):
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.RNN(SuperloopCell(stack_loop()))])
    with pytest.raises(SuperloopError, match="nothing can be changed in a Keras cell; use a Superloop layer"):
        superloop_core.intervene(model, x, at=1, off=["memo"])


def test_infinities_and_nan_that_stay_make_no_difference_and_a_nan_that_comes_does():
    before = Traces(arrays={"memo.log": np.array([[[-np.inf, np.nan, 1.0], [-np.inf, np.nan, 1.0]]])})
    after = Traces(arrays={"memo.log": np.array([[[-np.inf, np.nan, 1.0], [-np.inf, 2.0, np.nan]]])})
    found = Intervention(before=before, after=before, at=0)
    np.testing.assert_array_equal(found.differences["memo.log"], np.zeros((1, 2, 3)))
    assert found.first_changes() == {}
    found = Intervention(before=before, after=after, at=0)
    np.testing.assert_array_equal(found.differences["memo.log"], [[[0, 0, 0], [0, np.nan, np.nan]]])
    assert found.first_changes(tolerance=1e9) == {"memo.log": 1}
