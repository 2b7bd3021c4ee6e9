"""The plugins that are installed: found, checked, and resolved by name."""

from superloop_core.registry.registry import Registry, load_registry, registry_in_use

__all__ = ["Registry", "load_registry", "registry_in_use"]
