"""The schema of a config: frozen attrs classes, comparable and printable."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import attrs
from attrs.validators import ge, le

from superloop_core.config.settings import settings_to_dict
from superloop_core.errors import ConfigError
from superloop_core.names import CELLS, FEEDBACK, INPUTS, OUTPUTS, cell_path, read_path, source_name
from superloop_core.registry.specs import place_of
from superloop_core.setting_types import register_part, written
from superloop_core.system_settings import Shape, Source, sources_of

RESERVED_IDS = frozenset({CELLS, INPUTS, OUTPUTS, FEEDBACK})
# How parts are connected. A file has them only where they are not the default. Where a plugin has a setting
# of the name, as one of an older version may, it is the plugin's.
WIRING = ("residual", "layer_norm", "controlled_by", "feedback", "feedforward", "reads", "shares")


@attrs.frozen(kw_only=True)
class PartConfig:
    """A plugin in use.

    Args:
        use: its qualified name; empty where ``given`` is of a class that is registered nowhere.
        settings: the plugin's own attrs object.
        given: what stood in the place of a table: an object, which is the part itself; or the spec of a
            class that is registered nowhere. None: the plugin makes the part.
    """

    use: str
    settings: Any
    given: Any = attrs.field(default=None, eq=id)

    def to_dict(self) -> dict[str, Any]:
        """Return the part as a table of a config file.

        Raises:
            ConfigError: it is of a class that is registered nowhere.
        """
        if not self.use:
            made = getattr(self.given, "factory", None) or type(self.given)
            raise ConfigError(
                f"{'.'.join(place_of(made))} is registered nowhere, so that no file can name it: write "
                "@superloop_core.register above it (above a Keras cell: "
                "@keras.saving.register_keras_serializable, and use arguments that a config can hold)"
            )
        return self._own_to_dict() | settings_to_dict(self.settings)

    def _own_to_dict(self) -> dict[str, Any]:
        defaults = {field.name: field.default for field in attrs.fields(type(self))}
        own = {name: getattr(self, name) for name in own_keys(type(self))}
        return {n: written(value) for n, value in own.items() if n not in WIRING or value != defaults[n]}


def own_keys(cls: type[PartConfig], settings: type[Any] | None = None) -> list[str]:
    """Return the keys in the table of a part that are not the plugin's settings.

    Args:
        cls: of the part.
        settings: the class of the plugin's settings; one of :data:`WIRING` that it has is the plugin's.
    """
    theirs = {field.alias for field in attrs.fields(settings)} if settings is not None else set()
    own = (field.name for field in attrs.fields(cls) if field.name not in ("settings", "given"))
    return [name for name in own if not (name in WIRING and name in theirs)]


@attrs.frozen(kw_only=True)
class CellConfig(PartConfig):
    """``layers`` recurrent cells of one kind, stacked.

    Args:
        layers: at most 100: each is built and traced on its own.
        learn_initial_state: whether each one's state at t = 0 is learned.
        residual: add the output of the cell below to each one's output; below the first cell is the external
            input. Both must have one size.
        layer_norm: normalize each one's input, read vectors included (Ba et al., 2016,
            https://arxiv.org/abs/1607.06450).
    """

    layers: int = attrs.field(default=1, validator=[ge(1), le(100)])
    learn_initial_state: bool = False
    residual: bool = False
    layer_norm: bool = False

    @property
    def sources(self) -> dict[str, Source]:
        """Sources of a loop that is a cell, by full name: shapes without the batch axis."""
        return sources_of(self.settings)


@attrs.frozen(kw_only=True)
class SystemConfig(PartConfig):
    """An external system, with the ``id`` that its sources and traces are named after.

    Args:
        learn_initial_state: whether its memory at t = 0 is learned.
        learn_initial_read: whether its read vector at t = 0 is learned, instead of zeros.
        controlled_by: number of the cell whose output is its control, as in ``cells.0``; -1: the last one.
        feedback: whether the first cell reads its read vector at the next timestep.
        feedforward: whether the read vector is also read in the same timestep by what follows the cell: the
            next cell or, after the last one, the projection to the outputs. Without feedback it always is.
        reads: ids of systems before it whose read vectors of this timestep its control also depends on.
        shares: id of a system before it, whose memory, weights and settings it has; empty: it has its own.
            In each timestep the systems that share a memory take their steps one after the other.
    """

    id: str
    learn_initial_state: bool = False
    learn_initial_read: bool = False
    controlled_by: int = attrs.field(default=-1, validator=ge(-1))
    feedback: bool = True
    feedforward: bool = False
    reads: tuple[str, ...] = ()
    shares: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the system as a table of a config file; one that shares another's has no settings."""
        if not self.shares:
            return PartConfig.to_dict(self)
        return {name: value for name, value in self._own_to_dict().items() if name != "use"}

    @property
    def sources(self) -> dict[str, Source]:
        """Sources by the system's own names: shapes without the batch axis."""
        return sources_of(self.settings)


KerasObject: TypeAlias = str | dict[str, Any] | None  # a name of Keras, a saved config of it, or its default


@attrs.frozen(kw_only=True, slots=False)  # a base of settings, beside another
class WeightsConfig:
    """The weights of a projection, in Keras's words.

    Each setting is a name (``"he_normal"``, ``"l2"``), or a table with ``class_name`` and ``config``.

    Args:
        kernel_initializer: of the kernel.
        bias_initializer: of the bias.
        kernel_regularizer: adds a loss of the kernel.
        bias_regularizer: adds a loss of the bias.
        kernel_constraint: changes the kernel after each training step.
        bias_constraint: changes the bias after each training step.
    """

    kernel_initializer: KerasObject = attrs.field(default=None, hash=False)
    bias_initializer: KerasObject = attrs.field(default=None, hash=False)
    kernel_regularizer: KerasObject = attrs.field(default=None, hash=False)
    bias_regularizer: KerasObject = attrs.field(default=None, hash=False)
    kernel_constraint: KerasObject = attrs.field(default=None, hash=False)
    bias_constraint: KerasObject = attrs.field(default=None, hash=False)


@attrs.frozen(kw_only=True)
class LoopConfig:
    """A superloop: stacked cells, and the external systems that the loop closes through.

    Args:
        timesteps: number of timesteps of a sequence; 0: that of the input.
        inputs: size of the external input at each timestep; 0: none.
        outputs: size of the output at each timestep; 0: no projection, the output is the
            last cell's.
        suppress_output: number of timesteps at the start without output.
        think_steps: number of further steps in each timestep, which see an input of zeros; the output of a
            timestep is that of its last step.
        outputs_read_systems: let the output at t also read the read vectors of t + 1, as in the DNC.
        control_weights: of the projections to the controls of all systems; None: as each system has them.
        output_weights: of the projection to the outputs; None: Keras's defaults.
        cells: the stack of recurrent cells, from the input up.
        systems: the external systems.
    """

    timesteps: int = attrs.field(default=0, validator=ge(0))
    inputs: int = attrs.field(default=0, validator=ge(0))
    outputs: int = attrs.field(default=0, validator=ge(0))
    suppress_output: int = attrs.field(default=0, validator=ge(0))
    think_steps: int = attrs.field(default=0, validator=[ge(0), le(100)])
    outputs_read_systems: bool = False
    control_weights: WeightsConfig | None = None
    output_weights: WeightsConfig | None = None
    cells: tuple[CellConfig, ...] = ()
    systems: tuple[SystemConfig, ...] = ()

    @property
    def feedback_size(self) -> int:
        """Size of all read vectors that are fed back."""
        return sum(system.settings.output_size for system in self.systems if system.feedback)

    @property
    def sources(self) -> dict[str, Source]:
        """All sources, named ``<id>_<source>``: shapes without the batch axis."""
        return dict(named_sources(self))

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shapes of the inputs that a call must have, by name, without the batch axis."""
        inputs: dict[str, Shape] = {INPUTS: (self.timesteps or None, self.inputs)} if self.inputs else {}
        required = {name: source for name, source in self.sources.items() if not source.optional}
        return inputs | required or {FEEDBACK: (self.feedback_size,)}

    @property
    def learned(self) -> tuple[str, ...]:
        """Paths of the learned parts of the state at t = 0: ``cells.0``, ``tape``, ``tape.read``."""
        cells = [cell for cell in self.cells for _ in range(cell.layers)]
        return (
            *(cell_path(index) for index, cell in enumerate(cells) if cell.learn_initial_state),
            *(system.id for system in self.systems if system.learn_initial_state),
            *(read_path(system.id) for system in self.systems if system.learn_initial_read),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the loop as the ``[loop]`` table of a config file."""
        own = {field.name: getattr(self, field.name) for field in attrs.fields(LoopConfig)}
        weights = ("control_weights", "output_weights")
        own |= {name: settings_to_dict(own[name]) for name in weights if own[name] is not None}
        own = {name: value for name, value in own.items() if value is not None}
        parts = {
            "cells": [cell.to_dict() for cell in self.cells],
            "systems": [system.to_dict() for system in self.systems],
        }
        return own | parts


register_part(LoopConfig, "a loop", LoopConfig.to_dict)
register_part(CellConfig, "a cell", CellConfig.to_dict)
register_part(SystemConfig, "a system", SystemConfig.to_dict)


@attrs.frozen(kw_only=True)
class Config:
    """A config file: the loop, the tables that plugins own, and the versions it was resolved with."""

    loop: LoopConfig
    tables: Mapping[str, Any] = attrs.field(factory=dict)
    plugins: Mapping[str, str] = attrs.field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the config as a dict that :func:`read_config` takes and TOML can hold."""
        tables = {name: _table_to_dict(table) for name, table in self.tables.items()}
        return {"loop": self.loop.to_dict(), **tables, "plugins": dict(self.plugins)}


def _table_to_dict(table: Any) -> Any:
    if isinstance(table, tuple):
        return [part.to_dict() for part in table]
    return table.to_dict() if isinstance(table, PartConfig) else settings_to_dict(table)


class Fact(NamedTuple):
    """What is known of a config besides its values: ``train``, ``48 examples``.

    ``superloop validate`` estimates the memory by the numbers of two facts: ``timesteps``, the longest
    sequence's, where the loop takes any number of them, and ``model``, the weights of the whole model.
    """

    name: str
    text: str
    number: int = 0


def named_sources(loop: LoopConfig) -> list[tuple[str, Source]]:
    """Return each source with its name, in order; a name may occur twice."""
    of_cells = [source for cell in loop.cells for source in cell.sources.items()]
    return of_cells + [
        (source_name(system.id, name), source.within(system.id))
        for system in loop.systems
        if not system.shares
        for name, source in system.sources.items()
    ]
