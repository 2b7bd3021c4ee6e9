"""Attention to data: by position, by content, and by a moving window."""

from collections.abc import Iterator

from superloop_core import SystemSpec, hookimpl
from superloop_plugin_attention.settings import (
    AttentionConfig,
    ContentAttentionConfig,
    LocationAttentionConfig,
)

__all__ = ["AttentionConfig", "ContentAttentionConfig", "LocationAttentionConfig"]


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the attention of the original superloop, attention by content, and by location."""
    yield SystemSpec(
        name="attention",
        config=AttentionConfig,
        factory="superloop_plugin_attention.attention:Attention",
        summary="Attention that walks a data tape, of the original superloop (Csirmaz, 2018)",
        example={"width": 3, "datapoints": 8},
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
        original_names={"outputs": "width"},
    )
    yield SystemSpec(
        name="content_attention",
        config=ContentAttentionConfig,
        factory="superloop_plugin_attention.content_attention:ContentAttention",
        summary="Attention to the datapoints that match a query (Bahdanau et al., 2015)",
        example={"width": 3, "key_size": 4},
        reference="Bahdanau et al., 2015, https://arxiv.org/abs/1409.0473",
    )
    yield SystemSpec(
        name="location_attention",
        config=LocationAttentionConfig,
        factory="superloop_plugin_attention.location_attention:LocationAttention",
        summary="A window that moves along a data tape, of the handwriting network (Graves, 2013)",
        example={"width": 3, "components": 2},
        reference="Graves, 2013, https://arxiv.org/abs/1308.0850",
    )
