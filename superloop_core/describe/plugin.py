"""A plugin's description: settings, sizes of its example, reference, origin."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import attrs

from superloop_core.config.reader import Reader
from superloop_core.config.settings import settings_to_dict
from superloop_core.errors import PluginError, reason
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import load_registry
from superloop_core.setting_types import expected
from superloop_core.system_settings import sources_of


@attrs.frozen(kw_only=True)
class Setting:
    """One setting of a plugin.

    Args:
        name: its key in a config.
        type: in words, such as ``an integer``; ``anything`` where it is not declared.
        required: whether it must be given.
        default: as a config holds it.
        range: its validators' rules, such as ``>= 1``; empty where there are none.
        meaning: from the docstring of its class.
    """

    name: str
    type: str
    required: bool
    default: Any = None
    range: str = ""
    meaning: str = ""


@attrs.frozen(kw_only=True)
class Description:
    """A plugin's description.

    Args:
        name: its short name.
        sizes: ``control_size``, ``output_size`` and ``sources`` of its example, where its settings have them.
        module: the light module that registers it.
    """

    name: str
    qualified_name: str
    kind: str
    summary: str
    about: str
    reference: str
    aliases: tuple[str, ...]
    settings: tuple[Setting, ...]
    example: dict[str, Any]
    sizes: dict[str, Any]
    distribution: str
    version: str
    entry_point: str
    module: str
    factory: str


def described(record: PluginRecord) -> Description:
    """Describe a plugin, without importing more of it than is imported already."""
    spec = record.spec
    try:
        attrs.resolve_types(spec.config)
    except Exception as error:
        raise PluginError(
            f"{record.qualified_name}: the types of its settings cannot be resolved: {reason(error)}"
        ) from error
    return Description(
        name=spec.name,
        qualified_name=record.qualified_name,
        kind=spec.kind,
        summary=spec.summary,
        about=_text_and_arguments(spec.config)[0],
        reference=spec.reference,
        aliases=spec.aliases,
        settings=tuple(settings_of(spec.config)),
        example=spec.example,
        sizes=_sizes(record),
        distribution=record.distribution,
        version=record.version,
        entry_point=record.entry_point,
        module=record.module,
        factory=spec.factory_name,
    )


def settings_of(config: type[Any]) -> Iterator[Setting]:
    """Describe each setting of an attrs class."""
    attrs.resolve_types(config)
    meanings: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        meanings |= _text_and_arguments(cls)[1]
    for field in attrs.fields(config):
        if field.init:
            required = field.default is attrs.NOTHING
            yield Setting(
                name=field.alias,
                type=expected(field.type) if field.type not in (None, Any) else "anything",
                required=required,
                default=None if required else _default(config, field),
                range=" and ".join(_ranges(field.validator)),
                meaning=meanings.get(field.alias, ""),
            )


def _default(config: type[Any], field: Any) -> Any:
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        if field.default.takes_self:
            return "computed from the others"
        made = field.default.factory()
    else:
        made = field.default
    holder = attrs.make_class("Holder", {"value": attrs.field(type=field.type)})
    return settings_to_dict(holder(made)).get("value") if made is not None else None


def _ranges(validator: Any) -> Iterator[str]:
    """Yield the rules of attrs's own validators; those of a plugin's own are unknown."""
    if hasattr(validator, "compare_op"):
        yield f"{validator.compare_op} {validator.bound}"
    elif hasattr(validator, "_validators"):  # and_, or a list
        for one in validator._validators:
            yield from _ranges(one)
    elif hasattr(validator, "options"):
        yield f"one of {', '.join(map(repr, validator.options))}"
    elif hasattr(validator, "member_validator"):
        yield from (f"each {asked}" for asked in _ranges(validator.member_validator))
    elif hasattr(validator, "min_length"):
        yield f"of a length >= {validator.min_length}"
    elif hasattr(validator, "max_length"):
        yield f"of a length <= {validator.max_length}"
    elif hasattr(validator, "pattern"):
        yield f"matching {validator.pattern.pattern}"
    elif type(validator).__name__ == "_OptionalValidator":
        yield from _ranges(validator.validator)


def _sizes(record: PluginRecord) -> dict[str, Any]:
    """Return the sizes that the settings of the example declare."""
    settings = Reader(load_registry()).plugin_settings(record.spec, record.spec.example, record.name)
    if settings is None:
        return {}
    known = ("control_size", "output_size")
    sizes = {name: getattr(settings, name) for name in known if hasattr(settings, name)}
    if sources := sources_of(settings):
        sizes["sources"] = sources
    return sizes


def _text_and_arguments(cls: type[Any]) -> tuple[str, dict[str, str]]:
    """Split a docstring of Google's style into its text and the meanings under ``Args:``."""
    text = inspect.getdoc(cls) or ""
    if text.startswith(f"Method generated by attrs for class {cls.__name__}"):
        text = ""
    before, _, after = text.partition("\nArgs:\n")
    meanings: dict[str, str] = {}
    name = None
    for line in after.splitlines():
        if line and not line.startswith(" "):
            break  # the next section
        if entry := re.match(r" {2,4}(\w+)(?: \(.*?\))?: (.*)", line):
            name = entry[1]
            meanings[name] = entry[2]
        elif name and line.strip():
            meanings[name] += " " + line.strip()
    plain = {name: meaning.replace("``", "'") for name, meaning in meanings.items()}
    return before.strip(), plain
