"""The manifest of a run folder: the checksum of each file, so that damage and exchanged files are noticed.

A file is written under another name first. Then the manifest gets the new checksum beside the old one, the
file is moved into its place, and the manifest drops the old one. So after a kill at any moment each file is
whole and has one of its checksums, and the next process that writes the folder completes what was cut short.
"""

import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import cattrs

from superloop_core.errors import RunFolderError
from superloop_core.runs.paths import (
    TEMPORARY,
    NamedErrors,
    kind_of,
    open_regular,
    remove,
    replace_file,
    sync_file,
    sync_folder,
)

MANIFEST = "manifest.json"
FORMAT = 1
FILES = (
    "config.toml",
    "task.json",
    "metrics.jsonl",
    "summary.json",
    "checkpoint.npz",
    "model.keras",
    "best.weights.h5",
    "last.weights.h5",
    "traces.png",
)  # of a run folder; tensorboard/ is made of the metrics
MAX_BYTES = 1_000_000


@attrs.frozen(kw_only=True)
class Entry:
    """What is recorded of a file.

    Args:
        sha256: of its first ``size`` bytes, as hexadecimal digits.
        size: in bytes.
        grows: whether more bytes may follow, which are of no account.
        accepted: whether a person changed the file, and recorded the change with ``superloop doctor``.
    """

    sha256: str
    size: int
    grows: bool = False
    accepted: bool = False

    @classmethod
    def of(cls, path: Path, *, accepted: bool = False) -> "Entry":
        """Return the entry of a file as it is."""
        with open(open_regular(path), "rb") as file, NamedErrors(path, "cannot be read"):
            size = os.fstat(file.fileno()).st_size
            return cls(sha256=_sha256(file, size), size=size, accepted=accepted)

    def difference(self, path: Path) -> str:
        """Return how a file differs from its entry; nothing if it does not."""
        what = kind_of(path)
        if what != "a file":
            return "is missing" if what == "nothing" else f"is {what}"
        with open(open_regular(path), "rb") as file, NamedErrors(path, "cannot be read"):
            size = os.fstat(file.fileno()).st_size
            if size < self.size or (size > self.size and not self.grows):
                return f"has {size:,} bytes, and had {self.size:,} when the run wrote it"
            same = _sha256(file, self.size) == self.sha256
        return "" if same else "has other content than the run wrote"


@attrs.define(kw_only=True)
class Manifest:
    """The manifest of a run folder.

    Args:
        folder: the run folder.
        run: the run's id.
        files: entries by the names of the files.
        pending: entries of files that are being moved into their places.
        temporary: the folder in which those files are until then.
    """

    folder: Path
    run: str = attrs.field(factory=lambda: uuid.uuid4().hex)
    files: dict[str, Entry] = attrs.field(factory=dict)
    pending: dict[str, Entry] = attrs.field(factory=dict)
    temporary: str = ""

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """Return a folder's manifest; None: it has none, as those of version 0.1.

        Raises:
            RunFolderError: it cannot be read.
        """
        path = folder / MANIFEST
        if kind_of(path) == "nothing":
            return None
        with open(open_regular(path), "rb") as file, NamedErrors(path, "cannot be read"):
            text = file.read(MAX_BYTES)
        try:
            table = json.loads(text)
            if table.pop("format") != FORMAT:
                raise ValueError(f"its format is not {FORMAT}")
            read: Manifest = _converter.structure(table | {"folder": folder}, cls)
            read.require_names()
        except Exception as error:  # any kind, of a damaged file
            raise RunFolderError(
                f"{path}: is damaged or of a newer version; put it back from a copy, or delete it and run "
                f"`superloop doctor {folder} --accept` to record the files as they are"
            ) from error
        return read

    @classmethod
    def adopt(cls, folder: Path, *, before: "Manifest | None" = None, accept: bool = False) -> "Manifest":
        """Return a manifest of a folder's files as they are, without writing it.

        Args:
            folder: the run folder.
            before: its manifest so far.
            accept: note the files that differ from ``before`` as accepted.
        """
        entries = {}
        for name in (name for name in FILES if kind_of(folder / name) != "nothing"):
            recorded = before.files.get(name) if before else None
            if recorded is None or recorded.difference(folder / name):
                recorded = Entry.of(folder / name, accepted=accept)
            entries[name] = recorded
        return cls(folder=folder, run=before.run if before else uuid.uuid4().hex, files=entries)

    def require_names(self) -> None:
        """Require that every name is one of a run folder's files, and no path to elsewhere."""
        strange = {*self.files, *self.pending}.difference(FILES)
        if strange or Path(self.temporary).name != self.temporary:
            raise ValueError(f"it names {sorted(strange)}, {self.temporary!r}")

    def differences(self, names: Iterable[str] = FILES) -> dict[str, str]:
        """Return how files differ from their entries, by their names; one without an entry is not checked."""
        found = {}
        for name in names:
            old, new, path = self.files.get(name), self.pending.get(name), self.folder / name
            texts = [entry.difference(path) for entry in (old, new) if entry is not None]
            if old is None and new is not None:  # its first write may have been cut short before the move
                texts.append(new.difference(self.folder / self.temporary / name))
            if texts and all(texts):
                found[name] = texts[0]
        return found

    def check(self, names: Iterable[str]) -> None:
        """Check files against their entries.

        Raises:
            RunFolderError: some differ; lists all of them.
        """
        found = self.differences(names)
        if found:
            lines = [f"{self.folder / name}: {difference}" for name, difference in found.items()]
            move = f"put it back from a copy, or see `superloop doctor {self.folder}`"
            raise RunFolderError("\n".join(lines) + f"; {move}")

    def write(self, files: Mapping[str, Callable[[Path], Any]], entries: Mapping[str, Entry]) -> None:
        """Replace files, all of them or none, also if the process is killed.

        Args:
            files: for each name a function that writes the new file to a path.
            entries: of files that were written in place, such as the metrics.

        Raises:
            RunFolderError: a file cannot be written; all are as they were, or the next writer completes it.
        """
        if files:
            with NamedErrors(self.folder, "cannot be written"):
                temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self.folder))
            try:
                self.pending = {name: _written(temporary / name, write) for name, write in files.items()}
                sync_folder(temporary)
            except BaseException:
                self.pending = {}
                remove(temporary)
                raise
            self.temporary = temporary.name
        self.files |= entries
        if files:
            self._save()
        self._move()

    def recover(self) -> None:
        """Complete a write that was cut short, and remove what is left of others; the lock must be held."""
        if self.pending:
            self._move()
        with NamedErrors(self.folder, "cannot be cleaned"):
            for path in leftovers(self.folder):
                remove(path)

    def _move(self) -> None:
        """Move the files of a write into their places."""
        temporary = self.folder / self.temporary
        for name, entry in self.pending.items():
            if not entry.difference(temporary / name):
                with NamedErrors(self.folder / name, "cannot be replaced"):
                    (temporary / name).replace(self.folder / name)
            if not entry.difference(self.folder / name):
                self.files[name] = entry
        with NamedErrors(self.folder, "cannot be written"):
            sync_folder(self.folder)
        self.pending, old, self.temporary = {}, self.temporary, ""
        self._save()
        if old:
            remove(self.folder / old)

    def _save(self) -> None:
        table = {"format": FORMAT} | attrs.asdict(self, filter=lambda field, _: field.name != "folder")
        path = self.folder / MANIFEST
        with NamedErrors(path, "cannot be written"):
            replace_file(path, lambda new: new.write_text(json.dumps(table, indent=2)))


_converter = cattrs.Converter(forbid_extra_keys=True)


def check_files(folder: Path, *names: str) -> None:
    """Check files of a run folder against its manifest; a folder of version 0.1 has none.

    Another process may be writing the folder: then the manifest is read again.

    Raises:
        RunFolderError: a file was changed, damaged or exchanged; lists all of ``names`` that were.
    """
    before = None
    while (manifest := Manifest.read(folder)) is not None:
        try:
            return manifest.check(names)
        except RunFolderError:
            if manifest == before:
                raise
        before = manifest


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield the files and folders of writes that were cut short."""
    with os.scandir(folder) as entries:
        yield from sorted(folder / entry.name for entry in entries if entry.name.startswith(TEMPORARY))


def _written(path: Path, write: Callable[[Path], Any]) -> Entry:
    with NamedErrors(path.parent.parent / path.name, "cannot be written"), _temporary_files_in(path.parent):
        write(path)
        sync_file(path)
    return Entry.of(path)


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let Keras make its temporary files where the next writer removes them after a kill."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _sha256(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    while size > 0 and (block := file.read(min(size, 2**20))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()
