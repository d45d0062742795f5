"""Image files: read as frames, written with what was found in them.  Needs Pillow."""

from __future__ import annotations

import colorsys
import io
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import HwrtError, InputError
from hwrt.files import write_atomically
from hwrt.vision.results import Classification, Detections, Segmentation

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

__all__ = [
    "SUFFIXES",
    "draw",
    "encode",
    "palette",
    "read_image",
    "require_pillow",
    "write_classes",
    "write_image",
]

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""What a file in a folder is named to be taken for an image."""

_INK = (0, 0, 0)
_PAPER = (255, 255, 255)
_GOLDEN_TURN = 0.618033988749895
_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})

# What Pillow's readers raise on damaged files.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    IndexError,
    KeyError,
    RuntimeError,
    struct.error,
)


def require_pillow() -> None:
    """Raise HwrtError, saying how to get it, where Pillow is not installed."""
    _pillow()


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image as a frame, uint8 (H, W, 3) RGB, turned upright as its EXIF data say.

    Transparency is dropped, and the lower byte of a 16-bit colour image.  Raises InputError for a
    file that is missing, damaged, huge or gray of more than 8 bits, and HwrtError where Pillow is
    not installed.
    """
    pillow = _pillow()
    if path.exists() and not path.is_file():  # a pipe would keep us waiting for its writer
        raise InputError(
            f"the image {str(path)!r} can not be read: it is no file", hint="give an intact image"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of oddities that change nothing here
            return _pixels(pillow, path)
    except InputError:
        raise
    except FileNotFoundError as exc:
        raise InputError(f"there is no image {str(path)!r}", hint="check the path") from exc
    except pillow.UnidentifiedImageError as exc:
        raise InputError(
            f"{str(path)!r} is no image that Pillow knows", hint="give a JPEG, PNG or BMP file"
        ) from exc
    except (pillow.DecompressionBombError, MemoryError) as exc:
        raise InputError(
            f"the image {str(path)!r} is too large: {exc or 'not enough memory'}",
            hint="give an image of fewer pixels",
        ) from exc
    except _DAMAGE as exc:
        raise InputError(
            f"the image {str(path)!r} can not be read: {exc}", hint="give an intact image"
        ) from exc


def _pixels(pillow: Any, path: Path) -> NDArray[np.uint8]:
    from PIL import ImageOps

    with pillow.open(path) as image:
        if image.mode not in _EIGHT_BIT_MODES:
            raise InputError(
                f"the image {str(path)!r} has the pixel format {image.mode!r}",
                hint="convert it to 8 bits a channel",
            )
        return np.array(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)


def draw(
    frame: NDArray[np.uint8], result: Detections | Classification | Segmentation
) -> NDArray[np.uint8]:
    """A copy of the RGB frame with what was found drawn into it.

    Boxes, or the classes' names; of a Segmentation, the colours of its classes laid over it.
    """
    pillow = _pillow()
    if isinstance(result, Segmentation):
        colours = palette()[result.classes]
        return (frame >> 1) + (colours >> 1)
    from PIL import ImageDraw, ImageFont

    image = pillow.fromarray(np.ascontiguousarray(frame))
    height = max(12, round(min(image.size) / 40))
    font = ImageFont.load_default(size=height)
    canvas = ImageDraw.Draw(image)
    if isinstance(result, Detections):
        _draw_boxes(canvas, result, font, image.size, line=max(1, height // 8))
    else:
        for line, entry in enumerate(result.to_json()):
            _draw_text(canvas, (0.0, line * height * 1.4), _caption(entry), font, paper=_PAPER)
    return np.array(image)


def write_image(frame: NDArray[np.uint8], path: Path) -> None:
    """Write the RGB frame, in the format of the path's suffix: whole or not at all.

    Raises InputError for a suffix that names no format, HwrtError where writing fails.
    """
    _write(encode(frame, path), path)


def write_classes(classes: NDArray[np.uint8], path: Path) -> None:
    """Write the map (H, W) as a PNG file whose pixels are the classes, shown in their colours.

    Whole or not at all; raises HwrtError where writing fails.
    """
    pillow = _pillow()
    image = pillow.fromarray(np.ascontiguousarray(classes))
    image.putpalette(palette().tobytes())
    memory = io.BytesIO()
    image.save(memory, format="PNG")
    _write(memory.getvalue(), path)


def palette() -> NDArray[np.uint8]:
    """The colour of each class, RGB (256, 3), as in the files of PASCAL VOC: that of 0 is black.

    Bit i of a class's three lowest ones, and of those above them, is bit 7, 6, ... of red, green
    and blue.  http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
    """
    numbers = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for step in range(3):
        for channel in range(3):
            bit = (numbers >> (3 * step + channel)) & 1
            colours[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return colours


def _write(data: bytes, path: Path) -> None:
    try:
        write_atomically(path, data)
    except OSError as exc:
        raise HwrtError(
            f"the image {str(path)!r} can not be written: {exc.strerror or exc}",
            hint="check the folder, its rights and the space left",
        ) from exc


def encode(frame: NDArray[np.uint8], path: Path) -> bytes:
    """The RGB frame as the bytes of an image file in the format of the path's suffix."""
    pillow = _pillow()
    kind = pillow.registered_extensions().get(path.suffix.lower())
    if kind not in pillow.SAVE:
        raise InputError(
            f"{path.name!r} names no image format that can be written",
            hint=f"give a name that ends in one of {', '.join(sorted(SUFFIXES))}",
        )
    memory = io.BytesIO()
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    try:
        pillow.fromarray(np.ascontiguousarray(frame)).save(memory, format=kind, **options)
    except (OSError, ValueError, struct.error) as exc:  # each format has a largest side
        height, width = frame.shape[:2]
        raise HwrtError(
            f"{width}x{height} pixels can not be written as {kind}: {exc}",
            hint="give a name that ends in .png",
        ) from exc
    return memory.getvalue()


def _draw_boxes(
    canvas: ImageDraw, detections: Detections, font: Any, size: tuple[int, int], *, line: int
) -> None:
    width, height = size
    # Worst first, so that the best lie on top.
    for entry in reversed(detections.to_json()):
        colour = _colour(entry["class"])
        x0, y0, x1, y1 = entry["box_xyxy"]
        x0, x1 = _within(x0, x1, width)
        y0, y1 = _within(y0, y1, height)
        canvas.rectangle((x0, y0, x1, y1), outline=colour, width=line)
        _draw_text(canvas, (x0, y0), _caption(entry), font, paper=colour)


def _within(a: float, b: float, side: int) -> list[float]:
    """Both edges in order and within the image: those of a broken model may be neither."""
    return sorted(min(max(0.0, edge), float(side)) for edge in (a, b))


def _draw_text(
    canvas: ImageDraw,
    corner: tuple[float, float],
    text: str,
    font: Any,
    *,
    paper: tuple[int, int, int],
) -> None:
    canvas.rectangle(canvas.textbbox(corner, text, font=font), fill=paper)
    canvas.text(corner, text, fill=_INK, font=font)


def _caption(entry: dict[str, Any]) -> str:
    score = entry["score"]
    return f"{entry['label']} {'n/a' if score is None else f'{score:.2f}'}"


def _colour(number: int) -> tuple[int, int, int]:
    """A light colour for this class, far from those of its neighbours."""
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN_TURN % 1.0, 0.6, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as exc:
        raise HwrtError(
            "Pillow is not installed, which reads and writes images",
            hint="pip install pillow, or install hwrt with its extra 'image'",
        ) from exc
    # Readers of every format are found by open(); names need them registered.
    Image.init()
    return Image
