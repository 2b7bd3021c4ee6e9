"""Checks of tasks and metrics."""

import json
from collections import Counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from superloop_core.layer.superloop import Superloop
from superloop_core.registry.records import PluginRecord
from superloop_core.task import Annotation, Batch, Split, StoredTask
from superloop_core.testing.checks.settings import example_of
from superloop_core.testing.place import reason_of
from superloop_core.testing.report import CheckFailed
from superloop_core.testing.require import require, require_close
from superloop_core.testing.subject import draw_weights

ROWS, STEPS, CLASSES = 3, 5, 4
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def samples(record: PluginRecord) -> None:
    """It draws the requested number of sequences, of finite numbers."""
    for rows in (1, ROWS):
        batch = _task(record).sample(np.random.default_rng(0), rows)
        require(isinstance(batch, Batch), f"'sample' must return a Batch: {type(batch).__name__}")
        for name, array in {**batch.inputs, "targets": batch.targets}.items():
            require(isinstance(array, np.ndarray), f"{name!r} must be a NumPy array: {type(array).__name__}")
            require(array.shape[0] == rows, f"{name!r} of {rows} sequences has the shape {array.shape}")
            require(np.all(np.isfinite(array)), f"{name!r} must be finite")


def seeded(record: PluginRecord) -> None:
    """The same generator draws the same sequences, and another draws others."""
    first, again, other = (_task(record).sample(np.random.default_rng(seed), 8) for seed in (1, 1, 2))
    require(_equal(first, again), "the same generator draws two different batches; draw from 'rng' only")
    require(not _equal(first, other), "two generators draw the same batch")


def fits_its_loop(record: PluginRecord) -> None:
    """Its ``example_loop`` accepts its batches; its loss is a scalar, and every row is correct or not."""
    task, layer = _task(record), _loop(record)
    batch = task.sample(np.random.default_rng(0), ROWS)
    results = _results(layer, batch)
    loss, correct = task.loss(batch.targets, results), task.correct(batch.targets, results)
    require(tuple(loss.shape) == (), f"the loss must be a scalar: {loss.shape}")
    require(np.isfinite(loss), f"the loss must be finite: {float(loss)}")
    require(tuple(correct.shape) == (ROWS,), f"'correct' of {ROWS} rows must be ({ROWS},): {correct.shape}")
    kind = tf.as_dtype(correct.dtype)
    require(kind.is_bool, f"'correct' must be of bool: {kind.name}")


def can_be_learned(record: PluginRecord) -> None:
    """Gradients of its loss are finite and reach the loop's weights."""
    task, layer = _task(record), _loop(record)
    batch = task.sample(np.random.default_rng(0), ROWS)
    with tf.GradientTape() as tape:
        loss = task.loss(batch.targets, _results(layer, batch))
    slopes = tape.gradient(loss, [weight.value for weight in layer.trainable_weights])
    gradients = [None if slope is None else tf.convert_to_tensor(slope) for slope in slopes]
    reached = [g for g in gradients if g is not None and np.any(np.asarray(g) != 0)]
    require(reached, "no gradient of the loss reaches a weight of the loop")
    require(all(np.all(np.isfinite(g)) for g in reached), "gradients of the loss must be finite")


def annotates(record: PluginRecord) -> None:
    """It labels a picture of each sequence, for a system that the loop has."""
    task, layer = _task(record), _loop(record)
    batch = task.sample(np.random.default_rng(0), ROWS)
    ids = [system.id for system in layer.config.systems]
    for row in range(ROWS):
        annotation = task.annotate(batch, row)
        require(isinstance(annotation, Annotation), f"'annotate' must return an Annotation: {annotation!r}")
        require(annotation.title, "an annotation must have a title")
        known = annotation.system in ids or not annotation.slots
        require(known, f"it labels slots of {annotation.system!r}, but the loop has {', '.join(ids)}")


def splits(record: PluginRecord) -> None:
    """With stored examples, an epoch has each once, in the order of its seed; its state restores another."""
    task = _task(record)
    if not isinstance(task, StoredTask):
        return
    require(all(isinstance(text, str) for text in task.facts().values()), "'facts' must be texts by name")
    for split in SPLITS:
        epochs = {seed: list(task.batches(split, ROWS, seed=seed)) for seed in (None, 0, 1)}
        counts = {
            seed: Counter(id for batch in epoch for id in _ids(batch, split))
            for seed, epoch in epochs.items()
        }
        require(counts[None], f"the split {split!r} has no example")
        twice = [id for count in counts.values() for id, times in count.items() if times > 1]
        require(not twice, f"an epoch of {split!r} has the example {twice[:1]} twice")
        number = len(counts[None])
        require(
            task.count(split) == number,
            f"{split!r} has {number} examples, and 'count' is {task.count(split)}",
        )
        same = counts[0] == counts[1] == counts[None]
        require(same, f"epochs of {split!r} with another seed have other examples")
        again = list(task.batches(split, ROWS, seed=1))
        repeated = len(again) == len(epochs[1]) and all(map(_equal, again, epochs[1]))
        require(repeated, f"one seed gives two different epochs of {split!r}")
    state = json.loads(json.dumps(task.state()))
    other = _task(record)
    other.set_state(state)
    one, restored = (next(iter(of.batches("test", ROWS))) for of in (task, other))
    require(_equal(one, restored), "another instance with its state gives other test examples")


def _ids(batch: Batch, split: str) -> list[Any]:
    require(batch.ids is not None, f"batches of {split!r} must have the ids of their examples")
    return list(np.asarray(batch.ids).tolist())


def can_be_made(record: PluginRecord) -> None:
    """Its factory returns a callable that declares the traces it reads."""
    metric = _task(record)
    require(callable(metric), f"its factory must return a callable: {metric!r}")
    traces = getattr(metric, "traces", None)
    require(isinstance(traces, tuple), f"'traces' must be a tuple of names: {traces!r}")


def measures(record: PluginRecord) -> None:
    """Of drawn targets and results it gives a finite number for each row, which no other row affects."""
    metric, wrong = _task(record), []
    failures: list[tuple[str, Exception]] = []
    for what, (targets, results) in _forms(getattr(metric, "traces", None) or ()).items():
        try:
            usual = np.asarray(metric(targets, results), "float64")
        except Exception as failure:  # it is for other targets
            failures.append((what, failure))
            continue
        if usual.shape != (ROWS,):
            wrong.append(f"of {ROWS} rows must be ({ROWS},), but with targets {what} it is {usual.shape}")
            continue
        require(np.all(np.isfinite(usual)), f"with targets {what} it must be finite: {usual}")
        others = metric(_first_changed(targets), {n: _first_changed(t) for n, t in results.items()})
        rule = f"with targets {what}, another first row changed the others' numbers"
        require_close(np.asarray(others)[1:], usual[1:], rule)
        return
    require(not wrong, "; ".join(wrong[:1]))
    what, error = failures[0]
    raise CheckFailed(f"it can read no targets that the kit draws; {what}: {reason_of(error)}") from error


CHECKS = (samples, seeded, fits_its_loop, can_be_learned, annotates, splits)
METRIC_CHECKS = (can_be_made, measures)


def _task(record: PluginRecord) -> Any:
    return record.spec.create(example_of(record))


def _forms(traces: tuple[str, ...]) -> dict[str, Any]:
    """Draw targets and results in the forms that tasks have; sizes differ, so that none fits by chance."""
    rng = np.random.default_rng(0)
    drawn = {
        "(batch, timesteps) of int32": rng.integers(0, CLASSES, (ROWS, STEPS)).astype("int32"),
        "(batch, timesteps, 4) of int32": rng.integers(0, 2, (ROWS, STEPS, CLASSES)).astype("int32"),
        "(batch, timesteps, 4) of float32": rng.normal(size=(ROWS, STEPS, CLASSES)).astype("float32"),
        "(batch, timesteps) of float32": rng.normal(size=(ROWS, STEPS)).astype("float32"),
        "(batch, 4) of float32": rng.normal(size=(ROWS, CLASSES)).astype("float32"),
        "(batch,) of float32": rng.normal(size=(ROWS,)).astype("float32"),
        "(batch,) of int32": rng.integers(0, CLASSES, (ROWS,)).astype("int32"),
    }
    forms = {}
    for what, targets in drawn.items():
        for inner in ((CLASSES,), (2, CLASSES), ()) if traces else ((CLASSES,),):
            shapes = dict.fromkeys(traces, inner) | {"outputs": (CLASSES,)}
            results = {
                name: tf.constant(rng.normal(size=(ROWS, STEPS, *shape)), tf.float32)
                for name, shape in shapes.items()
            }
            axes = f", traces (batch, timesteps{''.join(f', {size}' for size in inner)})" if traces else ""
            forms[what + axes] = targets, results
    return forms


def _first_changed(tensor: Any) -> Any:
    """Return an array or a tensor with the first row of another one."""
    array = np.array(tensor)
    array[0] = array[1]
    return array if isinstance(tensor, np.ndarray) else tf.constant(array)


def _loop(record: PluginRecord) -> Superloop:
    loop = record.spec.example_loop  # type: ignore[attr-defined]
    require(loop, "its spec must have an example_loop: a small loop that its example can be trained on")
    layer = Superloop(loop, traces=_task(record).traces)
    layer(_feed(layer, _task(record).sample(np.random.default_rng(0), 1)))
    draw_weights(layer)
    return layer


def _feed(layer: Superloop, batch: Batch) -> dict[str, Any]:
    """Return what a loop takes; tokens ``(batch, timesteps)`` one-hot."""
    feed = dict(batch.inputs)
    if "inputs" in feed and feed["inputs"].ndim == 2:
        feed["inputs"] = np.eye(layer.config.inputs, dtype="float32")[feed["inputs"]]
    return feed


def _results(layer: Superloop, batch: Batch) -> dict[str, Any]:
    answer = layer(_feed(layer, batch))
    return answer if isinstance(answer, dict) else {"outputs": keras.ops.convert_to_tensor(answer)}


def _equal(one: Batch, other: Batch) -> bool:
    pairs = [(one.targets, other.targets)] + [(a, other.inputs[name]) for name, a in one.inputs.items()]
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)
