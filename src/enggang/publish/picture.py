"""The picture of a night, for people who would rather look: left before, right after, alerts outlined on both."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enggang.files import write_atomic, write_bytes
from enggang.publish.imagery import NightPicture
from enggang.publish.picture_sheet import sheet

#: matplotlib keeps fonts and styles in state shared by all threads.
_DRAWING = threading.Lock()
_SMALL_BYTES = 60_000
_QUALITIES = (85, 75, 65, 55, 45, 35, 25)
_SHRINK = 0.85


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One variant: `width` in pixels; `largest` is the most bytes it may have, None = no limit (PNG)."""

    key: str
    name: str
    title: str
    media_type: str
    roles: tuple[str, ...]
    width: int
    largest: int | None = None


#: The variants that are published. `picture_small` fits into a message.
PICTURES: tuple[PictureFile, ...] = (
    PictureFile("picture", "picture.png", "Before and after / Sebelum dan sesudah", "image/png", ("overview",), 1600),
    PictureFile(
        "picture_small",
        "picture-small.jpg",
        "For messages / Untuk pesan",
        "image/jpeg",
        ("thumbnail",),
        900,
        _SMALL_BYTES,
    ),
)


def write_pictures(folder: Path, picture: NightPicture) -> dict[str, Path]:
    """Write every variant of `PICTURES` into `folder`; their paths by key. Equal input gives equal bytes."""
    return {form.key: _write(folder / form.name, picture, form) for form in PICTURES}


def draw(picture: NightPicture, width: int) -> NDArray[np.uint8]:
    """Render the picture `width` pixels wide: (y, x, 3) uint8 RGB."""
    with _DRAWING, matplotlib.style.context("default"):
        figure = sheet(picture, width)
        stream = io.BytesIO()
        figure.savefig(stream, format="rgba")
    rows, columns = round(figure.bbox.height), round(figure.bbox.width)
    return np.frombuffer(stream.getvalue(), dtype=np.uint8).reshape(rows, columns, 4)[..., :3].copy()


def _write(path: Path, picture: NightPicture, form: PictureFile) -> Path:
    image = Image.fromarray(draw(picture, form.width))
    if form.largest is None:
        return write_atomic(path, lambda temporary: image.save(temporary, format="PNG"))
    return write_bytes(path, _squeezed(image, form.largest))


def _squeezed(image: Image.Image, largest: int) -> bytes:
    """JPEG of at most `largest` bytes: first quality gives way, then size."""
    while True:
        for quality in _QUALITIES:
            stream = io.BytesIO()
            image.save(stream, format="JPEG", quality=quality, optimize=True)
            if stream.tell() <= largest:
                return stream.getvalue()
        image = image.resize((int(image.width * _SHRINK), int(image.height * _SHRINK)), Image.Resampling.LANCZOS)
