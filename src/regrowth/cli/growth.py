"""``regrowth growth``: forecasts of growth on plain tables and images, beside the baselines that they have to beat."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from regrowth.cli.console import console
from regrowth.cli.growth_options import print_facts, print_rows, with_growth
from regrowth.cli.growth_space import space
from regrowth.cli.main import app
from regrowth.growth.cohort_results import CHOSEN
from regrowth.growth.parameters import GrowthParameters

__all__ = ["fit", "forecast", "growth_app", "learn", "score", "synthesise"]

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

_LEARNING = ("models", "folds", "draws", "seed")

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
    epilog="Example: [bold]regrowth growth forecast volumes.tsv forecast --treatment treatment.tsv --horizon-days 180[/bold]"
)
@with_growth("cohort_model", "horizon_days", "coverage", "progression_share", *_LEARNING)
def forecast(
    table: Volumes,
    out_dir: Annotated[Path, typer.Argument(help="Folder for tables, figures, model.json and forecast.html, made if absent.")],
    *,
    treatment: TreatmentTable = None,
    column: VolumeColumn = "volume_ml",
    config: Config = None,
    growth: GrowthParameters,
) -> None:
    """Forecast the volumes of a cohort with intervals calibrated on the other patients, and score them beside baselines.

    Python: [bold]regrowth.forecast_growth_table(table, out_dir, treatment=treatment, horizon_days=180)[/bold]
    """
    from regrowth import api

    with console.status("forecasting"):
        tables = api.forecast_growth_table(table, out_dir, treatment=treatment, column=column, **asdict(growth))
    rows = tables.get("patients", [])
    shown = ["participant_id", "status", "forecaster", "last_ml", "median_ml", "lower_ml", "upper_ml"]
    if all(row["status"] == "ok" for row in rows):
        shown.remove("status")
    print_rows("Forecasts at the horizon; n/a: no interval could be calibrated", rows, shown)
    for row in tables.get("comparisons", []):
        if (row["model"], row["measure"], row["stratum"]) == (CHOSEN, "log_error", "all"):
            console.print(row["verdict"], markup=False, highlight=False, soft_wrap=True)
    for row in tables.get("notes", []):
        console.print(row["note"], markup=False, highlight=False, soft_wrap=True)
    console.print("report:", style="bold", end=" ")
    console.print(str(out_dir / "forecast.html"), soft_wrap=True, highlight=False)


@growth_app.command(epilog="Example: [bold]regrowth growth learn volumes.tsv model.json --treatment treatment.tsv[/bold]")
@with_growth("coverage", *_LEARNING)
def learn(
    table: Volumes,
    out: Annotated[Path, typer.Argument(help="JSON file to write, for --cohort-model of other verbs and of a run.")],
    *,
    treatment: TreatmentTable = None,
    column: VolumeColumn = "volume_ml",
    config: Config = None,
    growth: GrowthParameters,
) -> None:
    """Learn priors, calibrated intervals and the choice of a forecaster from one cohort, for use in another.

    Python: [bold]regrowth.learn_growth(table, out, treatment=treatment)[/bold]
    """
    from regrowth import api

    with console.status("learning"):
        model = api.learn_growth(table, out, treatment=treatment, column=column, **asdict(growth))
    print_facts({name: model[name] for name in ("source", "n_patients", "chosen", "common_rate_per_day")})
    bands = {f["name"]: f["bands"] for f in model["forecasters"]}[model["chosen"]]
    kept = ", ".join(f"{band['coverage']:.0%}" for band in bands)
    console.print(f"calibrated intervals: {kept or 'none, there are too few patients'}", markup=False, highlight=False)


@growth_app.command(epilog="Example: [bold]regrowth growth synthesise volumes.tsv --patients 60 --seed 0[/bold]")
def synthesise(
    out: Annotated[
        Path, typer.Argument(help="TSV of volumes to write; beside it NAME_treatment.tsv, and NAME.json with the truth.")
    ],
    *,
    patients: Annotated[int, typer.Option(help="Number of synthetic patients.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the cohort.")] = 0,
) -> None:
    """Write the volumes of a synthetic cohort with known growth, and the table of its treatment, to try the forecasts on.

    Python: [bold]regrowth.synthesise_growth(out, patients=60, seed=0)[/bold]
    """
    from regrowth import api

    api.synthesise_growth(out, patients, seed)
    console.print(
        f"{patients} synthetic patients in {out}, their treatment in {out.stem}_treatment.tsv, the truth in {out.stem}.json",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


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
    against = {row["baseline"] for row in tables["comparisons"]}
    for row in tables["comparisons"]:
        if row["stratum"] == "all" and row["model"] not in against:
            console.print(row["verdict"], markup=False, highlight=False, soft_wrap=True)
    console.print("report:", style="bold", end=" ")
    console.print(str(out_dir / "scores.html"), soft_wrap=True, highlight=False)


growth_app.add_typer(space)
