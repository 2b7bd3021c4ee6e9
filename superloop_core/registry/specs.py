"""Specs: what a plugin declares, without Keras."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs
from attrs.validators import deep_iterable, deep_mapping, instance_of, matches_re, optional

from superloop_core.errors import PluginError, SuperloopError, reason
from superloop_core.setting_types import refused_setting

LOCAL = "local"  # in the place of a distribution: what is defined by this process
KINDS = ("cell", "system", "task", "metric")
_NAME = matches_re(r"[a-z][a-z0-9_]*(\.v[1-9][0-9]*)?")
_QUALIFIED = matches_re(r"[a-z0-9-]+:[a-z][a-z0-9_]*(\.v[1-9][0-9]*)?")
_TEXTS = deep_mapping(instance_of(str), instance_of(str))


def _is_attrs_class(instance: Any, attribute: Any, value: Any) -> None:
    if not (isinstance(value, type) and attrs.has(value)):
        raise TypeError(f"{attribute.name!r} must be an attrs class: {value!r}")
    if why := refused_setting(value):
        raise TypeError(why)


def _names_or_is_a_factory(instance: Any, attribute: Any, value: Any) -> None:
    if not callable(value):
        instance_of(str)(instance, attribute, value)
        matches_re(r"[\w.]+:\w+")(instance, attribute, value)


@attrs.frozen(kw_only=True)
class PluginSpec:
    """A cell, system, task or metric by name: its settings, and where its implementation is.

    Args:
        name: the name in configs: lower case with underscores; ``.v2`` may follow.
        config: the attrs class of its settings, which are validated by its fields' validators.
        factory: ``"package.module:attribute"``, imported when a config names the plugin and called
            with the settings; or, of a class or function that is there already, itself.
        summary: one line for ``superloop plugins``.
        example: settings that make a small, valid instance.
        reference: where it was published: authors, year and link.
        aliases: other names for configs.
        former_names: qualified names that files may have it by: ``local:ring_buffer``, from before it was in
            a package; ``superloop-plugin-old:stack``.
        original_names: settings with other names in the original superloop: theirs to ours.
        expected_failures: checks of the conformance kit (:mod:`superloop_core.testing`) that it is known to
            fail, with the reasons. If one passes after all, the kit fails.
    """

    kind: ClassVar[str]
    own_keys: ClassVar[frozenset[str]] = frozenset({"use"})  # the core's, in a table that names a plugin

    name: str = attrs.field(validator=[instance_of(str), _NAME])
    config: type = attrs.field(validator=_is_attrs_class)
    factory: str | Callable[[Any], Any] = attrs.field(validator=_names_or_is_a_factory)
    summary: str = attrs.field(validator=instance_of(str))
    example: dict[str, Any] = attrs.field(factory=dict, validator=instance_of(dict))
    reference: str = attrs.field(default="", validator=instance_of(str))
    aliases: tuple[str, ...] = attrs.field(default=(), validator=deep_iterable(_NAME, instance_of(tuple)))
    former_names: tuple[str, ...] = attrs.field(
        default=(), validator=deep_iterable(_QUALIFIED, instance_of(tuple))
    )
    original_names: Mapping[str, str] = attrs.field(factory=dict, validator=_TEXTS)
    expected_failures: Mapping[str, str] = attrs.field(factory=dict, validator=_TEXTS)

    @property
    def names(self) -> tuple[str, ...]:
        """All its names: its own, with and without ``.v1``, and its aliases."""
        base, _, version = self.name.partition(".")
        other = {"": (f"{base}.v1",), "v1": (base,)}.get(version, ())
        return (self.name, *other, *self.aliases)

    @property
    def factory_name(self) -> str:
        """The factory as ``"package.module:attribute"``."""
        return self.factory if isinstance(self.factory, str) else ":".join(place_of(self.factory))

    def is_made_by(self, factory: Any) -> bool:
        """Whether a class or a function is the factory; one that is not imported yet is not."""
        if not isinstance(self.factory, str):
            return self.factory is factory
        module, _, attribute = self.factory.partition(":")
        return getattr(sys.modules.get(module), attribute, None) is factory

    def __attrs_post_init__(self) -> None:
        for name in self.own_keys & {field.alias for field in attrs.fields(self.config)}:
            raise ValueError(f"'config' may have no setting {name!r}: that key is the core's own")

    def create(self, settings: Any, **arguments: Any) -> Any:
        """Import the factory and call it with ``settings``, an instance of :attr:`config`.

        Args:
            settings: of the plugin.
            arguments: others that the factory takes, see :meth:`takes`.

        Raises:
            PluginError: the factory cannot be imported, or raises something other than our errors.
        """
        factory = self._imported()
        try:
            return factory(settings, **arguments)
        except (KeyboardInterrupt, SuperloopError):
            raise
        except BaseException as error:
            raise self._failure("failed", error) from error

    def takes(self, *names: str) -> bool:
        """Whether the factory has parameters of these names.

        Raises:
            PluginError: the factory cannot be imported.
        """
        return set(names) <= inspect.signature(self._imported()).parameters.keys()

    def _imported(self) -> Callable[..., Any]:
        if not isinstance(self.factory, str):
            return self.factory
        module, _, attribute = self.factory.partition(":")
        try:
            factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._failure("cannot be imported", error) from error
        return factory

    def _failure(self, what: str, error: BaseException) -> PluginError:
        return PluginError(
            f"{self.kind} {self.name!r}: its factory {self.factory_name!r} {what}: {reason(error)}"
        )


@attrs.frozen(kw_only=True)
class CellSpec(PluginSpec):
    """A recurrent cell. The factory returns a Keras RNN cell (see ``keras.layers.RNN``)."""

    kind: ClassVar[str] = "cell"
    own_keys: ClassVar[frozenset[str]] = frozenset({"use", "layers", "learn_initial_state"})


@attrs.frozen(kw_only=True)
class SystemSpec(PluginSpec):
    """An external system. The config follows :class:`SystemSettings`; the factory returns a ``System``."""

    kind: ClassVar[str] = "system"
    own_keys: ClassVar[frozenset[str]] = frozenset({"use", "id", "learn_initial_state", "learn_initial_read"})


@attrs.frozen(kw_only=True)
class TaskSpec(PluginSpec):
    """A task to train on. The factory returns a :class:`superloop_core.task.Task`.

    Args:
        example_loop: a small ``[loop]`` for ``example``.
    """

    kind: ClassVar[str] = "task"

    example_loop: dict[str, Any] = attrs.field(factory=dict, validator=instance_of(dict))


@attrs.frozen(kw_only=True)
class MetricSpec(PluginSpec):
    """A figure for each sequence. The factory returns a :class:`superloop_core.task.Metric`."""

    kind: ClassVar[str] = "metric"


@attrs.frozen(kw_only=True)
class TableSpec:
    """A top-level table of a config file, and its schema.

    Args:
        name: the table's name, such as ``"train"``.
        config: the attrs class of its settings; ``None`` where the table names a plugin with ``use``.
        kind: the kind of plugin that ``use`` names.
        many: whether it is a list of tables, ``[[metrics]]``, each with its own ``use``.
    """

    name: str = attrs.field(validator=[instance_of(str), _NAME])
    config: type | None = attrs.field(default=None, validator=optional(_is_attrs_class))
    kind: str | None = attrs.field(default=None, validator=optional(instance_of(str)))
    many: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.config is None) == (self.kind is None):
            raise ValueError(f"table {self.name!r} must have either a config or a kind")
        if self.many and self.kind is None:
            raise ValueError(f"table {self.name!r} must have a kind where there may be many")


def place_of(defined: Any) -> tuple[str, str]:
    """Return the module and the qualified name of a class or a function; those of its class for an object."""
    named = defined if hasattr(defined, "__qualname__") else type(defined)
    return str(named.__module__), str(named.__qualname__)


def normalized(distribution: str) -> str:
    """Return the name of a distribution as the index of packages has it: ``a_B.c`` is ``a-b-c``."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def snake_case(name: str) -> str:
    """``RegisterMemory`` -> ``register_memory``, ``SGU`` -> ``sgu``, ``SimpleRNN`` -> ``simple_rnn``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
