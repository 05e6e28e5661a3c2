"""Names as a picture can show them: whatever bytes a tag holds, one short line comes out.

Tags come from files, so they may hold newlines, terminal escapes, `$` or five thousand characters.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text

ELLIPSIS = "…"

# Longer than any name that fits a figure; cutting there first keeps a name of a megabyte cheap.
LONGEST = 400

# Matplotlib's own font lacks the scripts of East Asia; what a system usually has for them.
FALLBACK_FONTS = (
    "Noto Sans CJK SC",  # Linux
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",  # Windows
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",  # macOS
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Noto Sans Symbols2",
    "Noto Emoji",
)


class Labeller:
    """Turns names into text that the fonts at hand can draw.

    Parameters
    ----------
    names
        Every name that will be shown: a further font is used only if one of them needs it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        from matplotlib import rcParams

        self.families = list(rcParams["font.family"])
        self.glyphs = _glyphs(tuple(self.families), tuple(rcParams["font.sans-serif"]))
        wanted = set().union(*(_middle_out(name, LONGEST) for name in names))
        if any(not self._drawable(c) and _visible(c) for c in wanted):
            self._add_fallbacks()

    def fit(self, name: str, width: float, size: float) -> str:
        """Return `name` on one line, its middle left out where it is wider than `width`.

        Parameters
        ----------
        name
            Any text.
        width, size
            Room and font size, both in points.
        """
        pieces = [self._show(c) for c in _middle_out(name, LONGEST)]
        text = "".join(pieces)
        if self.width(text, size) <= width:
            return text
        # By bisection the most characters that fit; cut between characters, so that no escape is
        # halved.
        low, high = 1, len(pieces)
        while high - low > 1:
            middle = (low + high) // 2
            if self.width(_middle_out_join(pieces, middle), size) <= width:
                low = middle
            else:
                high = middle
        return _middle_out_join(pieces, low)

    def width(self, text: str, size: float) -> float:
        """Return how wide `text` is drawn, in points."""
        from matplotlib.textpath import text_to_path

        return text_to_path.get_text_width_height_descent(text, self._font(size), ismath=False)[0]

    def style(self, *texts: Text) -> None:
        """Make `texts` show their characters as they are, in fonts that have them."""
        for text in texts:
            text.set_parse_math(False)  # "$" is a character
            text.set_usetex(False)
            text.set_fontfamily(self.families)

    def _font(self, size: float) -> FontProperties:
        from matplotlib.font_manager import FontProperties

        return FontProperties(family=self.families, size=size)

    def _add_fallbacks(self) -> None:
        from matplotlib import rcParams
        from matplotlib.font_manager import fontManager

        installed = {font.name for font in fontManager.ttflist}
        self.families += [family for family in FALLBACK_FONTS if family in installed]
        self.glyphs = _glyphs(tuple(self.families), tuple(rcParams["font.sans-serif"]))

    def _drawable(self, character: str) -> bool:
        return ord(character) in self.glyphs

    def _show(self, character: str) -> str:
        # An escape, not a box: two names that differ must not look the same, and a missing glyph
        # would be a warning from matplotlib at every save.
        if _visible(character) and self._drawable(character):
            return character
        return character.encode("unicode_escape").decode("ascii")


def _visible(character: str) -> bool:
    """Tell whether a character is neither a control, a format mark, a surrogate nor a line end."""
    category = unicodedata.category(character)
    return category[0] != "C" and category not in ("Zl", "Zp")


@lru_cache(maxsize=8)
def _glyphs(families: tuple[str, ...], sans_serif: tuple[str, ...]) -> frozenset[int]:
    """Return the code points that some font of `families` has.

    `sans_serif` is what "sans-serif" stands for: a part of the cache's key.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    found: set[int] = set()
    for family in families:
        try:
            path = findfont(FontProperties(family=[family]), fallback_to_default=False)
        except ValueError:  # not installed: matplotlib passes it over as well
            continue
        found.update(get_font(path).get_charmap())
    if not found:
        found.update(get_font(findfont(FontProperties(family=list(families)))).get_charmap())
    return frozenset(found)


def _middle_out(text: str, length: int) -> str:
    return _middle_out_join(list(text), length) if len(text) > length else text


def _middle_out_join(pieces: list[str], length: int) -> str:
    """Join the first and the last of `pieces`, `length` in all with the ellipsis between them."""
    kept = length - 1
    tail = kept // 2
    return "".join([*pieces[: kept - tail], ELLIPSIS, *pieces[len(pieces) - tail :]])
