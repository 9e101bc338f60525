"""Results as a picture: bars of medians, with their spread, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from benchmarks.measure import Measured, Result
from benchmarks.model import Table

LABELS: Final = 150
BARS: Final = 460
FIGURES: Final = 200
ROW: Final = 22
HEADING: Final = 46
MARGIN: Final = 16
"""All in pixels."""

OURS: Final = "#2f6fde"
BASE: Final = "#333333"
OTHERS: Final = "#b3b9c4"

THEIRS: Final = ("floor", "raw", "ideal", "langgraph", "celery", "ray", "dask", "rq")
"""What the names of all contenders begin with that are not ours."""

LEGEND: Final = (
    "Bars are medians, lines reach from the 10th percentile to the 90th. Blue is Fleetgraph; less is better."
)

STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:14px}.figure{fill:#555}"
    "@media(prefers-color-scheme:dark){svg{background:#14161a}text{fill:#ddd}.figure{fill:#aaa}}"
)


def svg(all_measured: Sequence[Measured]) -> str:
    """A picture of all tables, one below the other."""
    parts: list[str] = []
    y = MARGIN
    for measured in all_measured:
        for table in measured.group.tables:
            results = list(measured.of(table.measure).values())
            if results:
                parts += _chart(measured.group.name, table, results, y)
                y += HEADING + ROW * len(results)
    parts.append(f'<text class="figure" x="{MARGIN}" y="{y + 20}">{LEGEND}</text>')
    y += HEADING
    width = 2 * MARGIN + LABELS + BARS + FIGURES
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + MARGIN}" '
        f'viewBox="0 0 {width} {y + MARGIN}"><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _chart(group: str, table: Table, results: Sequence[Result], top: int) -> Iterator[str]:
    title = escape(f"{group}: {table.title} ({table.unit.name})")
    yield f'<text class="title" x="{MARGIN}" y="{top + 20}">{title}</text>'
    scale = BARS / max(result.quantile(0.9) for result in results)
    left = MARGIN + LABELS
    for row, result in enumerate(results):
        y = top + 32 + row * ROW
        middle = y + ROW // 2
        theirs = BASE if result.name == table.base else OTHERS
        colour = theirs if result.name.startswith(THEIRS) else OURS
        low, high = left + result.quantile(0.1) * scale, left + result.quantile(0.9) * scale
        yield f'<text x="{left - 8}" y="{middle + 4}" text-anchor="end">{escape(result.name)}</text>'
        yield (
            f'<rect x="{left}" y="{y + 3}" width="{max(result.median * scale, 1):.1f}" height="{ROW - 6}" '
            f'rx="2" fill="{colour}"/>'
        )
        yield f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#e0662b" stroke-width="2"/>'
        yield (
            f'<text class="figure" x="{max(high, left + result.median * scale) + 8:.1f}" y="{middle + 4}">'
            f"{table.unit.show(result.median)}</text>"
        )
