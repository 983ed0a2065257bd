"""A plot as SVG, for the figures a test leaves behind: bars over time, lines above them, words beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 960, 260, 70, 40, 34
COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626")


def write_panels(path: Path, panels: Sequence[Mapping[str, object]]) -> None:
    """
    Write panels, one below the other.

    Args:
        panels: Each `{title, unit, series: {name: {x: y}}, limit: y or None, shade: (x, x) or None}`; x in minutes.
    """
    height = (HEIGHT + TOP) * len(panels)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">']
    parts.append(f'<rect width="{WIDTH}" height="{height}" fill="white"/>')
    for at, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {at * (HEIGHT + TOP)})">{_panel(panel)}</g>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>"]))


def _panel(panel: Mapping[str, object]) -> str:
    series: Mapping[str, Mapping[float, float]] = panel["series"]  # type: ignore[assignment]
    limit: float | None = panel.get("limit")  # type: ignore[assignment]
    shade: tuple[float, float] | None = panel.get("shade")  # type: ignore[assignment]
    right = max((x for points in series.values() for x in points), default=1) or 1
    highest = max([*(y for points in series.values() for y in points.values()), limit or 0, 1]) * 1.1

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / right * (WIDTH - LEFT - 20), TOP + (1 - y / highest) * (HEIGHT - BOTTOM)

    parts = [f'<text x="{LEFT}" y="20" font-size="15">{escape(str(panel["title"]))}</text>']
    floor = place(0, 0)[1]
    if shade:
        left, end = place(shade[0], 0)[0], place(shade[1], 0)[0]
        parts.append(
            f'<rect x="{left:.1f}" y="{TOP}" width="{end - left:.1f}" height="{floor - TOP:.1f}" fill="#fee2e2"/>'
        )
    for step in range(5):
        x, y = place(right * step / 4, highest * step / 4)
        parts.append(f'<text x="{x:.1f}" y="{floor + 18:.1f}" font-size="11">{right * step / 4:.0f} min</text>')
        parts.append(
            f'<text x="4" y="{y:.1f}" font-size="11">{highest * step / 4:.0f} {escape(str(panel["unit"]))}</text>'
        )
    for points, colour in zip(series.values(), COLOURS, strict=False):
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in sorted(points.items())))
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    legend = " · ".join(series)
    parts.append(f'<text x="{WIDTH - 20}" y="20" font-size="12" text-anchor="end">{escape(legend)}</text>')
    if limit is not None:
        y = place(0, limit)[1]
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 20}" stroke="#111" stroke-dasharray="5 4"/>')
    return "".join(parts)
