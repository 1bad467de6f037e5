"""What a drawing in text may use, and how words fit into it."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

NARROWEST = 6  # characters of a strip or bar
ANSI = {"all": 32, "seen": 34, "unseen": 33, "within": 34, "across": 33}


@dataclass(frozen=True)
class Screen:
    """What a drawing may use: its width in characters, Unicode blocks, color."""

    columns: int = 80
    unicode: bool = True
    color: bool = False

    @property
    def ramp(self) -> str:
        return "▁▂▃▄▅▆▇█" if self.unicode else ".:-=+*#@"

    @property
    def tick(self) -> str:
        return "┃" if self.unicode else "|"

    @property
    def gap(self) -> str:
        return "…" if self.unicode else "~"

    @property
    def cut(self) -> int:
        """Longest name, in characters, beside bars or numbers."""
        return max(self.columns // 4, 3)

    def paint(self, text: str, code: int) -> str:
        return f"\033[{code}m{text}\033[0m" if self.color and code and text else text

    def fold(self, text: str) -> list[str]:
        lines = [part for line in text.splitlines() for part in textwrap.wrap(line, self.columns)]
        return [self.plain(line) for line in lines]

    def plain(self, text: str) -> str:
        """Text as the terminal can show it."""
        return text if self.unicode else text.replace("…", "~").encode("ascii", "replace").decode()

    def page(self, title: str, lines: Sequence[str], caption: str) -> str:
        """Lines between title and caption, none wider than the screen."""
        body = [self.plain(line.rstrip()) for line in lines]
        return "\n".join([*self.fold(title), *body, *self.fold(caption)])
