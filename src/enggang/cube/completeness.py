"""Whether a file has all the bytes that its own index promises."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rasterio.errors import RasterioError

_CODESTREAM = b"jp2c"
_START, _END = b"\xff\x4f", b"\xff\xd9"
_NEVER = 2**63 - 1


def tiles_end(dataset: Any, index: int) -> int:
    """Where the last byte of a GeoTIFF band's tiles should be, by the file's tile index.

    Sparse tiles have no bytes: they are nodata, and no fault. An index that can't be read ends nowhere.
    """
    height, width = dataset.block_shapes[index - 1]
    rows, cols = -(-dataset.height // height), -(-dataset.width // width)
    ends = [0]
    try:
        for row in range(rows):
            for col in range(cols):
                offset = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=index)
                length = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=index)
                ends.append(int(offset) + int(length) if offset and length else 0)
    except RasterioError:
        return _NEVER
    return max(ends)


def codestream_end(path: Path, size: int) -> int:
    """Where the JPEG2000 codestream of a file should end; beyond `size` where its end marker is missing.

    A file is a row of boxes, or the bare codestream. Source: ISO/IEC 15444-1, annexes A (SOC FF 4F, EOC FF D9) and
    I (boxes).
    """
    with path.open("rb") as file:
        bare = file.read(2) == _START
        for kind, start, end in [(_CODESTREAM, 0, size)] if bare else _boxes(file, size):
            if kind == _CODESTREAM:
                file.seek(max(start, min(end, size) - 2))
                return end if file.read(2) == _END else max(end, size + 1)
    return size + 1


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of the boxes at the top level; a box of length 0 reaches to the end of the file."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        end = size if length == 0 else start + length
        yield kind, start, end
        start = max(end, start + 8)
