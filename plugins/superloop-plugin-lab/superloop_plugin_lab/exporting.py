"""Export of a run's model to formats of others; each file is loaded again, and its answers are compared."""

import importlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import attrs
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from superloop_core import ConfigError, SuperloopError
from superloop_core.errors import message, os_reason
from superloop_core.runs import replace_file
from superloop_core.task import Batch
from superloop_plugin_lab.evaluation import open_run
from superloop_plugin_lab.experiment import Experiment

TOLERANCE = {"float32": 1e-4, "float64": 1e-4, "mixed_float16": 5e-2, "mixed_bfloat16": 5e-2}
COMPARED = 8  # sequences
OPSET = 18  # of ONNX

Arrays: TypeAlias = Mapping[str, np.ndarray]


@attrs.frozen(kw_only=True)
class Exported:
    """A file that was written and checked.

    Args:
        path: of the file or folder.
        inputs: the shape of each input by name; None: of any size.
        outputs: the names of the outputs.
        difference: the largest absolute difference between the answers of the file and those of the model.
        tolerance: the largest one that is accepted.
    """

    path: Path
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]
    difference: float
    tolerance: float


def export_run(run: Path, form: str, out: Path, *, length: int | None = None) -> Exported:
    """Write a run's model with its best weights, load it, and compare its answers with the model's.

    The loop is exported as XLA does not compile it. Exported are the outputs, and the traces that the run's
    task and metrics read.

    Args:
        run: the run's folder.
        form: one of ``FORMATS``. ``saved_model`` and ``onnx`` take batches of any size, ``tflite`` one
            sequence of the longest length. ``safetensors`` holds the weights by the paths of the variables.
        out: the file to write; for ``saved_model`` a folder that does not exist or is empty.
        length: of the longest sequence; None: as in training.

    Raises:
        ConfigError: a package is missing; the path cannot be written; the model cannot be converted; or its
            answers differ by more than the tolerance, and then nothing is written.
    """
    write = FORMATS[form]
    experiment = open_run(run, length=length, overrides=["train.xla=false"])
    if any(loop.wiring.stochastic is True for loop in experiment.network.loops):
        raise ConfigError(f"{run}: its loop draws noise in each answer, so the answers cannot be compared")
    batch = experiment.task.sample(np.random.default_rng(0), COMPARED)
    function = _function(experiment)
    expected = _arrays(function({name: tf.constant(array) for name, array in batch.inputs.items()}))
    tolerance = TOLERANCE[experiment.settings.dtype]
    differences: list[float] = []

    def checked(path: Path) -> None:
        try:
            with warnings.catch_warnings(action="ignore"):  # about the converters themselves
                answers = write(experiment, function, batch, path)
        except (SuperloopError, OSError):
            raise
        except Exception as error:  # a converter raises any
            what = f"--format {form}: {run} cannot be converted: {type(error).__name__}: {message(error)}"
            raise ConfigError(f"{what}; choose another format") from error
        differences.append(_difference(expected, answers))
        if not differences[0] <= tolerance:
            what = f"its answers differ from the model's by {differences[0]:.2g}, more than {tolerance:g}"
            raise ConfigError(f"--format {form}: {what}; nothing was written")

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if form == "saved_model":
            _make_folder(out, checked)
        else:
            replace_file(out, checked)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {os_reason(error)}") from error
    signature = _signature(experiment, batch, one=form == "tflite")
    return Exported(
        path=out,
        inputs={name: tuple(spec.shape) for name, spec in signature.items()},
        outputs=tuple(expected),
        difference=differences[0],
        tolerance=tolerance,
    )


def _make_folder(out: Path, write: Callable[[Path], None]) -> None:
    """Make a folder, which is there as a whole or not at all."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: exists and is not empty; choose another folder")
    with tempfile.TemporaryDirectory(prefix=".new-", dir=out.parent) as folder:
        write(Path(folder) / out.name)
        if out.exists():
            out.rmdir()
        shutil.move(Path(folder) / out.name, out)


def _signature(experiment: Experiment, batch: Batch, *, one: bool = False) -> dict[str, tf.TensorSpec]:
    """Return the inputs of the model by name; ``one``: of one sequence as long as those of a batch."""
    return {
        name: tf.TensorSpec(
            [1, *batch.inputs[name].shape[1:]] if one else tensor.shape, tensor.dtype, name=name
        )
        for name, tensor in experiment.model.input.items()
    }


def _function(experiment: Experiment, signature: Mapping[str, tf.TensorSpec] | None = None) -> Any:
    """Return the model as a function of a dict of inputs, which is traced anew."""
    given = {} if signature is None else {"input_signature": [signature]}
    return tf.function(lambda feed: experiment.model(feed, training=False), autograph=False, **given)


def _saved_model(experiment: Experiment, function: Any, batch: Batch, path: Path) -> Arrays:
    del function
    module = tf.Module()
    module.variables_of_the_model = experiment.model.variables
    module.serve = _function(experiment, _signature(experiment, batch))
    tf.saved_model.save(module, str(path), signatures=module.serve)
    loaded = tf.saved_model.load(str(path)).signatures["serving_default"]
    return _arrays(loaded(**{name: tf.constant(array) for name, array in batch.inputs.items()}))


def _tflite(experiment: Experiment, function: Any, batch: Batch, path: Path) -> Arrays:
    """Write a file that needs TFLite's own operations only: the shapes are fixed, the variables constants."""
    del function
    signature = _signature(experiment, batch, one=True)
    concrete = _function(experiment, signature).get_concrete_function()
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    places = [tensor.name.partition(":")[0] for tensor in frozen.inputs]
    module = tf.Module()

    def serve(feed: Mapping[str, Any]) -> Any:
        answers = frozen(*(feed[name] for name in places))
        return tf.nest.pack_sequence_as(concrete.structured_outputs, tf.nest.flatten(answers))

    module.serve = tf.function(serve, input_signature=[signature], autograph=False)
    with tempfile.TemporaryDirectory() as folder:
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        # The signature keeps the names of the outputs.
        tf.saved_model.save(module, folder, signatures=module.serve, options=options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter._experimental_lower_tensor_list_ops = True
        path.write_bytes(converter.convert())
    runner = tf.lite.Interpreter(model_path=str(path)).get_signature_runner()
    rows = range(len(batch.targets))
    answers = [runner(**{name: array[[row]] for name, array in batch.inputs.items()}) for row in rows]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _onnx(experiment: Experiment, function: Any, batch: Batch, path: Path) -> Arrays:
    del function
    tf2onnx = _package("tf2onnx", "onnx")
    onnxruntime = _package("onnxruntime", "onnx")
    signature = _signature(experiment, batch)
    serve = _function(experiment, signature)
    tf2onnx.convert.from_function(serve, [signature], opset=OPSET, output_path=str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    taken = {put.name for put in session.get_inputs()}  # one that changes nothing may be left out
    feed = {name: array for name, array in batch.inputs.items() if name in taken}
    return dict(zip(names, session.run(names, feed), strict=True))


def _safetensors(experiment: Experiment, function: Any, batch: Batch, path: Path) -> Arrays:
    safetensors = _package("safetensors.numpy", "safetensors")
    weights = experiment.model.weights
    safetensors.save_file({weight.path: np.array(weight) for weight in weights}, str(path))
    loaded = safetensors.load_file(str(path))
    for weight in weights:
        weight.assign(np.zeros(weight.shape, weight.dtype))
    for weight in weights:
        weight.assign(loaded[weight.path])
    return _arrays(function({name: tf.constant(array) for name, array in batch.inputs.items()}))


FORMATS: dict[str, Callable[[Experiment, Any, Batch, Path], Arrays]] = {
    "saved_model": _saved_model,
    "tflite": _tflite,
    "onnx": _onnx,
    "safetensors": _safetensors,
}


def _package(name: str, extra: str) -> ModuleType:
    """Import a package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        what = f"--format {extra} needs {name.partition('.')[0]}"
        raise ConfigError(f"{what}: pip install superloop-plugin-lab[{extra}]") from error


def _arrays(results: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(result) for name, result in results.items()}


def _difference(expected: Arrays, answers: Arrays) -> float:
    """Return the largest absolute difference, infinite where an answer is missing or has another shape."""
    if expected.keys() != answers.keys():
        return float("inf")
    if any(expected[name].shape != answers[name].shape for name in expected):
        return float("inf")
    return max(float(np.max(np.abs(expected[name] - answers[name]), initial=0.0)) for name in expected)
