"""What can be drawn: text, images, and what a notebook shows."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from djq.diagrams.drawing import dot, mermaid
from djq.diagrams.svg import svg
from djq.errors import ConfigError, QueryError

if TYPE_CHECKING:
    from djq.diagrams.drawing import Drawing

#: Where references lead: from top to bottom, or from left to right.
DIRECTIONS = ("TB", "LR")


@dataclass(frozen=True)
class Picture:
    """An SVG image that a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


class Drawable(ABC):
    """Something with boxes and arrows; `direction` is TB, from top to bottom, or LR."""

    @abstractmethod
    def sketch(self, direction: str) -> Drawing:
        """Return the boxes and arrows."""

    def _drawing(self, direction: str) -> Drawing:
        if direction not in DIRECTIONS:
            message = f"direction={direction!r}: a diagram is drawn {' or '.join(DIRECTIONS)}"
            raise QueryError(message)
        return self.sketch(direction)

    def make_mermaid(self, direction: str = "TB") -> str:
        """Return the diagram as a Mermaid flowchart, which GitHub and Jupyter render."""
        return mermaid(self._drawing(direction))

    def make_dot(self, direction: str = "TB") -> str:
        """Return the diagram in Graphviz's language, as text."""
        return dot(self._drawing(direction))

    def make_svg(self, direction: str = "TB") -> str:
        """Return the diagram as SVG, for light and dark pages."""
        return svg(self._drawing(direction))

    @property
    def svg_string(self) -> str:
        """The diagram as SVG."""
        return self.make_svg()

    def make_png(self, direction: str = "TB", zoom: float = 2.0) -> bytes:
        """Return the diagram as a PNG image with a white page.

        Raises
        ------
        ConfigError
            The library for it is not installed.
        """
        try:
            resvg = importlib.import_module("resvg_py")
        except ModuleNotFoundError as error:
            message = (
                'PNG images need one more package: pip install "djq[diagram]"; '
                "SVG (make_svg) and Mermaid (make_mermaid) need none"
            )
            raise ConfigError(message) from error
        return bytes(resvg.svg_to_bytes(svg_string=self.make_svg(direction), zoom=zoom))

    def save(self, path: str | Path, direction: str = "TB") -> Path:
        """Write the diagram as .svg, .png, .mmd (Mermaid) or .dot, and return the path."""
        target = Path(path)
        made: str | bytes
        match target.suffix.lower():
            case ".svg":
                made = self.make_svg(direction)
            case ".png":
                made = self.make_png(direction)
            case ".mmd":
                made = self.make_mermaid(direction)
            case ".dot":
                made = self.make_dot(direction)
            case _:
                message = (
                    f'cannot save "{target}": name a file that ends in .svg, .png, .mmd or .dot'
                )
                raise QueryError(message)
        target.write_bytes(made if isinstance(made, bytes) else made.encode())
        return target

    def draw(self, direction: str = "TB") -> Picture:
        """Return the diagram as a picture that a notebook shows."""
        return Picture(self.make_svg(direction))

    def _repr_svg_(self) -> str:
        return self.make_svg()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"image/svg+xml": self.make_svg(), "text/plain": repr(self)}
