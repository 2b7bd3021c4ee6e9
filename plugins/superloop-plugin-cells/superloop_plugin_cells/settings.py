"""Settings of the cells."""

import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs
from attrs.validators import and_, ge, lt

from superloop_core import ConfigError
from superloop_core.config import KerasObject, WeightsConfig
from superloop_core.errors import short_repr
from superloop_core.registry import load_registry

# The packages whose cells `use = "keras"` may always name, by their names in Keras's registry, and the module
# of each that registers its cells on import. A config never names a module.
PACKAGES: Mapping[str, str] = MappingProxyType({"keras": "keras.layers", "ncps": "ncps.keras"})


def allowed_packages() -> dict[str, str]:
    """Return ``PACKAGES``, and those of the hook ``superloop_keras_packages``.

    Raises:
        ConfigError: a plugin returns no mapping, or two name different modules for a package.
    """
    packages = dict(PACKAGES)
    # Without the hook where the registry in use does not have this distribution.
    for found in getattr(load_registry().hook, "superloop_keras_packages", list)():
        if not isinstance(found, Mapping):
            raise ConfigError(f"superloop_keras_packages must return a mapping: {short_repr(found)}")
        for package, module in found.items():
            if packages.setdefault(package, module) != module:
                raise ConfigError(
                    f"the package {package!r} has the modules {packages[package]} and {module}, of two "
                    "plugins; exclude one with -p no:NAME"
                )
    return packages


@attrs.frozen(kw_only=True)
class UnitsConfig:
    """A cell whose state and output have one size.

    Args:
        units: size of the hidden state and of the output.
    """

    units: int = attrs.field(validator=ge(1))

    @property
    def output_size(self) -> int:
        """The hidden state."""
        return self.units


@attrs.frozen(kw_only=True)
class KernelConfig(UnitsConfig, WeightsConfig):
    """A cell with kernels and biases, whose settings are names of Keras, or tables.

    Args:
        units: size of the hidden state and of the output.
        kernel_initializer: of the kernel; a name of Keras, or a table of class_name and config.
        bias_initializer: of the bias.
        kernel_regularizer: adds a loss of the kernel.
        bias_regularizer: adds a loss of the bias.
        kernel_constraint: changes the kernel after each training step.
        bias_constraint: changes the bias after each training step.
    """


@attrs.frozen(kw_only=True)
class SguConfig(KernelConfig):
    """Simple gated unit; the settings of the kernel are those of both kernels."""


@attrs.frozen(kw_only=True)
class MinGruConfig(KernelConfig):
    """Minimal gated unit. Its gate and candidate depend on the inputs only.

    Args:
        positive: make candidates positive, as the paper's log-space version does.
    """

    positive: bool = False


@attrs.frozen(kw_only=True)
class IndRnnConfig(KernelConfig):
    """Independently recurrent cell: each unit sees its own state only.

    Args:
        activation: activation of a unit.
        timesteps: T in the limit 2^(1/T) of recurrent weights: a state grows at most 2-fold in T timesteps.
            0: the limit is 1, and no state grows.
    """

    activation: Literal["relu", "tanh"] = "relu"
    timesteps: int = attrs.field(default=0, validator=ge(0))


@attrs.frozen(kw_only=True)
class DenseConfig(KernelConfig):
    """Fully connected cell without a state; the loop's systems are its only memory.

    Args:
        units: size of the output.
        activation: of the output, by Keras's name; tanh where it is left out.
    """

    activation: str | None = None


@attrs.frozen(kw_only=True)
class KerasCellConfig(KernelConfig):
    """A cell of Keras.

    Args:
        dropout: fraction of the inputs to drop in training, with one mask for a whole sequence.
        recurrent_dropout: the same for the hidden state.
        recurrent_initializer: of the kernel of the hidden state.
        recurrent_regularizer: adds a loss of it.
        recurrent_constraint: changes it after each training step.
    """

    dropout: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))
    recurrent_dropout: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))
    recurrent_initializer: KerasObject = attrs.field(default=None, hash=False)
    recurrent_regularizer: KerasObject = attrs.field(default=None, hash=False)
    recurrent_constraint: KerasObject = attrs.field(default=None, hash=False)


@attrs.frozen(kw_only=True)
class SimpleRnnConfig(KerasCellConfig):
    """Fully connected recurrent cell.

    Args:
        activation: of the hidden state, by Keras's name; tanh where it is left out.
    """

    activation: str | None = None


@attrs.frozen(kw_only=True)
class GatedConfig(KerasCellConfig):
    """A cell of Keras with gates.

    Args:
        activation: of candidates, by Keras's name; tanh where it is left out.
        recurrent_activation: of gates; sigmoid where it is left out.
    """

    activation: str | None = None
    recurrent_activation: str | None = None


@attrs.frozen(kw_only=True)
class GruConfig(GatedConfig):
    """Gated recurrent unit."""


@attrs.frozen(kw_only=True)
class LstmConfig(GatedConfig):
    """Long short-term memory."""


@attrs.frozen(kw_only=True)
class PeepholeLstmConfig(LstmConfig):
    """Long short-term memory whose gates see the cell state."""


@attrs.frozen(kw_only=True)
class LayerNormLstmConfig(LstmConfig):
    """Long short-term memory with layer normalization."""


def _is_registered_name(instance: Any, attribute: Any, value: str) -> None:
    """Reject a string that cannot be a name in Keras's registry, and packages that are not allowed."""
    del instance, attribute
    package, _, name = value.rpartition(">")
    if not name.isidentifier():
        raise ValueError(
            f"'cell' must be a cell's registered name, such as 'GRUCell' or 'ncps>CfCCell': {value!r}"
        )
    if package.lower() == "keras":
        raise ValueError(f"'cell' must name a Keras cell without a package: {value!r}; write {name!r}")
    here = sys.modules.get("keras")  # what this process has registered is allowed
    if not package or (here is not None and value in here.saving.get_custom_objects()):
        return
    if package not in (allowed := allowed_packages()):
        raise ValueError(
            f"'cell' must come from an allowed package ({', '.join(allowed)}): {value!r}; import the module "
            "that registers it, or allow it in a plugin with the hook superloop_keras_packages"
        )


def _is_plain(instance: Any, attribute: Any, value: dict[str, Any]) -> None:
    """Reject values that TOML cannot hold, names of modules to import, and the loop's dtype."""
    del instance, attribute
    if "dtype" in value:
        raise ValueError(f"'config' may not set 'dtype', which the loop sets: {value['dtype']!r}")
    for key, entry in _entries(value):
        if key == "module":
            raise ValueError(f"'config' may not name a module: {entry!r}; remove 'module'")
        if not isinstance(entry, str | int | float | dict | list | tuple):
            raise ValueError(
                "'config' must contain only strings, numbers, true, false, lists and tables: "
                f"{key} = {entry!r}"
            )


def _entries(container: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all entries of a table, at any depth, each with its key; a list's entries have the list's key."""
    items = container.items() if isinstance(container, dict) else ((key, entry) for entry in container)
    for name, value in items:
        yield name, value
        if isinstance(value, dict | list | tuple):
            yield from _entries(value, name)


@attrs.frozen(kw_only=True)
class RegisteredConfig:
    """A cell in Keras's registry, of Keras or of an allowed package.

    Args:
        cell: its registered name: GRUCell, or with its package, ncps>CfCCell.
        config: arguments of the class's from_config, such as units.
    """

    cell: str = attrs.field(validator=_is_registered_name)
    config: dict[str, Any] = attrs.field(validator=_is_plain, hash=False)

    @property
    def package(self) -> str:
        """The package that registers it: ``ncps>CfCCell`` -> ``ncps``, ``GRUCell`` -> ``keras``."""
        return self.cell.rpartition(">")[0] or "keras"
