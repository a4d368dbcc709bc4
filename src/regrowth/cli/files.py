"""``regrowth measure`` and ``regrowth register``: the same work on plain files, without BIDS."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from regrowth.cli.console import console
from regrowth.cli.main import app
from regrowth.cli.options import with_parameters
from regrowth.io.tables import write_tsv
from regrowth.registration import RegistrationParameters

__all__ = ["measure", "register"]

_SHOWN = (
    "status",
    "hd95_mesh_mm",
    "outward_p50_mm",
    "outward_p95_mm",
    "outward_max_mm",
    "assd_mm",
    "dice",
    "within_0mm",
    "verdict",
)


@app.command(
    epilog="Example: [bold]regrowth measure preop_seg.nii.gz recurrence_seg.nii.gz --label-scheme brats-2023 --out m.tsv[/bold]"
)
def measure(
    primary: Annotated[Path, typer.Argument(help="Segmentation of the primary tumour.")],
    recurrence: Annotated[Path, typer.Argument(help="Segmentation of the recurrence, on the same grid.")],
    *,
    label_scheme: Annotated[str, typer.Option(help="Label scheme of the primary; label values are never guessed.")],
    recurrence_scheme: Annotated[str | None, typer.Option(help="Label scheme of the recurrence, if it is another.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write all measures to this TSV.")] = None,
) -> None:
    """Measure where a recurrence lies relative to the primary tumour.

    Python: [bold]regrowth.measure(primary, recurrence, label_scheme="brats-2023")[/bold]
    """
    from regrowth import api

    rows = api.measure(primary, recurrence, label_scheme=label_scheme, recurrence_scheme=recurrence_scheme)
    shown = [r for r in rows if r["status"] != "not_in_scheme"]
    table = Table(title="HD95, outward distances and ASSD in mm; definitions: docs/measures.md", title_justify="left")
    table.add_column("")
    for row in shown:
        table.add_column(str(row["region"]))
    for name in _SHOWN:
        table.add_row(name, *(_text(row[name]) for row in shown))
    console.print(table)
    for row in rows:
        if row["reason"]:
            console.print(f"{row['region']}: {row['reason']}", markup=False)
    if out is not None:
        write_tsv(rows, out)


@app.command(epilog="Example: [bold]regrowth register preop_T1c.nii.gz relapse_T1c.nii.gz moved.nii.gz --kind rigid[/bold]")
@with_parameters(registration=RegistrationParameters)
def register(
    fixed: Annotated[Path, typer.Argument(help="Image that stays.")],
    moving: Annotated[Path, typer.Argument(help="Image that is moved onto it; same contrast.")],
    out: Annotated[Path, typer.Argument(help="Moved image.")],
    *,
    fixed_lesion: Annotated[Path | None, typer.Option(help="Mask of the fixed image to leave out.")] = None,
    moving_lesion: Annotated[Path | None, typer.Option(help="Mask of the moving image to leave out.")] = None,
    transform: Annotated[Path | None, typer.Option(help="Write the transform (ITK): .txt linear, .nii.gz deformable.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with the table registration.")] = None,
    registration: RegistrationParameters,
) -> None:
    """Register two images rigidly, affinely or deformably, with lesions left out, and judge the result.

    Python: [bold]regrowth.register(fixed, moving, out, kind="rigid")[/bold]
    """
    from regrowth import api

    with console.status(f"{registration.kind} registration by {registration.engine}"):
        quality = api.register(
            fixed,
            moving,
            out,
            fixed_lesion=fixed_lesion,
            moving_lesion=moving_lesion,
            transform=transform,
            threads=len(os.sched_getaffinity(0)),
            **asdict(registration),
        )
    for name, value in quality.items():
        console.print(f"{name}: {_text(value)}", markup=False, highlight=False)


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
