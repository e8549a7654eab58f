"""Self-contained HTML pages: style, scripts and pictures are inside the file."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from pin_lightning.common.files import write_text

# Browsers refuse every request to the network, should a template ever make one.
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
_MIME = {".png": "image/png", ".gif": "image/gif", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    """A picture inside the page: its bytes as a data URI, and its description."""

    uri: str
    alt: str

    @classmethod
    def of_file(cls, path: Path, alt: str) -> "Picture":
        """Read a PNG, GIF or SVG file."""
        return cls(data_uri(path.read_bytes(), path.suffix), alt)

    @classmethod
    def of_chart(cls, figure: Figure, alt: str) -> "Picture":
        """Draw a chart as SVG without background, so that a dark page can invert it."""
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
        return cls(data_uri(stream.getvalue(), ".svg"), alt)


@dataclass(frozen=True)
class Scene:
    """An interactive plotly figure in the element `name` of the page, and its description."""

    name: str
    figure: dict[str, Any]
    alt: str

    @classmethod
    def of_file(cls, path: Path, name: str, alt: str) -> "Scene":
        """Read a figure that `plotly.io.to_json` wrote.

        Raises:
            ValueError: The file is no such figure.
        """
        try:
            figure = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(figure["data"], list):
                raise ValueError("its data are no list")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: is no figure of plotly ({error}); delete it") from error
        return cls(name, figure, alt)


def data_uri(content: bytes, suffix: str) -> str:
    """Encode the content of a PNG, GIF or SVG file, by its suffix, as a data URI.

    >>> data_uri(b"<svg/>", ".svg")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:{_MIME[suffix.lower()]};base64,{base64.b64encode(content).decode('ascii')}"


def write_page(path: Path, template: str, scenes: Sequence[Scene] = (), **content: Any) -> Path:
    """Write a page atomically.

    Args:
        path: The HTML file, which is returned.
        template: Name of a file in `pin_lightning/reports/pages/templates`.
        scenes: Interactive figures on the page; without any, plotly is left out.
        content: Variables of the template. All of it is shown as text, never as HTML.
    """
    now = datetime.now(UTC)
    environment = Environment(
        loader=PackageLoader("pin_lightning.reports.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(
        date=f"{now.day} {now:%B %Y, %H:%M} UTC",
        policy=POLICY,
        style=Markup(_template("style.css")),
        script=Markup(_template("page.js")),
        plotly=Markup(_plotly()) if scenes else "",
        **content,
    )
    write_text(path, text)
    return path


def _template(name: str) -> str:
    return (files("pin_lightning.reports.pages") / "templates" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # five megabytes

    return get_plotlyjs()
