"""A picture that a person can look at: before and after side by side, with magnified details.

The details are where the two differ most, so a look at the sheet is a look at what the network did, good or bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from acutance.errors import ConfigError, InputError
from acutance.geometry import Box, Size

Pixels = npt.NDArray[np.uint8]

GAP_PX = 8
LABEL_PX = 22
BACKGROUND = (24, 24, 24)
INK = (235, 235, 235)
FRAME = (255, 200, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetLayout:
    """How a sheet is laid out."""

    detail_px: int = 64
    """Side of a detail in px of the picture."""
    magnification: int = 4
    """How much a detail is enlarged, by repeating pixels: nothing is smoothed."""
    num_details: int = 3
    """How many details."""

    @property
    def column_px(self) -> int:
        """Width of a column: that of its row of details; each whole picture is scaled to it."""
        count = max(self.num_details, 1)
        return count * (self.detail_px * self.magnification + GAP_PX) - GAP_PX

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.detail_px < 8 or self.magnification < 1 or self.num_details < 0:
            raise ConfigError(
                f"{self}: a detail needs 8 px, a magnification 1, and there must be a whole number of details."
            )


def strongest_changes(before: Pixels, after: Pixels, *, side_px: int, count: int) -> list[Box]:
    """Return the boxes in which two pictures (uint8 `h w 3`) differ most, without overlap, strongest first."""
    size = Size(*before.shape[:2])
    side_h, side_w = min(side_px, size.height), min(side_px, size.width)
    energy = np.abs(after.astype(np.int16) - before).sum(axis=2, dtype=np.int64)
    table = np.pad(energy.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    stride = max(side_px // 4, 1)
    tops = np.arange(0, size.height - side_h + 1, stride)
    lefts = np.arange(0, size.width - side_w + 1, stride)
    sums = (
        table[np.ix_(tops + side_h, lefts + side_w)]
        - table[np.ix_(tops, lefts + side_w)]
        - table[np.ix_(tops + side_h, lefts)]
        + table[np.ix_(tops, lefts)]
    )
    boxes: list[Box] = []
    for index in np.argsort(sums, axis=None)[::-1]:
        row, column = np.unravel_index(index, sums.shape)
        top, left = int(tops[row]), int(lefts[column])
        if all(abs(top - box.top) >= side_h or abs(left - box.left) >= side_w for box in boxes):
            boxes.append(Box(top, left, top + side_h, left + side_w))
        if len(boxes) == count:
            break
    return boxes


def in_one_size(pictures: Sequence[tuple[str, Pixels]]) -> list[tuple[str, Pixels]]:
    """Enlarge pictures to the size of the largest by repeating their pixels, and say so in their labels.

    A picture of which the largest is no whole multiple stays as it is; `comparison_sheet` will refuse it.

    Args:
        pictures: Label and uint8 `h w 3` each.
    """
    height, width, _ = max((picture.shape for _, picture in pictures), default=(0, 0, 3))
    result = []
    for label, picture in pictures:
        ratio = height // picture.shape[0]
        if ratio > 1 and (height, width) == (ratio * picture.shape[0], ratio * picture.shape[1]):
            enlarged = picture.repeat(ratio, axis=0).repeat(ratio, axis=1)
            result.append((f"{label} (enlarged {ratio} times, pixels repeated)", enlarged))
        else:
            result.append((label, picture))
    return result


def comparison_sheet(
    pictures: Sequence[tuple[str, Pixels]],
    *,
    layout: SheetLayout | None = None,
    details: Sequence[Box] | None = None,
) -> Pixels:
    """Draw pictures of one size side by side, and below each the same magnified details.

    Args:
        pictures: Label and uint8 RGB `h w 3` each; the first two decide where the details are.
        layout: Sizes on the sheet.
        details: Boxes to magnify; None picks where the first two pictures differ most.

    Returns:
        The sheet, uint8 RGB.

    Raises:
        InputError: When there are fewer than two pictures or their sizes differ.
    """
    layout = layout or SheetLayout()
    shapes = {picture.shape for _, picture in pictures}
    if len(pictures) < 2 or len(shapes) != 1:
        sizes = ", ".join(f"{label} {picture.shape[1]}×{picture.shape[0]}" for label, picture in pictures)
        raise InputError(
            f"pictures to compare must be two or more of one size (a whole multiple is one, too); these are: {sizes}."
        )
    if details is None:
        details = strongest_changes(pictures[0][1], pictures[1][1], side_px=layout.detail_px, count=layout.num_details)
    columns = [_column(label, picture, details, layout) for label, picture in pictures]
    width = sum(column.width for column in columns) + GAP_PX * (len(columns) + 1)
    sheet = Image.new("RGB", (width, columns[0].height + 2 * GAP_PX), BACKGROUND)
    left = GAP_PX
    for column in columns:
        sheet.paste(column, (left, GAP_PX))
        left += column.width + GAP_PX
    return np.asarray(sheet)


def _column(label: str, picture: Pixels, details: Sequence[Box], layout: SheetLayout) -> Image.Image:
    """Draw one picture with its label on top and its details below."""
    whole = Image.fromarray(picture)
    share = layout.column_px / whole.width
    shown = whole.resize((layout.column_px, max(round(whole.height * share), 1)), Image.Resampling.LANCZOS)
    marker = ImageDraw.Draw(shown)
    for box in details:
        marker.rectangle([edge * share for edge in (box.left, box.top, box.right, box.bottom)], outline=FRAME, width=2)
    magnified = [_magnified(whole, box, layout.magnification) for box in details]
    row_height = max((piece.height + GAP_PX for piece in magnified), default=0)
    column = Image.new("RGB", (layout.column_px, LABEL_PX + shown.height + row_height), BACKGROUND)
    ImageDraw.Draw(column).text((2, 2), label, fill=INK, font=ImageFont.load_default(LABEL_PX - 8))
    column.paste(shown, (0, LABEL_PX))
    left = 0
    for piece in magnified:
        column.paste(piece, (left, LABEL_PX + shown.height + GAP_PX))
        left += piece.width + GAP_PX
    return column


def _magnified(picture: Image.Image, box: Box, factor: int) -> Image.Image:
    part = picture.crop((box.left, box.top, box.right, box.bottom))
    return part.resize((part.width * factor, part.height * factor), Image.Resampling.NEAREST)
