"""From a config to its wiring: here the names become tensors."""

from collections.abc import Mapping
from typing import Any, overload

import keras

from superloop_core.builder.dtypes import addressing_dtype, dtype_policy
from superloop_core.builder.keras_cell import as_builder
from superloop_core.builder.layer_names import LayerNames
from superloop_core.builder.protocol import Builder
from superloop_core.builder.system import System
from superloop_core.config.schema import CellConfig, LoopConfig, PartConfig, SystemConfig, WeightsConfig
from superloop_core.errors import ConfigError, PluginError, Problem, short_repr
from superloop_core.layer.named_objects import keras_objects
from superloop_core.loop.wiring import Wire, Wiring
from superloop_core.registry.registry import load_registry
from superloop_core.registry.specs import PluginSpec, place_of


@overload
def assemble(config: LoopConfig, policy: Any = None) -> Wiring: ...


@overload
def assemble(config: CellConfig, policy: Any = None) -> Builder: ...


@overload
def assemble(config: SystemConfig, policy: Any = None) -> System[Any]: ...


def assemble(config: Any, policy: Any = None) -> Any:
    """Make the parts that a config names.

    Args:
        config: a loop, which becomes a Wiring; a cell, which becomes a Builder; or a system.
        policy: the dtype policy of the parts; None: Keras's global one.

    Raises:
        PluginError: a factory cannot be imported, or returns the wrong thing.
        ConfigError: a factory rejects its settings.
    """
    if isinstance(config, LoopConfig):
        return _wired(config, policy)
    with dtype_policy(policy):
        return _cell(config, "cell") if isinstance(config, CellConfig) else _system(config, "system")


def _wired(config: LoopConfig, policy: Any) -> Wiring:
    names = LayerNames()
    with dtype_policy(policy), names.in_use():  # a factory receives its settings only
        cells = [
            _cell(cell, f"loop.cells[{index}]")
            for index, cell in enumerate(config.cells)
            for _ in range(cell.layers)
        ]
        own = {
            system.id: _system(system, f"loop.systems[{index}]")
            for index, system in enumerate(config.systems)
            if not system.shares
        }
        _check_apart({f"cells.{index}": cell for index, cell in enumerate(cells)} | own)
        each = [cell for cell in config.cells for _ in range(cell.layers)]
        return Wiring(
            cells,
            {system.id: own[system.shares or system.id] for system in config.systems},
            wires={system.id: _wire(system) for system in config.systems},
            residual=[index for index, cell in enumerate(each) if cell.residual],
            normalized=[index for index, cell in enumerate(each) if cell.layer_norm],
            think_steps=config.think_steps,
            outputs=config.outputs,
            outputs_read_systems=config.outputs_read_systems,
            control_weights=_weights(config.control_weights, "loop.control_weights"),
            output_weights=_weights(config.output_weights, "loop.output_weights"),
            learned=config.learned,
            layer_names=names,
            name="wiring",
        )


def _wire(config: SystemConfig) -> Wire:
    return Wire(
        cell=config.controlled_by,
        feedback=config.feedback,
        feedforward=config.feedforward,
        reads=config.reads,
        shares=config.shares,
    )


def _weights(config: WeightsConfig | None, where: str) -> dict[str, Any]:
    """Return the arguments of a projection.

    Raises:
        ConfigError: Keras has no such object.
    """
    try:
        return {} if config is None else keras_objects(config)
    except ConfigError as error:
        raise ConfigError(Problem(where, problem.what) for problem in error.problems) from error


def with_frozen(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a layer with a wiring, and the paths of what has weights, but none trained."""
    parts = layer.wiring.parts().items() if layer.trainable else ()
    layers = {path: part for path, part in parts if isinstance(part, keras.layers.Layer)}
    frozen = [path for path, part in layers.items() if part.weights and not part.trainable_weights]
    return config | ({"frozen": frozen} if frozen else {})


def made_with_frozen(cls: type[Any], config: Mapping[str, Any]) -> Any:
    """Make a layer of what :func:`with_frozen` returned; a file may name parts that are gone."""
    made = cls(**{name: value for name, value in config.items() if name != "frozen"})
    for path in config.get("frozen", ()):
        if isinstance(part := made.wiring.parts().get(path), keras.layers.Layer):
            part.trainable = False
    return made


def freeze_frozen(layer: keras.layers.Layer) -> None:
    """Freeze what was made in a layer after it was frozen; Keras hands this down only when it is set."""
    for part in layer._flatten_layers():
        if not part.trainable:
            for inner in part._flatten_layers(include_self=False):
                inner.trainable = False


def _checked(kind: str, given: Any, where: str) -> Any:
    """Return an object that stood in the place of a table, if it can be a part of this loop.

    Raises:
        ConfigError: it cannot.
    """
    policy = keras.config.dtype_policy()  # the loop's; for systems, that of addresses
    what = ""
    if kind == "cell" and isinstance(given, System):
        what = f"is a system; give it in 'systems': {short_repr(given)}"
    elif kind == "cell" and isinstance(given, keras.layers.RNN):
        what = f"is a layer for whole sequences; give its cell: {short_repr(given)}"
    elif kind == "cell" and as_builder(given) is None:
        what = f"must be a Keras RNN cell, a Builder or a Superloop: {short_repr(given)}"
    elif kind == "system" and not isinstance(given, System):
        what = f"must be a System: {short_repr(given)}"
    elif isinstance(given, keras.layers.Layer):
        # A system made under mixed precision is of float32 itself, and its layers may not be.
        odd = [one for one in given._flatten_layers() if one.dtype_policy.name != policy.name]
        if odd:
            of = "" if odd[0] is given else f" of its layer {odd[0].name!r}"
            what = (
                f"the dtype policy{of} must be that of the loop's parts here, {policy.name}: "
                f"{odd[0].dtype_policy.name}; pass dtype= to its layers, or give the class with its settings"
            )
    if what:
        raise ConfigError([Problem(where, what)])
    return given


def _check_apart(parts: Mapping[str, Builder]) -> None:
    """Reject an object that is in two parts of a loop, which would share its weights.

    Raises:
        ConfigError: there is one.
    """
    places: dict[int, str] = {}
    for place, part in parts.items():
        inner = part._flatten_layers() if isinstance(part, keras.layers.Layer) else [part]
        for one in inner:
            if (other := places.setdefault(id(one), place)) != place:
                what = f"is in {other} too, and an object has one place in a loop; make another like it"
                raise ConfigError([Problem(place, f"{short_repr(one)} {what}")])


def _cell(config: PartConfig, where: str) -> Builder:
    where = f'{where} "{_shown(config)}"'
    made = _made("cell", config, where)
    builder = as_builder(made)
    if builder is None:
        rule = "its factory must return a Keras RNN cell or a Builder"
        raise PluginError(f"{where}: {config.use}: {rule}: {short_repr(made)}")
    return builder


def _shown(config: PartConfig) -> str:
    given = config.given
    if isinstance(given, PluginSpec):
        return place_of(given.factory)[1]
    return config.use.rpartition(":")[2] if given is None else type(given).__name__


def _system(config: SystemConfig, where: str) -> System[Any]:
    where = f'{where} "{config.id}"'
    with dtype_policy(addressing_dtype(keras.config.dtype_policy())):  # of its layers too
        made = _made("system", config, where)
    if not isinstance(made, System):
        rule = "its factory must return a System"
        raise PluginError(f"{where}: {config.use}: {rule}: {short_repr(made)}")
    return made


def _made(kind: str, config: PartConfig, where: str) -> Any:
    if config.given is not None and not isinstance(config.given, PluginSpec):
        return _checked(kind, config.given, where)
    spec = config.given or load_registry().resolve(kind, config.use).spec
    try:
        return spec.create(config.settings)
    except ConfigError as error:
        # A factory does not know its place; one that makes a loop gives the place inside that loop.
        problems = [(".".join(filter(None, (where, p.where))), p.what) for p in error.problems]
        raise ConfigError(Problem(*problem) for problem in problems) from error
    except PluginError as error:
        raise PluginError(f"{where}: {error}") from error
