"""From a config to its wiring: here the names become tensors."""

from typing import Any, overload

import keras

from superloop_core.builder.dtypes import addressing_dtype, dtype_policy
from superloop_core.builder.keras_cell import as_builder
from superloop_core.builder.layer_names import LayerNames
from superloop_core.builder.protocol import Builder
from superloop_core.builder.system import System
from superloop_core.config.schema import CellConfig, LoopConfig, PartConfig, SystemConfig
from superloop_core.errors import ConfigError, PluginError, Problem, short_repr
from superloop_core.loop.wiring import Wiring
from superloop_core.registry.registry import load_registry


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
        systems = {
            system.id: _system(system, f"loop.systems[{index}]")
            for index, system in enumerate(config.systems)
        }
        return Wiring(
            cells,
            systems,
            outputs=config.outputs,
            outputs_read_systems=config.outputs_read_systems,
            learned=config.learned,
            layer_names=names,
            name="wiring",
        )


def freeze_frozen(layer: keras.layers.Layer) -> None:
    """Freeze what was made in a layer after it was frozen; Keras hands this down only when it is set."""
    for part in layer._flatten_layers():
        if not part.trainable:
            for inner in part._flatten_layers(include_self=False):
                inner.trainable = False


def _cell(config: PartConfig, where: str) -> Builder:
    where = f'{where} "{config.use.rpartition(":")[2]}"'
    made = _made("cell", config, where)
    builder = as_builder(made)
    if builder is None:
        rule = "its factory must return a Keras RNN cell or a Builder"
        raise PluginError(f"{where}: {config.use}: {rule}: {short_repr(made)}")
    return builder


def _system(config: SystemConfig, where: str) -> System[Any]:
    where = f'{where} "{config.id}"'
    with dtype_policy(addressing_dtype(keras.config.dtype_policy())):  # of its layers too
        made = _made("system", config, where)
    if not isinstance(made, System):
        rule = "its factory must return a System"
        raise PluginError(f"{where}: {config.use}: {rule}: {short_repr(made)}")
    return made


def _made(kind: str, config: PartConfig, where: str) -> Any:
    spec = load_registry().resolve(kind, config.use).spec
    try:
        return spec.create(config.settings)
    except ConfigError as error:
        # A factory does not know its place; one that makes a loop gives the place inside that loop.
        problems = [(".".join(filter(None, (where, p.where))), p.what) for p in error.problems]
        raise ConfigError(Problem(*problem) for problem in problems) from error
    except PluginError as error:
        raise PluginError(f"{where}: {error}") from error
