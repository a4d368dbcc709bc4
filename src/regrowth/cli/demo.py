"""``regrowth phantom`` and ``regrowth demo``: synthetic patients, and the whole pipeline on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from regrowth.cli.console import console, counting, follow, print_result
from regrowth.cli.main import app
from regrowth.cli.options import with_parameters
from regrowth.phantom import PhantomParameters
from regrowth.workflow.cluster import ClusterParameters
from regrowth.workflow.run import open_study, run_study

__all__ = ["demo", "phantom"]


@app.command(epilog="Example: [bold]regrowth phantom cohort --patients 5 --seed 1 --spacing-mm 1[/bold]")
@with_parameters(phantom=PhantomParameters)
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the data set, made if absent.")],
    *,
    config: Annotated[Path | None, typer.Option(help="TOML file with the table phantom.")] = None,
    phantom: PhantomParameters,
) -> None:
    """Write a cohort of synthetic glioma patients with known truth, as BIDS.

    Python: [bold]regrowth.write_phantom(out, regrowth.PhantomParameters(patients=5, seed=1))[/bold]
    """
    from regrowth.phantom.dataset import write_phantom

    with counting("patients") as progress:
        write_phantom(out, phantom, progress=progress)
    console.print(f"{phantom.patients} synthetic patients in {out}; the truth about them in {out / 'derivatives' / 'truth'}")


@app.command(epilog="Example: [bold]regrowth demo demo-output --patients 3[/bold]")
def demo(
    out: Annotated[Path, typer.Argument(help="Folder for data and results, made if absent.")] = Path("demo-output"),
    *,
    patients: Annotated[int, typer.Option(help="Number of synthetic patients.")] = 3,
    spacing_mm: Annotated[float, typer.Option(help="Voxel spacing (mm); 1 takes about ten times as long as 2.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Seed of the cohort.")] = 0,
) -> None:
    """Make a synthetic cohort, run the whole pipeline on it, and say where the pages are.

    The tumour segmentations are the true ones of the phantom. Python: see [bold]regrowth.write_phantom[/bold] and
    [bold]regrowth.run[/bold].
    """
    from regrowth.phantom.dataset import write_phantom

    parameters = PhantomParameters(patients=patients, seed=seed, spacing_mm=spacing_mm)
    data, results = out / "bids", out / "results"
    console.print(f"[bold]1/2[/bold] writing {patients} synthetic patients to {data}")
    with counting("patients") as progress:
        write_phantom(data, parameters, progress=progress)
    console.print(f"[bold]2/2[/bold] regrowth run {data} {results} participant group --derivatives truth")
    study = open_study(data, results, derivatives=["truth"])
    with follow() as watch:
        result = run_study(study, cluster=replace(ClusterParameters(), scheduler="local"), watch=watch)
    print_result(result)
    raise typer.Exit(result.exit_code)
