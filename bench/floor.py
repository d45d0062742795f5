"""The least that a kernel can take: reading its source once and writing its output once."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from side_by_side import Call

Rows = tuple[NDArray[np.uintp], int]
"""The addresses of rows, and how many bytes of each are read."""


class Floor:
    """Compiled with all that this machine has; the folder lives as long as the object."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        library = Path(self._folder.name) / "floor.so"
        source = Path(__file__).with_name("floor.cpp")
        flags = ["-O3", "-march=native", "-shared", "-fPIC", "-fno-tree-loop-distribute-patterns"]
        subprocess.run(["g++", *flags, "-o", str(library), str(source)], check=True)
        self._library = ctypes.CDLL(str(library))

    def of(self, rows: Rows, out: NDArray[np.generic]) -> Call:
        """A call that reads the rows and writes memory of the size of ``out``."""
        addresses, count = rows
        written = np.empty(out.nbytes, np.uint8)
        read, write = self._library.read_rows, self._library.write
        size = ctypes.c_ssize_t
        given = (ctypes.c_void_p(addresses.ctypes.data), size(len(addresses)), size(count))
        target = (ctypes.c_void_p(written.ctypes.data), size(written.nbytes))

        def run() -> object:
            assert addresses.size  # both live as long as this call
            assert written.size
            read(*given)
            return write(*target)

        return run
