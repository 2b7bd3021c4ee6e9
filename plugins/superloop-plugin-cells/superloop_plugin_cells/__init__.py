"""Recurrent cells: the original superloop's SGU, Keras's own, four of the literature, any Keras knows."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import attrs
from attrs.validators import and_, ge, lt

from superloop_core import CellSpec, hookimpl

# Packages whose cells `use = "keras"` may name, as Keras's registry calls them, and the module of each that
# registers them when it is imported. A config names no module itself.
PACKAGES: Mapping[str, str] = MappingProxyType({"keras": "keras.layers", "ncps": "ncps.keras"})


@attrs.frozen(kw_only=True)
class UnitsConfig:
    """A cell whose state and output are one vector.

    Args:
        units: size of the hidden state and of the output.
    """

    units: int = attrs.field(validator=ge(1))

    @property
    def output_size(self) -> int:
        """The hidden state."""
        return self.units


@attrs.frozen(kw_only=True)
class SguConfig(UnitsConfig):
    """Simple gated unit."""


@attrs.frozen(kw_only=True)
class MinGruConfig(UnitsConfig):
    """Minimal gated unit, whose gate and candidate see the inputs alone.

    Args:
        positive: whether candidates are made positive, as in the paper's version for log space.
    """

    positive: bool = False


@attrs.frozen(kw_only=True)
class IndRnnConfig(UnitsConfig):
    """Independently recurrent cell: a unit remembers itself and no other.

    Args:
        activation: what a unit goes through.
        timesteps: T of the limit 2^(1/T) on recurrent weights, by which what is remembered grows 2-fold in T
            timesteps at most; 0: the limit is 1, and it never grows.
    """

    activation: Literal["relu", "tanh"] = "relu"
    timesteps: int = attrs.field(default=0, validator=ge(0))


@attrs.frozen(kw_only=True)
class KerasCellConfig(UnitsConfig):
    """One of Keras's cells.

    Args:
        dropout: fraction of the inputs to drop in training; one mask for a whole sequence.
        recurrent_dropout: the same for the hidden state.
    """

    gates: ClassVar[int] = 1
    biases: ClassVar[int] = 1

    dropout: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))
    recurrent_dropout: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))


@attrs.frozen(kw_only=True)
class GruConfig(KerasCellConfig):
    """Gated recurrent unit."""

    gates: ClassVar[int] = 3
    biases: ClassVar[int] = 2  # one of the inputs, one of the hidden state


@attrs.frozen(kw_only=True)
class LstmConfig(KerasCellConfig):
    """Long short-term memory."""

    gates: ClassVar[int] = 4
    extra: ClassVar[int] = 0  # weights of a unit besides those of the gates


@attrs.frozen(kw_only=True)
class PeepholeLstmConfig(LstmConfig):
    """Long short-term memory whose gates see the cell state."""

    extra: ClassVar[int] = 3  # peepholes


@attrs.frozen(kw_only=True)
class LayerNormLstmConfig(LstmConfig):
    """Long short-term memory with layer normalization."""

    extra: ClassVar[int] = 10  # gains of the gates twice, gain and bias of the cell state


def _is_registered_name(instance: Any, attribute: Any, value: str) -> None:
    """Refuse what cannot be a name in Keras's registry, and names of packages that are not allowed."""
    del instance, attribute
    package, _, name = value.rpartition(">")
    if not name.isidentifier():
        raise ValueError(
            f"'cell' must be a cell's registered name, such as 'GRUCell' or 'ncps>CfCCell': {value!r}"
        )
    if package.lower() == "keras":
        raise ValueError(f"'cell' must name Keras's own without a package: {value!r}; write {name!r}")
    if package and package not in PACKAGES:
        raise ValueError(
            f"'cell' must be of a package that is allowed ({', '.join(PACKAGES)}): {value!r}; "
            "a cell of another package needs a plugin, which may be a few lines"
        )


def _is_plain(instance: Any, attribute: Any, value: dict[str, Any]) -> None:
    """Refuse what TOML cannot hold, what would have Keras import a module, and what the loop decides."""
    del instance, attribute
    if "dtype" in value:
        raise ValueError(f"'config' may not set 'dtype', which the loop decides: {value['dtype']!r}")
    for key, held in _entries(value):
        if key == "module":
            raise ValueError(f"'config' may name no module: {held!r}; leave 'module' out")
        if not isinstance(held, str | int | float | dict | list | tuple):
            raise ValueError(
                f"'config' must be of strings, numbers, true, false, lists and tables: {key} = {held!r}"
            )


def _entries(held: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Whatever is in a table, at any depth, each with the key that it stands under."""
    inner = held.items() if isinstance(held, dict) else ((key, one) for one in held)
    for name, value in inner:
        yield name, value
        if isinstance(value, dict | list | tuple):
            yield from _entries(value, name)


@attrs.frozen(kw_only=True)
class RegisteredConfig:
    """Any cell that Keras knows, of Keras itself or of a package that is allowed.

    Args:
        cell: its name in Keras's registry: GRUCell, or with its package, ncps>CfCCell.
        config: what the class's from_config takes, such as units.
    """

    cell: str = attrs.field(validator=_is_registered_name)
    config: dict[str, Any] = attrs.field(validator=_is_plain, hash=False)

    @property
    def package(self) -> str:
        """Who registers it: ``ncps>CfCCell`` -> ``ncps``, ``GRUCell`` -> ``keras``."""
        return self.cell.rpartition(">")[0] or "keras"


@hookimpl
def superloop_register():
    """The nine cells."""
    yield CellSpec(
        name="sgu",
        config=SguConfig,
        factory="superloop_plugin_cells.sgu:sgu",
        summary="Simple gated unit of the original superloop (Csirmaz, 2018)",
        example={"units": 8},
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
    )
    yield CellSpec(
        name="lstm",
        config=LstmConfig,
        factory="superloop_plugin_cells.keras_cells:lstm",
        summary="Long short-term memory (Hochreiter and Schmidhuber, 1997)",
        example={"units": 8},
        reference="Hochreiter and Schmidhuber, 1997, https://doi.org/10.1162/neco.1997.9.8.1735",
    )
    yield CellSpec(
        name="gru",
        config=GruConfig,
        factory="superloop_plugin_cells.keras_cells:gru",
        summary="Gated recurrent unit (Cho et al., 2014)",
        example={"units": 8},
        reference="Cho et al., 2014, https://arxiv.org/abs/1406.1078",
    )
    yield CellSpec(
        name="simple_rnn",
        config=KerasCellConfig,
        factory="superloop_plugin_cells.keras_cells:simple_rnn",
        summary="Fully connected recurrent cell with tanh (Elman, 1990)",
        example={"units": 8},
        reference="Elman, 1990, https://doi.org/10.1207/s15516709cog1402_1",
    )
    yield CellSpec(
        name="peephole_lstm",
        config=PeepholeLstmConfig,
        factory="superloop_plugin_cells.peephole_lstm:peephole_lstm",
        summary="LSTM whose gates see the cell state (Gers and Schmidhuber, 2000)",
        example={"units": 8},
        reference="Gers, Schraudolph and Schmidhuber, 2002, https://www.jmlr.org/papers/v3/gers02a.html",
    )
    yield CellSpec(
        name="layer_norm_lstm",
        config=LayerNormLstmConfig,
        factory="superloop_plugin_cells.layer_norm_lstm:layer_norm_lstm",
        summary="LSTM with layer normalization (Ba, Kiros and Hinton, 2016)",
        example={"units": 8},
        reference="Ba, Kiros and Hinton, 2016, https://arxiv.org/abs/1607.06450",
    )
    yield CellSpec(
        name="min_gru",
        config=MinGruConfig,
        factory="superloop_plugin_cells.min_gru:min_gru",
        summary="Minimal gated unit, whose gate sees the inputs alone (Feng et al., 2024)",
        example={"units": 8},
        reference="Feng et al., 2024, https://arxiv.org/abs/2410.01201",
    )
    yield CellSpec(
        name="indrnn",
        config=IndRnnConfig,
        factory="superloop_plugin_cells.indrnn:indrnn",
        summary="Independently recurrent units (Li et al., 2018)",
        example={"units": 8},
        reference="Li et al., 2018, https://arxiv.org/abs/1803.04831",
    )
    yield CellSpec(
        name="keras",
        config=RegisteredConfig,
        factory="superloop_plugin_cells.registered:registered",
        summary="Any cell that Keras knows by name, of Keras or of a package that is allowed",
        example={"cell": "GRUCell", "config": {"units": 8}},
        reference="Keras, https://keras.io/api/layers/recurrent_layers/rnn",
    )
