"""Layout: blocks that know their size, and rows, columns, grids and panels of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.theme import Color

Size = tuple[float, float]


class Block(ABC):
    """Something rectangular on a screen; its random choices are made when it is built."""

    # in a row: takes the width that is left, instead of its own
    grows = False

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch

    @abstractmethod
    def measure(self, width: float) -> Size:
        """Return the width and height it needs, at most ``width`` wide."""

    @abstractmethod
    def draw(self, x: float, y: float, width: float, height: float) -> None:
        """Draw it with its top left at (x, y), ``width`` x ``height`` as measured or larger."""

    def draw_at(self, x: float, y: float, width: float) -> float:
        """Draw it with its top left at (x, y), as high as it has to be; return that height."""
        height = self.measure(width)[1]
        self.draw(x, y, width, height)
        return height


class Space(Block):
    """Empty: pushes its neighbours in a row apart."""

    grows = True

    def measure(self, width: float) -> Size:
        return 0, 0

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        pass


class Rule(Block):
    """A thin line across."""

    def measure(self, width: float) -> Size:
        return width, 1

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        self.sketch.canvas.rectangle((x, y, x + width, y + 1), self.sketch.theme.border)


class Column(Block):
    """Blocks below each other; ``align`` is where narrower ones stand: 0 left, 0.5, 1 right."""

    grows = True

    def __init__(
        self, sketch: Sketch, blocks: Sequence[Block], *, gap: float = 0, align: float = 0
    ) -> None:
        super().__init__(sketch)
        self.blocks = list(blocks)
        self._gap = gap
        self._align = align

    def measure(self, width: float) -> Size:
        sizes = [block.measure(width) for block in self.blocks]
        gaps = self._gap * max(0, len(sizes) - 1)
        return max((w for w, _ in sizes), default=0), sum(h for _, h in sizes) + gaps

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        for block in self.blocks:
            if y >= self.sketch.height:
                return
            own_width, own_height = block.measure(width)
            block.draw(x + (width - own_width) * self._align, y, own_width, own_height)
            y += own_height + self._gap


class Row(Block):
    """Blocks beside each other; what does not fit is left out, from the right.

    ``fill``: all share the width equally.
    """

    def __init__(
        self, sketch: Sketch, blocks: Sequence[Block], *, gap: float = 4, fill: bool = False
    ) -> None:
        super().__init__(sketch)
        self.blocks = list(blocks)
        self._gap = gap
        self._fill = fill
        self.grows = any(block.grows for block in self.blocks)

    def measure(self, width: float) -> Size:
        shown = self._place(width)
        height = max((block.measure(w)[1] for block, w in shown), default=0)
        if self._fill or any(block.grows for block, _ in shown):
            return width, height
        return sum(w for _, w in shown) + self._gap * max(0, len(shown) - 1), height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        for block, own_width in self._place(width):
            own_height = block.measure(own_width)[1]
            block.draw(x, y + (height - own_height) / 2, own_width, own_height)
            x += own_width + self._gap

    def _place(self, width: float) -> list[tuple[Block, float]]:
        """Return the blocks that fit, with their widths."""
        blocks = self.blocks
        if self._fill:
            each = (width - self._gap * (len(blocks) - 1)) / max(1, len(blocks))
            return [(block, each) for block in blocks]
        natural = [self._natural(block, width) for block in blocks]
        while len(blocks) > 1 and sum(natural) + self._gap * (len(blocks) - 1) > width:
            drop = max(i for i in range(len(blocks)) if not blocks[i].grows or i == 0)
            drop = drop or len(blocks) - 1
            blocks = blocks[:drop] + blocks[drop + 1 :]
            natural = natural[:drop] + natural[drop + 1 :]
        left = width - sum(natural) - self._gap * (len(blocks) - 1)
        growing = sum(block.grows for block in blocks)
        share = max(0, left) / growing if growing else 0
        return [
            (block, min(width, own + share) if block.grows else min(width, own))
            for block, own in zip(blocks, natural, strict=True)
        ]

    def _natural(self, block: Block, width: float) -> float:
        if not block.grows:
            return block.measure(width)[0]
        return 0 if isinstance(block, Space) else min(width, 4.5 * self.sketch.base)


class Wrap(Block):
    """Blocks beside each other that go on in the next line; at most ``lines`` of them."""

    grows = True

    def __init__(
        self, sketch: Sketch, blocks: Sequence[Block], *, gap: float = 5, lines: int = 4
    ) -> None:
        super().__init__(sketch)
        self._blocks = list(blocks)
        self._gap = gap
        self._lines = lines

    def measure(self, width: float) -> Size:
        placed = self._place(width)
        if not placed:
            return 0, 0
        return max(x + w for _, x, _, w, _ in placed), max(y + h for _, _, y, _, h in placed)

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        for block, left, top, own_width, own_height in self._place(width):
            block.draw(x + left, y + top, own_width, own_height)

    def _place(self, width: float) -> list[tuple[Block, float, float, float, float]]:
        placed: list[tuple[Block, float, float, float, float]] = []
        x = y = tallest = 0.0
        line = 1
        for block in self._blocks:
            own_width, own_height = block.measure(width)
            if x and x + own_width > width:
                line += 1
                if line > self._lines:
                    break
                x, y, tallest = 0, y + tallest + self._gap, 0
            placed.append((block, x, y, own_width, own_height))
            x += own_width + self._gap
            tallest = max(tallest, own_height)
        return placed


class Grid(Block):
    """Blocks in ``columns`` of equal width; the blocks of a row are equally high."""

    grows = True

    def __init__(
        self, sketch: Sketch, blocks: Sequence[Block], columns: int, *, gap: float = 6
    ) -> None:
        super().__init__(sketch)
        self._blocks = list(blocks)
        self._columns = columns
        self._gap = gap

    def measure(self, width: float) -> Size:
        heights = self._row_heights(self._each(width))
        return width, sum(heights) + self._gap * max(0, len(heights) - 1)

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        each = self._each(width)
        for row, own_height in enumerate(self._row_heights(each)):
            for column, block in enumerate(self._row(row)):
                block.draw(x + column * (each + self._gap), y, each, own_height)
            y += own_height + self._gap

    def _each(self, width: float) -> float:
        return (width - self._gap * (self._columns - 1)) / self._columns

    def _row(self, row: int) -> list[Block]:
        return self._blocks[row * self._columns : (row + 1) * self._columns]

    def _row_heights(self, each: float) -> list[float]:
        rows = -(-len(self._blocks) // self._columns)
        return [max(b.measure(each)[1] for b in self._row(row)) for row in range(rows)]


class Panel(Block):
    """A card: ground, border, shadow and padding around a block."""

    grows = True

    def __init__(
        self,
        sketch: Sketch,
        block: Block,
        *,
        padding: float,
        fill: Color | None = None,
        border: Color | None = None,
        shadow: bool = False,
    ) -> None:
        super().__init__(sketch)
        self._block = block
        self._padding = padding
        self._fill = fill
        self._border = border
        self._shadow = shadow

    def measure(self, width: float) -> Size:
        inner = self._block.measure(width - 2 * self._padding)
        return width, inner[1] + 2 * self._padding

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        canvas, theme = self.sketch.canvas, self.sketch.theme
        box = (x, y, x + width, y + height)
        if self._shadow:
            canvas.shadow(box, theme.background, radius=theme.radius)
        canvas.rectangle(box, self._fill, self._border, radius=theme.radius)
        pad = self._padding
        self._block.draw(x + pad, y + pad, width - 2 * pad, height - 2 * pad)


def card(sketch: Sketch, block: Block) -> Panel:
    """Put a block on a card in the screen's theme."""
    theme = sketch.theme
    return Panel(
        sketch,
        block,
        padding=sketch.gap(5, 12),
        fill=theme.surface,
        border=None if theme.shadow else theme.border,
        shadow=theme.shadow,
    )


USUAL_OVERFLOW = 0.3
# makes a block with random contents
Maker = Callable[[Sketch], Block]


def stack(
    sketch: Sketch,
    width: float,
    height: float,
    makers: Sequence[Maker],
    *,
    gap: float | None = None,
    overflow: float = USUAL_OVERFLOW,
) -> Column:
    """Fill a column with blocks of random makers until ``height`` is used up.

    With probability ``overflow`` the last block runs over the edge, as on a page that scrolls.
    """
    gap = sketch.gap(3, 11) if gap is None else gap
    blocks: list[Block] = []
    used, misses = 0.0, 0
    while misses < 4:
        block = sketch.rng.choice(makers)(sketch)
        own = block.measure(width)[1]
        if used + own > height:
            misses += 1
            if height - used > 12 and sketch.chance(overflow):
                blocks.append(block)
                break
            continue
        blocks.append(block)
        used += own + gap
    return Column(sketch, blocks, gap=gap)


def fill(
    sketch: Sketch, area: Box, makers: Sequence[Maker], *, overflow: float = USUAL_OVERFLOW
) -> None:
    """Draw a stack of blocks of random makers that fills ``area``."""
    x0, y0, x1, y1 = area
    column = stack(sketch, x1 - x0, y1 - y0, makers, overflow=overflow)
    column.draw(x0, y0, x1 - x0, y1 - y0)
