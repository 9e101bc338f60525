"""Results as text, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.measure import Measured, Result, ratios
from benchmarks.model import Table, Target


def text(measured: Measured) -> str:
    """The tables of a group."""
    parts = [_table(table, measured) for table in measured.group.tables if measured.of(table.measure)]
    parts += [f"NOT MEASURED: {failure}" for failure in measured.failures.values()]
    return "\n\n".join(parts)


def _table(table: Table, measured: Measured) -> str:
    results = measured.of(table.measure)
    base = results.get(table.base)
    show = table.unit.show
    head = ["", "median", "p10", "p90", "p99", "rounds"]
    head += [f"{table.unit.rate}/s"] * bool(table.unit.rate) + [f"times {table.base}"] * (base is not None)
    rows = [[*head, "what"]]
    for result in results.values():
        middles = result.round_medians
        row = [result.name, show(result.median), *(show(result.quantile(q)) for q in (0.10, 0.90, 0.99))]
        row.append(f"{show(min(middles))}-{show(max(middles))}")
        if table.unit.rate:
            row.append(f"{1 / result.median:,.0f}")
        if base is not None:
            row.append("{:.2f} ({:.2f}-{:.2f})".format(*ratios(result, base)))
        rows.append([*row, result.what])
    heading = (
        f"## {measured.group.name}: {table.title}, {table.unit.name} ({measured.rounds} rounds of {measured.size:,})"
    )
    return "\n".join([heading, "", *_aligned(rows), *_targets(table, results)])


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    for row in rows:
        cells = [
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _targets(table: Table, results: Mapping[str, Result]) -> Iterator[str]:
    for target in table.targets:
        if (reached := reached_of(target, results, table)) is None:
            continue
        met = "met" if reached <= target.at_most else "MISSED"
        what = f"{target.name} / {target.base}" if target.base else f"{target.name}, {table.unit.name}"
        yield f"  target: {what} at most {target.at_most:.3g}: {reached:.3g}, {met}"


def reached_of(target: Target, results: Mapping[str, Result], table: Table) -> float | None:
    """The figure that a target is about; None if it was not measured."""
    result, base = results.get(target.name), results.get(target.base)
    if result is None or (target.base and base is None):
        return None
    return ratios(result, base)[0] if base is not None else result.median * table.unit.factor


def plain(measured: Measured) -> dict[str, Any]:
    """What came out of a group, for JSON: figures in seconds or bytes."""
    return {
        "group": measured.group.name,
        "rounds": measured.rounds,
        "size": measured.size,
        "tables": [_plain_table(table, measured) for table in measured.group.tables if measured.of(table.measure)],
        "failures": dict(measured.failures),
    }


def _plain_table(table: Table, measured: Measured) -> dict[str, Any]:
    results = measured.of(table.measure)
    base = results.get(table.base)
    return {
        "title": table.title,
        "unit": table.unit.name,
        "factor": table.unit.factor,
        "base": table.base,
        "results": [
            {
                "name": result.name,
                "what": result.what,
                "figures": len(result.figures),
                "median": result.median,
                **{f"p{q}": result.quantile(q / 100) for q in (10, 90, 99)},
                "round_medians": result.round_medians,
                "ratio": ratios(result, base) if base is not None else None,
            }
            for result in results.values()
        ],
        "targets": [
            {"name": target.name, "base": target.base, "at_most": target.at_most, "reached": reached}
            for target in table.targets
            if (reached := reached_of(target, results, table)) is not None
        ],
    }
