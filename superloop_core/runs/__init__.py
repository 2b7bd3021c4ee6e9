"""The files of a run folder: written so that a kill loses nothing, by one process at a time, and checked.

The folder's content is the lab plugin's. That its files are whole is the core's: `load_model` and `doctor`
check it too.
"""

from superloop_core.runs.lock import LOCK, holder, locked
from superloop_core.runs.manifest import FILES, MANIFEST, Entry, Manifest, check_files, leftovers
from superloop_core.runs.paths import TEMPORARY, NamedErrors, kind_of, move_file, open_regular, replace_file

__all__ = [
    "FILES",
    "LOCK",
    "MANIFEST",
    "TEMPORARY",
    "Entry",
    "Manifest",
    "NamedErrors",
    "check_files",
    "holder",
    "kind_of",
    "leftovers",
    "locked",
    "move_file",
    "open_regular",
    "replace_file",
]
