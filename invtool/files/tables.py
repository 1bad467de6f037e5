"""Rows of numbers for people and for other programs: a table, JSON or CSV."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invtool.files import streams
from invtool.files.provenance import Steps

Row = Mapping[str, Any]


def write(
    path: Path,
    rows: Sequence[Row],
    form: str,
    steps: Steps,
    *,
    title: str = "",
    footer: str = "",
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write rows (the keys of the first are the columns) as `table`, `json` or `csv` to `path`.

    JSON holds the rows, the provenance and any further `facts`; CSV holds the rows alone, so that
    every reader of CSV takes it. A NaN is null in JSON, empty in CSV and `-` in a table.
    """
    whole = {"json": _json, "csv": _csv, "table": _table}[form](rows, steps, title, footer, facts)
    path.write_text(whole, encoding="utf-8", errors="surrogateescape")


def text(rows: Sequence[Row], *, title: str = "") -> str:
    """Rows as a table off a terminal."""
    return _table(rows, [], title, "", None)


def _json(rows: Sequence[Row], steps: Steps, title: str, footer: str, facts: Any) -> str:
    plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
    whole = {"title": title, **(facts or {}), "rows": plain, "provenance": steps}
    return json.dumps(whole, indent=2) + "\n"


def _csv(rows: Sequence[Row], steps: Steps, title: str, footer: str, facts: Any) -> str:
    text = io.StringIO()
    columns = list(rows[0]) if rows else []
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        ["" if _plain(row[name]) is None else row[name] for name in columns] for row in rows
    )
    return text.getvalue()


def _table(rows: Sequence[Row], steps: Steps, title: str, footer: str, facts: Any) -> str:
    from rich.console import Console
    from rich.table import Table

    terminal = streams.on_terminal()
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    columns = list(rows[0]) if rows else []
    for name in columns:
        number = isinstance(rows[0][name], int | float)
        table.add_column(name, justify="right" if number else "left", no_wrap=not terminal)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    text = io.StringIO()
    console = Console(
        file=text,
        force_terminal=terminal and not os.environ.get("NO_COLOR"),
        width=None if terminal else 1000,
        highlight=False,
        markup=False,
    )
    for part in (title, table, footer):
        if part:
            console.print(part, soft_wrap=isinstance(part, str))
    lines = text.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _cell(value: Any) -> str:
    if _plain(value) is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
