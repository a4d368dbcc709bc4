"""``regrowth parcellate`` and ``regrowth locate``: regions of a brain and where a tumour lies, on plain files."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from regrowth.anatomy import AnatomyParameters, LocationParameters
from regrowth.cli.console import console
from regrowth.cli.main import app
from regrowth.cli.options import with_parameters
from regrowth.io.tables import write_tsv

__all__ = ["locate", "parcellate"]


@app.command(epilog="Example: [bold]regrowth parcellate preop_T1c.nii.gz regions.nii.gz --lesion preop_seg.nii.gz[/bold]")
@with_parameters(anatomy=AnatomyParameters)
def parcellate(
    image: Annotated[Path, typer.Argument(help="T1-weighted image, with or without contrast agent and skull.")],
    out: Annotated[Path, typer.Argument(help="Map of regions on the grid of the image; a JSON file beside it names them.")],
    *,
    labels: Annotated[
        Path | None,
        typer.Option(help="Map of labels with FreeSurfer ids (aparc+aseg, FastSurfer, SynthSeg) to group to lobes."),
    ] = None,
    lesion: Annotated[
        Path | None, typer.Option(help="Mask of tumour, oedema and cavity, left out of the registration.")
    ] = None,
    brain: Annotated[Path | None, typer.Option(help="Brain mask, if there is one.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with the table anatomy.")] = None,
    anatomy: AnatomyParameters,
) -> None:
    """Find lobes, deep grey matter, corpus callosum, brainstem, cerebellum and ventricles of a brain.

    Python: [bold]regrowth.parcellate(image, out, lesion=lesion)[/bold]
    """
    from regrowth import api

    with console.status("finding the regions"):
        facts = api.parcellate(
            image,
            out,
            labels=labels,
            lesion=lesion,
            brain=brain,
            threads=len(os.sched_getaffinity(0)),
            **asdict(anatomy),
        )
    for name, value in facts.items():
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        console.print(f"{name}: {text}", markup=False, highlight=False)


@app.command(
    epilog="Example: [bold]regrowth locate preop_seg.nii.gz regions.nii.gz --label-scheme brats-2023 --out location.tsv[/bold]"
)
@with_parameters(location=LocationParameters)
def locate(
    segmentation: Annotated[Path, typer.Argument(help="Tumour segmentation.")],
    regions: Annotated[Path, typer.Argument(help="Map of regions from regrowth parcellate, on the same grid.")],
    *,
    label_scheme: Annotated[str, typer.Option(help="Label scheme of the segmentation; label values are never guessed.")],
    out: Annotated[Path | None, typer.Option(help="Write the location of the whole and of each part to this TSV.")] = None,
    overlap: Annotated[Path | None, typer.Option(help="Write the volume in every region to this TSV.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with the table location.")] = None,
    location: LocationParameters,
) -> None:
    """Tell in which regions of the brain a tumour lies: side, lobe, junction, midline, and the share of each.

    Python: [bold]regrowth.locate(segmentation, regions, label_scheme="brats-2023")[/bold]
    """
    from regrowth import api

    rows, volumes = api.locate(segmentation, regions, label_scheme=label_scheme, **asdict(location))
    whole = rows[0]
    shown = ("status", "compartment", "laterality", "lobe", "lobe_share", "junction", "involved", "crosses_midline", "coverage")
    for name in shown:
        value = whole[name]
        console.print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}", markup=False, highlight=False)
    if whole["reason"]:
        console.print(str(whole["reason"]), markup=False)
    table = Table(title="Volume per region", title_justify="left")
    for column in ("region", "ml", "share"):
        table.add_column(column)
    for row in volumes:
        if float(str(row["volume_ml"])) > 0:
            table.add_row(str(row["region"]), f"{row['volume_ml']:.2f}", f"{row['share']:.1%}")
    console.print(table)
    if out is not None:
        write_tsv(rows, out)
    if overlap is not None:
        write_tsv(volumes, overlap)
