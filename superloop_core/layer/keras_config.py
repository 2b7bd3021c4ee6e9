"""What a saved config of Keras may make: checked before Keras sees it.

Keras makes an object of every table with a ``class_name``, wherever it stands: in the arguments of a node, of
an initializer, of another object. Its safe mode refuses some classes and functions by name; here the ones
that may be made are listed instead, by their base class, and functions by their names.
"""

import importlib
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from superloop_core.errors import Problem, short_repr

MAX_DEPTH = 200
PUBLIC = (
    "activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics", "models",
    "optimizers", "optimizers.schedules", "quantizers", "random", "regularizers",
)  # fmt: skip
BASES = (
    keras.Operation, keras.Initializer, keras.Loss, keras.Metric, keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule, keras.constraints.Constraint,
    keras.regularizers.Regularizer, keras.dtype_policies.DTypePolicy, keras.dtype_policies.DTypePolicyMap,
    keras.random.SeedGenerator, keras.Quantizer, keras.quantizers.QuantizationConfig,
)  # fmt: skip
RUNS_CODE = (
    keras.layers.Lambda, keras.layers.TFSMLayer, keras.layers.TorchModuleWrapper, keras.layers.JaxLayer,
    keras.layers.FlaxLayer,
)  # fmt: skip
CALLS_FUNCTIONS = (
    "AssociativeScan",
    "Cond",
    "ForiLoop",
    "Map",
    "Scan",
    "Switch",
    "VectorizedMap",
    "WhileLoop",
)
VALUES = ("__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__")
DTYPES = {
    "bool", "string", "bfloat16", "float16", "float32", "float64", "complex64", "complex128",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}  # fmt: skip
PATHS = ("idf_weights", "vocabulary")  # arguments of Keras's layers that may be a file's path
# Numbers of objects that a constructor makes one by one.
MOST = {"num_classes": 10**6, "num_thresholds": 10**6}


def check_keras_config(config: Any, where: str = "", allow: Iterable[str] = ()) -> list[Problem]:
    """Return what a saved config holds that is not made from a file, with its places.

    Args:
        config: what ``get_config`` returned once: tables, lists and values.
        where: the place of the config, for the problems.
        allow: packages whose modules may be imported, so that they register their classes.
    """
    return [Problem(place, what) for place, what in _Walk(frozenset(allow)).problems(config, where)]


class _Walk:
    def __init__(self, allow: frozenset[str]):
        self._allow = allow

    def problems(self, config: Any, where: str) -> Iterator[tuple[str, str]]:
        """Yield the place and the problem of everything in a config that is not made."""
        waiting = [(where, config, 0)]
        while waiting:
            place, value, depth = waiting.pop()
            if depth > MAX_DEPTH:
                yield place, f"tables may be nested {MAX_DEPTH} deep at most"
            elif isinstance(value, Mapping):
                yield from ((place, what) for what in self._of_table(value))
                waiting += [(_inner(place, str(name)), one, depth + 1) for name, one in value.items()]
            elif isinstance(value, list | tuple):
                waiting += [(f"{place}[{index}]", one, depth + 1) for index, one in enumerate(value)]

    def _of_table(self, table: Mapping[str, Any]) -> Iterator[str]:
        if isinstance(nodes := table.get("inbound_nodes"), list):
            yield from (problem for node in nodes if (problem := _of_node(node)))
        if "class_name" in table:
            yield from _of_arguments(table.get("config"))
            yield from filter(None, [self._of_object(table)])

    def _of_object(self, table: Mapping[str, Any]) -> str | None:
        name, inner = table["class_name"], table.get("config")
        names = (name, table.get("module"), table.get("registered_name"))
        if not isinstance(name, str) or any(one is not None and not isinstance(one, str) for one in names):
            return f"'class_name', 'module' and 'registered_name' must be strings: {short_repr(names)}"
        if name in VALUES:
            dtype = inner.get("dtype", "float32") if isinstance(inner, Mapping) else "float32"
            return (
                None if isinstance(dtype, str) and dtype in DTYPES else f"no such dtype: {short_repr(dtype)}"
            )
        if name == "function":
            return self._of_function(inner, table)
        registered = table.get("registered_name", name) or ""  # as Keras looks it up
        if not _registered(registered) and (failure := self._import(table.get("module"))):
            return failure
        made = _registered(registered) or _of_keras(table.get("module"), name)
        what = table.get("registered_name") or ".".join(filter(None, (table.get("module"), name)))
        if made is None:
            package = (table.get("module") or registered).partition(".")[0].partition(">")[0]
            known = package in self._allow or package == "keras" or package.startswith("__")
            hint = f", or name its package if you trust it: load_model(path, allow=[{short_repr(package)}])"
            return (
                f"{short_repr(what)} is no class of Keras that is made from a file, and is not registered in "
                "this process; import the module that registers it with "
                f"keras.saving.register_keras_serializable{'' if known else hint}"
            )
        if isinstance(made, type) and issubclass(made, RUNS_CODE):
            return f"{short_repr(what)} runs code of the file; {REMAKE}"
        if getattr(made, "__module__", "") == "keras.src.ops.core" and made.__name__ in CALLS_FUNCTIONS:
            return f"{short_repr(what)} calls functions that the file names; {REMAKE}"
        if registered.startswith("superloop_core>Superloop") and not (
            isinstance(inner, Mapping) and isinstance(inner.get("config"), Mapping)
        ):
            return f"the config of {short_repr(what)} must be a table"  # not the path of a file
        return None

    def _of_function(self, name: Any, table: Mapping[str, Any]) -> str | None:
        if not isinstance(name, str):
            return f"the 'config' of a function must be its name: {short_repr(name)}"
        if not _registered(name) and (failure := self._import(table.get("module"))):
            return failure
        if _registered(name):
            return None
        module = table.get("module")
        named = table.get("registered_name") in (None, "function", name)
        if module in MODULES_OF_FUNCTIONS and name in FUNCTIONS and named:
            return None
        what = f"the function {short_repr(name)} of {short_repr(module)}"
        return f"{what} is no activation, loss or metric; {REMAKE}"

    def _import(self, module: str | None) -> str | None:
        """Import a module of an allowed package, which registers its classes; return what went wrong."""
        if module and module.partition(".")[0] in self._allow and module not in sys.modules:
            try:
                importlib.import_module(module)
            except Exception as error:  # a module may raise anything
                return f"the module {short_repr(module)} cannot be imported: {type(error).__name__}: {error}"
        return None


def _of_arguments(config: Any) -> Iterator[str]:
    """Yield what is wrong with the arguments of an object; a plugin's settings may have these names."""
    arguments = config if isinstance(config, Mapping) else {}
    for name in PATHS:
        if isinstance(arguments.get(name), str):
            yield f"{name!r} would read a file: {short_repr(arguments[name])}; save the model with its words"
    for name, most in MOST.items():
        if isinstance(number := arguments.get(name), int) and number > most:
            yield f"{name!r} must be <= {most:,}: {short_repr(number)}"


REMAKE = "make the model in code, and read the file's weights with model.load_weights(path)"


def _registered(name: str) -> Any:
    """Return what is registered in this process, or in the scope around, by a name."""
    return keras.saving.get_registered_object(name) if name else None


def _of_node(node: Any) -> str | None:
    """Return what is wrong with a node: Keras would make a call without a symbolic tensor at once."""
    if not isinstance(node, Mapping):
        return f"'inbound_nodes' must be tables, as Keras 3 saves them: {short_repr(node)}"
    waiting: list[Any] = [node]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                return None
            waiting += value.values() if "class_name" not in value else ()  # Keras looks into no object
        elif isinstance(value, list):
            waiting += value
    return "a node of 'inbound_nodes' must take a tensor of the model"


def _of_keras(module: str | None, name: str) -> Any:
    """Return a class of Keras that may be made, by the names that Keras saves; None: there is none.

    Nothing is imported: Keras has imported what it saves.
    """
    if module in (None, "", "builtins"):
        holders = [f"keras.{public}" for public in PUBLIC]
    elif module == "keras" or str(module).startswith("keras."):
        holders = [str(module)]
    else:
        return None
    found = [vars(sys.modules[holder]).get(name) for holder in holders if holder in sys.modules]
    made = next((one for one in found if one is not None), None)
    is_made = isinstance(made, type) and issubclass(made, BASES) and made.__module__.startswith("keras.src.")
    return made if is_made else None


def _functions() -> Iterator[str]:
    for holder in (keras.activations, keras.losses, keras.metrics):
        for name, value in vars(holder).items():
            if isinstance(value, types.FunctionType) and name not in ("deserialize", "get", "serialize"):
                yield name


MODULES_OF_FUNCTIONS = ("builtins", "keras.activations", "keras.losses", "keras.metrics")
FUNCTIONS = frozenset(_functions())


def _inner(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
