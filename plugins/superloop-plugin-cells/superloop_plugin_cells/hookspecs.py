"""The hook of this plugin, which others may implement."""

from collections.abc import Mapping

from superloop_core import hookspec


@hookspec
def superloop_keras_packages() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Return packages whose cells ``use = "keras"`` may name, each with the module that registers them.

    The package is the one of ``keras.saving.register_keras_serializable(package)``: ``{"ncps":
    "ncps.keras"}`` allows ``cell = "ncps>CfCCell"``. The module is imported when a config names the package.
    """
