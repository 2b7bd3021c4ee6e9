"""A check of the built pages: each link within the site leads to a file, and to an element of it."""

from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


class _Page(HTMLParser):
    """The ids of a page, and what it links to."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's id, and its link."""
        given = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        self.links |= {value for name in ("href", "src") if (value := given.get(name))}


def broken_links(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the links that lead nowhere, each with its page.

    Args:
        folder: of the built site. It may have pages of an earlier build too.
        names: of its pages.
    """
    pages = {path: _Page(path) for name in sorted(names) if (path := folder / f"{name}.html").exists()}
    found = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in ("#", ""):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not target.is_file() or (place and target in pages and place not in pages[target].ids):
                found.append(f"{path.relative_to(folder)}: {link}")
    return found


def _check(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        for link in broken_links(Path(app.outdir).resolve(), {*app.env.found_docs, "search", "genindex"}):
            logger.warning("a link leads nowhere: %s", link, type="internal_links")


def setup(app: Sphinx) -> dict[str, Any]:
    """Check the links when the pages are written."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
