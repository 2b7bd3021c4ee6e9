"""Files of NumPy arrays, as numpy.savez writes them."""

import zipfile
from typing import Any

import numpy as np

from superloop_core import ConfigError
from superloop_core.errors import cut
from superloop_core.limits import check_unpacked, in_bytes, machine_memory
from superloop_plugin_data.files.table import Example, Table


class NpzFile(Table):
    """A ``.npz`` file, read into memory. The first axis of each array counts examples; the second, timesteps.

    An array ``lengths`` ``(examples,)``, if there is one, says how many timesteps of each example are valid.
    """

    def _open(self) -> None:
        if self.sequence:
            raise ConfigError(f"{self.path}: an array has an axis of timesteps; leave 'sequence' out")
        try:
            with zipfile.ZipFile(self.path) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if 2 * size > machine_memory():
                raise ConfigError(
                    f"{self.path}: has {in_bytes(size)} of arrays, which is too much for this machine's "
                    f"{in_bytes(machine_memory())} of memory; a .jsonl or .csv file is read bit by bit"
                )
            check_unpacked(size, self.path.stat().st_size)
            with np.load(self.path, allow_pickle=False) as file:
                self._arrays = {name: file[name] for name in file.files}
        except ConfigError:
            raise
        except Exception as error:  # NumPy raises many kinds of errors on a broken file
            raise ConfigError(f"{self.path}: cannot be read as arrays: {cut(str(error), 200)}") from error
        self.columns = tuple(self._arrays)
        sizes = {name: len(array) if array.ndim else None for name, array in self._arrays.items()}
        if len(set(sizes.values())) > 1 or None in sizes.values():
            listed = ", ".join(f"{name} {self._arrays[name].shape}" for name in sizes)
            raise ConfigError(f"{self.path}: the first axis of all arrays must count the examples: {listed}")

    def __len__(self) -> int:
        if self.sequence is None:
            return 1
        return len(next(iter(self._arrays.values()), ()))

    def _read(self, index: int) -> Example:
        if self.sequence is None:
            return dict(self._arrays)
        example: dict[str, Any] = {name: array[index] for name, array in self._arrays.items()}
        if "lengths" not in example:
            return example
        length = int(example.pop("lengths"))
        return {name: value[:length] if np.ndim(value) else value for name, value in example.items()}

    def place(self, index: int, timestep: int = 0) -> str:
        """Return the number of the example, from 0 on."""
        return f"{self.path}, example {index}" + (f", timestep {timestep}" if timestep else "")
