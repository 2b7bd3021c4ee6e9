"""Pages that are made from files: example configs, pictures, and what is written outside of the docs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
from outside_links import DOCS, EXAMPLES, PROJECT, ROOT, config_anchor, config_name, with_site_links
from pieces import toctree


@attrs.frozen(kw_only=True)
class Picture:
    """A picture of the docs.

    Args:
        file: its name in ``docs/images``.
        alt: what it shows.
        page: the name of the page that has it.
        memory: the memory that it shows at work; empty: it shows something else.
        caption: Markdown.
        config: the config that it was made with, of ``docs/examples``; None: not known.
    """

    file: str
    alt: str
    page: str
    memory: str = ""
    caption: str = ""
    config: Path | None = None


def pictures() -> list[Picture]:
    """Find the pictures of the pages at the top; the first page that has one counts."""
    found: dict[str, Picture] = {}
    for page in sorted(DOCS.glob("*.md"), key=lambda path: (path.stem != "memories", path.stem)):
        text = page.read_text()
        at_work = re.findall(r"^\*\*`(\w+)`\*\* ((?:.+\n)+)\n!\[(.+?)\]\(images/(.+?)\)", text, re.MULTILINE)
        for memory, caption, alt, file in at_work:
            name = re.search(r"\(`([\w/]+)`\)", caption)
            config = EXAMPLES / f"{name[1]}.toml" if name else None
            found.setdefault(
                file,
                Picture(
                    file=file,
                    alt=alt,
                    page=page.stem,
                    memory=memory,
                    caption=f"`{memory}` {caption.strip()}",
                    config=config if config and config.exists() else None,
                ),
            )
        for alt, file in re.findall(r"!\[(.+?)\]\(images/(.+?)\)", text):
            found.setdefault(file, Picture(file=file, alt=alt, page=page.stem))
    return list(found.values())


def picture_of(name: str) -> Picture | None:
    """Return the picture of a memory or cell: that of *At work*, or one of its name."""
    listed = [picture for picture in pictures() if picture.memory == name]
    if listed:
        return listed[0]
    if (DOCS / f"images/{name}.png").exists():
        return Picture(file=f"{name}.png", alt=f"what {name} did", page="memories", memory=name)
    return None


def config_of(name: str, picture: Picture | None) -> Path | None:
    """Return the config that shows a memory or cell at work."""
    if picture and picture.config:
        return picture.config
    return next(iter(sorted(EXAMPLES.glob(f"*/{name}.toml"))), None)


def configs() -> dict[str, list[Path]]:
    """Return the example configs by folder."""
    found: dict[str, list[Path]] = {}
    for path in sorted(EXAMPLES.rglob("*.toml"), key=lambda path: (path.parent, path)):
        folder = str(path.parent.relative_to(EXAMPLES)).replace(".", "")
        if not folder.startswith("superloop-plugin"):
            found.setdefault(folder, []).append(path)
    return found


def _configs_page() -> str:
    """Return the page of all example configs."""
    rows = [
        "# Configs",
        "All example configs; a clone of the repository has them under `docs/examples`. "
        "`superloop train docs/examples/NAME.toml` trains the network; "
        "[the quickstart](/quickstart.md) explains the tables.",
    ]
    for folder, paths in configs().items():
        if folder:
            rows += [f"({config_anchor(paths[0].parent)})=", f"## {folder}"]
        for path in paths:
            name = config_name(path)
            rows += [
                f"({config_anchor(path)})=",
                f"{'###' if folder else '##'} {name}",
                f"```{{literalinclude}} /examples/{name}.toml\n:language: toml\n```",
            ]
    return "\n\n".join(rows)


def _gallery_page(pages: Mapping[str, str]) -> str:
    """Return the page of all pictures, with their configs."""
    found = sorted(pictures(), key=lambda picture: (not picture.memory, picture.memory, picture.file))
    rows = [
        "# Gallery",
        "What memories do, and what networks with them learn. Each picture has its config, from which "
        "`superloop train` and `superloop trace` make it. "
        "[Memories](/memories.md#at-work) explains how to read them.",
    ]
    for picture in found:
        title = picture.memory or picture.file.rpartition(".")[0].replace("_", " ")
        caption = with_site_links(picture.caption, DOCS) or f"{picture.alt[:1].upper()}{picture.alt[1:]}."
        rows += [f"## {title}", f"![{picture.alt}](/images/{picture.file})", caption]
        links = [f"[{picture.page}](/{picture.page}.md)"]
        if picture.config:
            links.insert(0, f"[{config_name(picture.config)}](#{config_anchor(picture.config)})")
        if picture.memory in pages:
            links.insert(0, f"[{picture.memory}]({pages[picture.memory]})")
        rows.append("More: " + ", ".join(links))
    return "\n\n".join(rows)


def _copied_pages() -> Iterator[tuple[str, str]]:
    """Yield the READMEs of the distributions, and the files at the root."""
    names = []
    for path in sorted((ROOT / "plugins").glob("*/README.md")):
        names.append(path.parent.name)
        yield f"distributions/{path.parent.name}", with_site_links(path.read_text(), path.parent)
    rows = "\n\n".join(
        [
            "# Distributions",
            "The first-party plugins. Each is a distribution of its own; `pip install . ./plugins/*` "
            "in a clone of the repository installs all.",
            toctree(names, hidden=False),
        ]
    )
    yield "distributions/index", rows
    for file, name in PROJECT.items():
        yield f"project/{name}", with_site_links((ROOT / file).read_text(), ROOT)


def file_pages(pages: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page.

    Args:
        pages: those of memories and cells, by their names.
    """
    yield "configs", _configs_page()
    yield "gallery", _gallery_page(pages)
    yield from _copied_pages()
