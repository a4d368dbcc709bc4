"""``regrowth growth simulate|map|plan|container``: growth in space on plain images."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from regrowth.cli.console import console
from regrowth.cli.growth_options import numbers, print_facts, print_rows, with_growth
from regrowth.growth.parameters import GrowthParameters

__all__ = ["container", "map_", "plan", "simulate", "space"]

space = typer.Typer(rich_markup_mode="rich")

_SPACE = ("white_to_grey", "core_threshold", "oedema_threshold", "search_spacing_mm", "map_spacing_mm", "space_draws", "seed")

Config = Annotated[Path | None, typer.Option(help="TOML file with the table growth.")]
White = Annotated[Path, typer.Option(help="Map of white matter, 0 to 1.")]
Grey = Annotated[Path, typer.Option(help="Map of grey matter, 0 to 1.")]
Dose = Annotated[
    Path | None, typer.Option(help="Dose of the whole course: NIfTI in Gy or DICOM RTDOSE; resampled if it lies elsewhere.")
]
FractionDays = Annotated[str | None, typer.Option(help="Day of each fraction, separated by commas.")]
Fractions = Annotated[int | None, typer.Option(help="Number of fractions, given on weekdays from --start-day, a Monday.")]
StartDay = Annotated[float | None, typer.Option(help="Day of the first fraction.")]
Scheme = Annotated[str, typer.Option(help="Label scheme of the segmentation; label values are never guessed.")]


@space.command(
    epilog="Example: [bold]regrowth growth simulate out --start tumour.nii.gz --white WM.nii.gz --grey GM.nii.gz "
    "--diffusivity 0.2 --proliferation 0.03 --days 30,60 --dose dose.nii.gz --fractions 30 --start-day 0[/bold]"
)
@with_growth("white_to_grey", "core_threshold", "oedema_threshold")
def simulate(
    out_dir: Annotated[Path, typer.Argument(help="Folder for densities, volumes and what was simulated, made if absent.")],
    *,
    start: Annotated[Path | None, typer.Option(help="Mask of the tumour, or its cell density from 0 to 1.")] = None,
    origin: Annotated[str | None, typer.Option(help="Or where the first cells are: x,y,z in RAS+ mm.")] = None,
    white: White,
    grey: Grey,
    diffusivity: Annotated[float, typer.Option(help="Diffusivity in white matter (mm2/day).")],
    proliferation: Annotated[float, typer.Option(help="Net rate of division (1/day).")],
    days: Annotated[str, typer.Option(help="Days of the output, rising, separated by commas.")],
    first_day: Annotated[float, typer.Option(help="Day of the start.")] = 0.0,
    dose: Dose = None,
    fraction_days: FractionDays = None,
    fractions: Fractions = None,
    start_day: StartDay = None,
    alpha: Annotated[float, typer.Option(help="Radiosensitivity alpha (1/Gy); varies tenfold between patients.")] = 0.03,
    alpha_beta: Annotated[float, typer.Option(help="Ratio alpha/beta (Gy).")] = 10.0,
    cavity: Annotated[Path | None, typer.Option(help="Mask of what was resected.")] = None,
    cavity_day: Annotated[float | None, typer.Option(help="Day of the resection.")] = None,
    config: Config = None,
    growth: GrowthParameters,
) -> None:
    """Let a tumour grow on a patient's tissue, with radiotherapy and a resection.

    Python: [bold]regrowth.simulate_tumour(out_dir, start=start, white=white, grey=grey, diffusivity=0.2, proliferation=0.03,
    days=(30, 60))[/bold]
    """
    from regrowth import api

    with console.status("simulating"):
        facts = api.simulate_tumour(
            out_dir,
            white=white,
            grey=grey,
            diffusivity=diffusivity,
            proliferation=proliferation,
            days=numbers(days, "--days"),
            start=start,
            origin_mm=None if origin is None else numbers(origin, "--origin"),
            first_day=first_day,
            dose=dose,
            fraction_days=numbers(fraction_days, "--fraction-days"),
            fractions=fractions,
            start_day=start_day,
            alpha_per_gy=alpha,
            alpha_beta_gy=alpha_beta,
            cavity=cavity,
            cavity_day=cavity_day,
            **asdict(growth),
        )
    rows = facts.pop("volumes")
    facts.pop("parameters")
    print_facts({k: v for k, v in facts.items() if v not in ("", [])})
    print_rows("Volumes (ml)", rows, ("day", "core_ml", "whole_ml"))


@space.command(
    "map",
    epilog="Example: [bold]regrowth growth map preop_seg.nii.gz map.nii.gz --label-scheme brats-2023 --white WM.nii.gz "
    "--grey GM.nii.gz --day 90[/bold]",
)
@with_growth("region", "members", *_SPACE)
def map_(
    segmentation: Annotated[Path, typer.Argument(help="Tumour segmentation.")],
    out: Annotated[Path, typer.Argument(help="Map to write, 0 to 1; a JSON file beside it holds what was fitted.")],
    *,
    label_scheme: Scheme,
    white: White,
    grey: Grey,
    day: Annotated[float, typer.Option(help="Day of the map.")],
    first_day: Annotated[float, typer.Option(help="Day of the segmentation.")] = 0.0,
    second: Annotated[
        Path | None, typer.Option(help="Later segmentation without treatment between; without it the speed is a guess.")
    ] = None,
    second_day: Annotated[float | None, typer.Option(help="Its day.")] = None,
    dose: Dose = None,
    fraction_days: FractionDays = None,
    fractions: Fractions = None,
    start_day: StartDay = None,
    dicom_series: Annotated[
        Path | None, typer.Option(help="Folder of the DICOM series that the segmentation belongs to.")
    ] = None,
    dicom_out: Annotated[Path | None, typer.Option(help="Write the map as DICOM SEG on that series, too.")] = None,
    config: Config = None,
    growth: GrowthParameters,
) -> None:
    """Fit where a tumour began and how it spreads, and map how likely it reaches each voxel by a day.

    The map is the share of simulated tumours; it is not calibrated on other patients.

    Python: [bold]regrowth.map_growth(segmentation, out, label_scheme="brats-2023", white=white, grey=grey, day=90)[/bold]
    """
    from regrowth import api

    with console.status("fitting and simulating"):
        facts = api.map_growth(
            segmentation,
            out,
            label_scheme=label_scheme,
            white=white,
            grey=grey,
            day=day,
            first_day=first_day,
            second=second,
            second_day=second_day,
            dose=dose,
            fraction_days=numbers(fraction_days, "--fraction-days"),
            fractions=fractions,
            start_day=start_day,
            dicom_series=dicom_series,
            dicom_out=dicom_out,
            **asdict(growth),
        )
    print_facts(facts)


@space.command(
    epilog="Example: [bold]regrowth growth plan preop_seg.nii.gz plans --label-scheme brats-2023 --brain brain.nii.gz "
    "--map map.nii.gz --recurrence relapse_seg.nii.gz[/bold]"
)
@with_growth("region", "margin_mm", "barriers")
def plan(
    segmentation: Annotated[Path, typer.Argument(help="Tumour segmentation before treatment.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder for the masks of the plans, tables and plans.html, made if absent.")],
    *,
    label_scheme: Scheme,
    brain: Annotated[Path, typer.Option(help="Brain mask.")],
    growth_map: Annotated[
        Path | None, typer.Option("--map", help="Growth map or cell density, for a plan of the same volume as the margin.")
    ] = None,
    recurrence: Annotated[Path | None, typer.Option(help="Segmentation of the recurrence in the same space.")] = None,
    recurrence_scheme: Annotated[str | None, typer.Option(help="Its label scheme, if it is another.")] = None,
    dose: Annotated[Path | None, typer.Option(help="Delivered dose: NIfTI in Gy or DICOM RTDOSE.")] = None,
    prescription: Annotated[float | None, typer.Option(help="Prescribed dose (Gy); 95 % of it counts as treated.")] = None,
    regions: Annotated[
        Path | None,
        typer.Option(help="Map of regions from regrowth parcellate: spares ventricles, stops at falx and tentorium."),
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="Image to draw the plans on.")] = None,
    config: Config = None,
    growth: GrowthParameters,
) -> None:
    """Plan by a margin and by a growth map of the same volume, and tell how much of the recurrence each covers.

    Python: [bold]regrowth.plan_treatment(segmentation, out_dir, label_scheme="brats-2023", brain=brain, growth_map=map)[/bold]
    """
    from regrowth import api

    with console.status("planning"):
        rows = api.plan_treatment(
            segmentation,
            out_dir,
            label_scheme=label_scheme,
            brain=brain,
            growth_map=growth_map,
            recurrence=recurrence,
            recurrence_scheme=recurrence_scheme,
            dose=dose,
            prescription_gy=prescription,
            regions=regions,
            reference=reference,
            **asdict(growth),
        )
    columns = ("plan", "volume_ml", "coverage", "missed_ml", "volume_for_95_ml", "status", "reason")
    print_rows("Plans", rows, [c for c in columns if any(c in row for row in rows)])
    console.print("report:", style="bold", end=" ")
    console.print(str(out_dir / "plans.html"), soft_wrap=True, highlight=False)


@space.command(epilog="Example: [bold]regrowth growth container /mlcube_io0 /mlcube_io1[/bold]")
@with_growth(*_SPACE)
def container(
    inputs: Annotated[Path, typer.Argument(help="Folder with Patient-ID folders of the PREDICT-GBM container layout.")],
    outputs: Annotated[Path, typer.Argument(help="Folder for ID.nii.gz, tumour cell density, made if absent.")],
    *,
    config: Config = None,
    growth: GrowthParameters,
) -> None:
    """Run the growth model as a container of PREDICT-GBM does: fit every tumour, write its cell density on the day of the scan.

    Python: [bold]regrowth.run_growth_container(inputs, outputs)[/bold]
    """
    from regrowth import api

    with console.status("fitting"):
        rows = api.run_growth_container(inputs, outputs, **asdict(growth))
    print_rows("Cases", rows, ("subject", "status", "misfit_mm", "reason"))
    if any(row["status"] == "not_fitted" for row in rows):
        raise typer.Exit(1)
