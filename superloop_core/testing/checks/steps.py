"""Checks of one timestep: a cell or a system alone, stepped by hand."""

from typing import Any

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_core.builder.keras_cell import KerasCell
from superloop_core.errors import did_you_mean
from superloop_core.loop.shards import Shard, split_rows
from superloop_core.loop.wiring import Wiring
from superloop_core.registry.records import PluginRecord
from superloop_core.testing.report import CheckFailed
from superloop_core.testing.require import require, require_close, require_finite
from superloop_core.testing.subject import (
    ROWS,
    Part,
    answer_of,
    draw_weights,
    has_gradient,
    loop_of,
    made,
    part_config,
    subject_of,
    unchanged,
)

NUDGE = 1e-5  # of the finite differences, in float64
MANY = 16  # rows, among which a hard decision changes where its input does


def sizes(record: PluginRecord) -> None:
    """The sizes that its settings and attributes declare are correct."""
    settings, part = part_config(record).settings, Part.of(record)
    answer, _, _ = part.step(part.inputs(1)[0], part.first)
    declared = {"output_size of its Builder": part.builder.output_size}
    if hasattr(settings, "output_size"):
        declared["output_size of its settings"] = settings.output_size
    for name, size in declared.items():
        require(size == answer.shape[-1], f"{name} is {size}, but its output has {answer.shape[-1]} numbers")
    layer = subject_of(record).loop
    of_settings, of_builder = (
        {name: (*source, source.dtype, source.optional) for name, source in owner.sources.items()}
        for owner in (layer.config, layer.wiring)
    )
    rule = f"sources of its settings are {of_settings}, but those of its Builder {of_builder}"
    require(of_settings == of_builder, rule)


def weights(record: PluginRecord) -> None:
    """A step makes no weights, and their number does not depend on the timesteps."""
    counted = {}
    for timesteps in (2, 7):
        layer = made(record, loop_of(record, timesteps=timesteps))
        counted[timesteps] = [tuple(weight.shape) for weight in layer.weights]
    require(counted[2] == counted[7], f"2 timesteps have the weights {counted[2]}, 7 have {counted[7]}")
    part = Part.of(record)
    before = len(part.builder.variables)
    part.run(part.inputs(3))
    after = len(part.builder.variables)
    require(before == after, f"there were {before} weights before three steps, and {after} after")


def pure(record: PluginRecord) -> None:
    """A step depends on its arguments only, and changes no attribute."""
    part = Part.of(record)
    state, inputs = part.warm, part.inputs(1, seed=5)
    with unchanged(part.builder.variables):
        first = part.step(inputs[0], state)
    kept = _attributes(part.builder)
    part.run(part.inputs(2, seed=6))
    changed = [name for name, value in _attributes(part.builder).items() if kept.get(name) != value]
    require(not changed, f"a step changed {', '.join(changed)}; only the state may go from step to step")
    with unchanged(part.builder.variables):
        again = part.step(inputs[0], state)
    require_close(again, first, "the same step twice gives two outputs", 0.0)


def state(record: PluginRecord) -> None:
    """A step preserves the state's structure, shapes and dtypes, with the batch axis first."""
    part = Part.of(record)
    _, after = part.run(part.inputs(2))
    before = tf.nest.flatten(part.first)
    tf.nest.assert_same_structure(part.first, after, check_types=False)
    for one, other in zip(before, tf.nest.flatten(after), strict=True):
        kept = one.shape == other.shape and one.dtype == other.dtype
        require(kept, f"{one.shape} {one.dtype.name} of the state became {other.shape} {other.dtype.name}")
        require(one.shape[0] == ROWS, f"{one.shape} of the state does not have the {ROWS} rows first")


def noise(record: PluginRecord) -> None:
    """Noise is drawn anew at each timestep, and is the same in one shard of the batch and in several."""
    part = Part.of(record, rows=4, noisy=True)
    inputs, warm = part.inputs(), part.warm
    if part.sequence.seed is not None and not _draws_once(part.builder):
        sequence = attrs.evolve(part.sequence, seed=part.sequence.seed + 1)
        other = Part.started(part.builder, part.size, sequence)
        results = []
        for one, timestep in ((part, 1), (part, 2), (other, 1)):
            with unchanged(part.builder.variables):
                results.append(one.step(inputs[0], warm, timestep))
        by_seed = _differ(results[0], results[2])
        rule = "another seed changes nothing, though its 'stochastic' says that it draws noise"
        move = "draw with superloop_core.draw_uniform or draw_normal"
        require(by_seed or _differ(part.first, other.first), f"{rule}; {move}")
        once = by_seed and not _differ(results[0], results[1])
        require(not once, "a step at t = 1 and at t = 2 uses the same noise; draw it in 'step'")
    whole, _ = part.run(inputs)
    if part.sequence.training and _assigns(part, inputs):
        return  # such a loop is not split
    shards = split_rows(Shard({}, part.first, part.sequence), 2)
    halves = [
        Part.started(part.builder, part.size, shard.sequence).run(
            [at_t[shard.sequence.first_row :][: shard.sequence.batch_size] for at_t in inputs], shard.state
        )[0]
        for shard in shards
    ]
    joined = [tf.concat(pair, axis=0) for pair in zip(*halves, strict=True)]
    require_close(joined, whole, "two shards of the batch give other results than the whole")


def loop_closes(record: PluginRecord) -> None:
    """Its input at t affects its output at t: the cells see it at t + 1, and not before."""
    part = Part.of(record, rows=MANY)
    inputs = part.inputs(6)
    usual, _ = part.run(inputs)
    nudged = list(inputs)
    nudged[2] = inputs[2] + tf.constant(
        np.random.default_rng(9).normal(size=inputs[2].shape), inputs[2].dtype
    )
    other, _ = part.run(nudged)
    for t in (0, 1):
        require_close(other[t], usual[t], f"its input at t = 2 changed its output at t = {t}", 0.0)
    apart = [float(np.max(np.abs(np.asarray(o) - np.asarray(u)))) for o, u in zip(other, usual, strict=True)]
    late = next((t for t in range(3, 6) if apart[t] > 1e-6), None)
    when = f"but only at t = {late}" if late else "nor later"
    require(apart[2] > 1e-6, f"its input at t = 2 does not affect its output at t = 2, {when}")


def rows_independent(record: PluginRecord) -> None:
    """No row of a batch affects another."""
    layer, feed = subject_of(record).loop, subject_of(record).feed
    other = {name: np.concatenate([_another(array[:1]), array[1:]]) for name, array in feed.items()}
    usual, changed = (
        tf.nest.map_structure(lambda tensor: tensor[1:], answer_of(layer, one)) for one in (feed, other)
    )
    require_close(changed, usual, "another first row changed the others' answers, traces or states")


def one_row(record: PluginRecord) -> None:
    """A batch of one row gives the same results as that row among others."""
    layer, feed = subject_of(record).loop, subject_of(record).feed
    alone = answer_of(layer, {name: array[:1] for name, array in feed.items()})
    among = answer_of(layer, feed)
    first = tf.nest.map_structure(lambda tensor: tensor[:1], among)
    require_close(alone, first, "the first row alone gives other results")


def two_instances(record: PluginRecord) -> None:
    """Two instances share no weights, and the steps of one do not affect the other."""
    one = Part.of(record)
    inputs = one.inputs(3)
    before, _ = one.run(inputs)
    other = Part.of(record)
    draw_weights(other.builder, seed=99)
    other.run(other.inputs(5, seed=100))
    after, _ = one.run(inputs)
    require_close(after, before, "another instance's weights and steps changed this one's answers", 1e-6)
    shared = {id(w) for w in one.builder.variables} & {id(w) for w in other.builder.variables}
    require(not shared, f"two instances share {len(shared)} weights")


def trace_views(record: PluginRecord) -> None:
    """What its ``trace_views`` say of its traces is so: their names, and the number of their axes."""
    part = Part.of(record)
    _, _, named = part.step(part.inputs(1)[0], part.first)
    names = part.builder.state_names(part.first)
    traces = dict(zip(names, tf.nest.flatten(part.first), strict=True)) | named
    for name, view in part.builder.trace_views.items():
        if name not in traces:
            hint = f"{did_you_mean(name, traces)}; pass optional=True if a setting leaves it out"
            require(view.optional, f"trace_views has {name!r}, which is no trace{hint}")
            continue
        axes, shape = len(view.axes), tuple(traces[name].shape)
        what = f"trace_views gives {name!r} {axes} axes after sequence and timestep, {view.axes}"
        require(axes == len(shape) - 1, f"{what}, but at a timestep it has the shape {shape}")


def no_lambda(record: PluginRecord) -> None:
    """It contains no Lambda layers, which prevent loading in safe mode."""
    part = Part.of(record)
    if isinstance(part.builder, keras.layers.Layer):
        found = [one.name for one in part.builder._flatten_layers() if isinstance(one, keras.layers.Lambda)]
        require(not found, f"it has the Lambda layers {', '.join(found)}; write their functions in 'step'")


def gradients_reach(record: PluginRecord) -> None:
    """Gradients are finite, and reach every number of its input, from a state in use."""
    part = Part.of(record, rows=8, dtype="float64")
    gradient = _gradient(part, part.inputs(3, seed=11), part.warm)[0]
    require_finite([gradient], "the gradient of its input must be finite")
    dead = [index for index in range(part.size) if not np.any(np.abs(gradient[:, index]) > 1e-12)]
    rule = f"no gradient reaches the numbers {dead} of the {part.size} of its input, in any of 8 rows"
    require(not dead, f"{rule}; if it decides so on purpose, name this check in expected_failures")


def gradients_match(record: PluginRecord) -> None:
    """Gradients of its input and state equal finite differences in float64, those of a complex state too."""
    part = Part.of(record, rows=2, dtype="float64")
    inputs, warm = part.inputs(3, seed=11), part.warm
    gradient, of_state = _gradient(part, inputs, warm)

    def compare(direction: Any, rule: str) -> None:
        step = NUDGE * direction
        slope = (_loss(part, inputs, warm, step) - _loss(part, inputs, warm, -step)) / (2 * NUDGE)
        require_close(tf.reduce_sum(gradient * direction), slope, rule, 1e-4, "it and the finite difference")

    rng = np.random.default_rng(13)
    try:
        compare(rng.normal(size=gradient.shape), "the gradient of its input")
    except CheckFailed:
        for index, direction in enumerate(np.eye(part.size)):  # which of its numbers it is
            compare(direction, f"the gradient of number {index} of its input")
        raise
    directions = []
    for tensor in filter(has_gradient, tf.nest.flatten(warm)):
        numbers = rng.normal(size=(2, *tensor.shape))
        directions.append(numbers[0] + 1j * numbers[1] if tensor.dtype.is_complex else numbers[0])

    def moved(by: float) -> Any:
        left = iter(directions)
        return tf.nest.map_structure(
            lambda t: t + tf.cast(by * next(left), t.dtype) if has_gradient(t) else t, warm
        )

    slope = (_loss(part, inputs, moved(NUDGE)) - _loss(part, inputs, moved(-NUDGE))) / (2 * NUDGE)
    along = sum(float(np.sum(np.real(np.conj(g) * d))) for g, d in zip(of_state, directions, strict=True))
    require_close(along, slope, "the gradient of the state", 1e-4, "it and the finite difference")


CHECKS = (
    sizes,
    weights,
    pure,
    state,
    noise,
    loop_closes,
    rows_independent,
    one_row,
    two_instances,
    trace_views,
    no_lambda,
    gradients_reach,
    gradients_match,
)


def _draws_once(builder: Any) -> bool:
    """Whether all noise is Keras's dropout, whose masks are drawn once for all timesteps."""
    if isinstance(builder, Wiring):
        return all(_draws_once(part) for part in (*builder.cells, *builder.systems) if part.stochastic)
    return isinstance(builder, KerasCell)


def _differ(one: Any, other: Any) -> bool:
    pairs = zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    return not all(np.array_equal(a, b) for a, b in pairs)


def _assigns(part: Part, inputs: list[Any]) -> bool:
    """Whether its steps assign to weights."""
    variables = part.builder.variables
    before = [np.asarray(variable.value) for variable in variables]
    with unchanged(variables):
        for at_t in inputs:
            part.step(at_t, part.first)
        after = [np.asarray(variable.value) for variable in variables]
    return not all(map(np.array_equal, before, after))


def _another(array: Any) -> Any:
    """Return other numbers: of integers and bools, which are 0 or 1, the other one."""
    return array * -2 + 1 if array.dtype.kind == "f" else (1 - array).astype(array.dtype)


def _gradient(part: Part, inputs: list[Any], state: Any) -> tuple[Any, list[Any]]:
    """The gradient of the answers' loss: of the first of the inputs, and of the state's tensors."""
    tensors = tf.nest.flatten(state)
    floats = [tensor for tensor in tensors if has_gradient(tensor)]
    with tf.GradientTape() as tape:
        tape.watch([inputs[0], *floats])
        answers, _ = part.run(inputs, tf.nest.pack_sequence_as(state, tensors))
        loss = _weighed(answers)
    first, of_floats = tape.gradient(loss, (inputs[0], floats), unconnected_gradients="zero")
    return tf.convert_to_tensor(first), of_floats


def _loss(part: Part, inputs: list[Any], state: Any, moved: Any = 0.0) -> float:
    return float(_weighed(part.run([inputs[0] + moved, *inputs[1:]], state)[0]))


def _weighed(answers: list[Any]) -> Any:
    rng = np.random.default_rng(17)
    return tf.add_n([tf.reduce_sum(a * tf.constant(rng.normal(size=a.shape), a.dtype)) for a in answers])


def _attributes(builder: Any) -> dict[str, Any]:
    """Return the attributes of an object and of its cell by name: values, identities, lengths of lists."""
    held = {}
    for owner in (builder, getattr(builder, "cell", None)):
        for name, value in (*_of_class(owner), *_own(owner)):  # its own hides the class's
            size = len(value) if isinstance(value, list | dict | set) else None
            held[f"{type(owner).__name__}.{name}"] = (
                (value, size) if isinstance(value, int | float | str) else (id(value), size)
            )
    return held


def _own(owner: Any) -> list[tuple[str, Any]]:
    return [] if owner is None else [item for item in vars(owner).items() if item[0] not in KERAS_OWN]


def _of_class(owner: Any) -> list[tuple[str, Any]]:
    return (
        [] if owner is None else [item for item in vars(type(owner)).items() if not item[0].startswith("__")]
    )


KERAS_OWN = frozenset(vars(keras.layers.Layer()))
