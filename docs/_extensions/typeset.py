"""Typesets the equations on the pages of memories and cells: MathML, which needs no script."""

from html import escape
from typing import Any

from docutils import nodes
from equations import Row, Unreadable, rows_of
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def typeset(rows: list[Row]) -> str:
    """Return rows as a table of HTML: both sides of each equation, and its remark."""
    lines = (
        f'<tr><td class="left">{_mathml(row.left)}</td><td>{_mathml(row.right)}</td>'
        f'<td class="remark">{escape(row.remark)}</td></tr>'
        for row in rows
    )
    return f'<div class="typeset"><table>{"".join(lines)}</table></div>'


def _mathml(latex: str) -> str:
    return convert(rf"\displaystyle {latex}") if latex else ""


def typeset_blocks(app: Sphinx, doctree: nodes.document) -> None:
    """Typeset the literal blocks of docstrings that are equations."""
    for container in list(doctree.findall(nodes.container)):
        if "equations" not in container["classes"]:
            continue
        for block in list(container.findall(nodes.literal_block)):
            try:
                rows = rows_of(block.astext())
            except Unreadable:
                continue
            block.replace_self(nodes.raw("", typeset(rows), format="html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Typeset once a page is read."""
    app.connect("doctree-read", typeset_blocks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
