"""Ratios -> SVG: one panel of horizontal bars a workload. Readable on light and on dark ground; needs no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

COLUMNS = 2
WIDTH, LABEL_WIDTH, VALUE_WIDTH = 420, 104, 44
BAR_HEIGHT, BAR_PITCH = 13, 19
TITLE_HEIGHT, PANEL_GAP = 30, 24

OURS = "picocorn"
BASELINE = "uvicorn"

#: grey that both grounds bear, should a viewer know no colour scheme
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #57606a }
.title { font-weight: 600; font-size: 13px }
.ours { font-weight: 600 }
.value { font-variant-numeric: tabular-nums }
.bar { fill: #8c959f }
.bar.base { fill: #57606a }
.bar.ours { fill: #1f7a4d }
@media (prefers-color-scheme: dark) {
text { fill: #adbac7 }
.bar { fill: #545d68 }
.bar.base { fill: #768390 }
.bar.ours { fill: #3fb97a }
}
"""

Panel = tuple[str, Mapping[str, float | None]]


def _kind(name: str) -> str:
    return {OURS: " ours", BASELINE: " base"}.get(name, "")


def _bars(values: Mapping[str, float | None], top: float) -> list[str]:
    """Rows from the fastest to the slowest; what has no value ends the list with a dash."""
    ordered = sorted(values.items(), key=lambda item: -(item[1] or 0))
    largest = max((value for value in values.values() if value), default=1.0)
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    lines = []
    for number, (name, value) in enumerate(ordered):
        y = top + number * BAR_PITCH
        middle = y + BAR_HEIGHT - 2
        lines.append(
            f'<text class="name{_kind(name)}" x="{LABEL_WIDTH - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>'
        )
        width = room * (value or 0) / largest
        if value:
            lines.append(
                f'<rect class="bar{_kind(name)}" x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" rx="2"/>'
            )
        text = f"{value:.2f}" if value else "-"
        lines.append(f'<text class="value{_kind(name)}" x="{LABEL_WIDTH + width + 6:.1f}" y="{middle}">{text}</text>')
    return lines


def draw(panels: Sequence[Panel]) -> str:
    """The chart: in each panel requests per second as a multiple of the baseline, each panel to a scale of its own."""
    height = TITLE_HEIGHT + max((len(values) for _, values in panels), default=0) * BAR_PITCH + PANEL_GAP
    rows = -(-len(panels) // COLUMNS)
    total_width, total_height = COLUMNS * WIDTH, rows * height
    title = f"Requests per second as a multiple of {BASELINE}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width} {total_height}" '
        f'width="{total_width}" height="{total_height}" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
    ]
    for number, (name, values) in enumerate(panels):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * height
        lines.append(f'<g transform="translate({x} {y})">')
        lines.append(f'<text class="title" x="{LABEL_WIDTH}" y="18">{escape(name.replace("`", ""))}</text>')
        lines += _bars(values, TITLE_HEIGHT)
        lines.append("</g>")
    return "\n".join([*lines, "</svg>"]) + "\n"
