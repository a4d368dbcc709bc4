"""``regrowth growth``: forecasts of growth on plain tables and images, beside the baselines that they have to beat."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from regrowth.cli.console import console
from regrowth.cli.growth_options import print_rows, with_growth
from regrowth.cli.growth_space import space
from regrowth.cli.main import app
from regrowth.growth.parameters import GrowthParameters

__all__ = ["fit", "growth_app", "score"]

growth_app = typer.Typer(
    name="growth",
    help="Forecast growth on plain tables (TSV) and images (NIfTI), beside simple baselines.\n\n"
    "Python: [bold]regrowth.forecast_growth_table(table, out_dir)[/bold]",
    epilog="Example: [bold]regrowth growth forecast volumes.tsv forecast --treatment treatment.tsv[/bold]",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.add_typer(growth_app)

Config = Annotated[Path | None, typer.Option(help="TOML file with the table growth.")]
Volumes = Annotated[Path, typer.Argument(help="TSV, one row per exam: participant_id, day, volume_ml.")]
TreatmentTable = Annotated[
    Path | None, typer.Option(help="TSV of treatment: participant_id, day, kind, dose_gy, fractions, ...; see docs/growth.md.")
]
VolumeColumn = Annotated[str, typer.Option(help="Column of the volume (ml), such as CE_core_ml of a run's group/volumes.tsv.")]


@growth_app.command(epilog="Example: [bold]regrowth growth fit volumes.tsv fits.tsv --models exponential,gompertz[/bold]")
@with_growth("models", "draws", "cohort_model", "seed")
def fit(
    table: Volumes,
    out: Annotated[Path, typer.Argument(help="TSV to write, one row per patient, law and parameter.")],
    *,
    treatment: TreatmentTable = None,
    column: VolumeColumn = "volume_ml",
    config: Config = None,
    growth: GrowthParameters,
) -> None:
    """Fit growth laws to every patient: most probable parameters and the spread of the posterior draws.

    Python: [bold]regrowth.fit_growth_table(table, out, models="exponential,gompertz")[/bold]
    """
    from regrowth import api

    with console.status("fitting"):
        rows = api.fit_growth_table(table, out, treatment=treatment, column=column, **asdict(growth))
    shown = ("participant_id", "model", "status", "parameter", "map_value", "posterior_sd_log", "reason")
    print_rows("Most probable parameters, spread of the posterior draws", rows, shown)


@growth_app.command(
    epilog="Example: [bold]regrowth growth score scores.tsv scorecard --baselines persistence,log_linear[/bold]"
)
@with_growth("margin_mm", "seed")
def score(
    source: Annotated[
        Path,
        typer.Argument(
            help="TSV, one row per patient, model and measure: participant_id, model, measure, stratum, value; "
            "with --predict-gbm the folder of its data set."
        ),
    ],
    out_dir: Annotated[Path, typer.Argument(help="Folder for tables, figures and scores.html, made if absent.")],
    *,
    baselines: Annotated[
        str | None, typer.Option(help="Models that are baselines, by commas; those that are known if left out.")
    ] = None,
    predict_gbm: Annotated[
        bool, typer.Option("--predict-gbm", help="Score predictions of tumour cell density by the plans they lead to.")
    ] = False,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Folder of the predictions (growth_models layout, or MODEL/PATIENT.nii.gz), if it is another."),
    ] = None,
    recurrence: Annotated[
        Literal["enhancing", "any"], typer.Option(help="What of the recurrence has to be covered.")
    ] = "enhancing",
    config: Config = None,
    growth: GrowthParameters,
) -> None:
    """Put growth models beside baselines, with paired differences, intervals and a verdict in words.

    Python: [bold]regrowth.score_growth(source, out_dir, baselines=("persistence", "log_linear"))[/bold]
    """
    from regrowth import api

    chosen = tuple(name.strip() for name in (baselines or "").split(",") if name.strip())
    tables = api.score_growth(
        source,
        out_dir,
        baselines=chosen,
        predict_gbm=predict_gbm,
        predictions=predictions,
        recurrence=recurrence,
        **asdict(growth),
    )
    told = [r for r in tables["comparisons"] if r["stratum"] == "all"]
    print_rows("Against the baselines, all patients", told, ("model", "baseline", "measure", "n", "verdict"))
    console.print("report:", style="bold", end=" ")
    console.print(str(out_dir / "scores.html"), soft_wrap=True, highlight=False)


growth_app.add_typer(space)
