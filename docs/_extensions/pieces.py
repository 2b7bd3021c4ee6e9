"""Pieces of generated Markdown."""

import re
from collections.abc import Iterable
from typing import Any


def in_table(text: object) -> str:
    """Escape what has a meaning in a table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def with_code(text: str) -> str:
    """Show names that a description quotes in monospace, in a table."""
    return in_table(re.sub(r"'([^' ]+)'", r"`\1`", text))


def as_toml(value: Any) -> str:
    """Return a setting as a config has it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def block(*lines: str) -> str:
    """Return a fenced block without highlighting."""
    return "\n".join(["```text", *lines, "```"])


def in_restructuredtext(text: str) -> str:
    """Return a block of reStructuredText within Markdown."""
    return f"`````{{eval-rst}}\n{text}\n`````"


def toctree(pages: Iterable[str], *, hidden: bool = True) -> str:
    """Return a toctree."""
    options = [":hidden:"] if hidden else [":maxdepth: 1"]
    return "\n".join(["```{toctree}", *options, "", *pages, "```"])
