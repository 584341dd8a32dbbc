"""Checksums of files, in blocks: a reader pays only for the blocks that it reads.

They tell bytes that a disk or a copy has changed. They are no protection against a person who
changes a file and its checksums.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BLOCK_BYTES = 2**16

_OWN = "checksum"
"""Key of the checksum of a mapping's other values."""


def block_checksums(path: Path) -> list[int]:
    """Return the CRC-32 of each block of a file, in order."""
    with path.open("rb") as file:
        return [zlib.crc32(block) for block in iter(lambda: file.read(BLOCK_BYTES), b"")]


def file_checksums(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """Return the CRC-32 of each of these files, by name."""
    return {name: _file_checksum(folder / name) for name in names}


def are_whole(folder: Path, checksums: Mapping[str, int]) -> bool:
    """Whether files are as they were when `file_checksums` read them."""
    try:
        return file_checksums(folder, checksums) == dict(checksums)
    except OSError:
        return False


def _file_checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def dump(values: Mapping[str, Any]) -> bytes:
    """Return values as JSON with a checksum of their own, which `load` verifies."""
    return json.dumps({**values, _OWN: _values_checksum(values)}).encode()


def load(data: bytes) -> dict[str, Any]:
    """Read what `dump` has written.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    values = json.loads(data)
    if not isinstance(values, dict) or values.pop(_OWN, None) != _values_checksum(values):
        raise ValueError("the checksum differs")
    return values


def _values_checksum(values: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())
