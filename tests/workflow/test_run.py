"""Whole runs: from Python, from the command line, on a running Dask scheduler, on real patients."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import regrowth
import regrowth.cli.demo
import regrowth.cli.files
import regrowth.cli.run
from regrowth.cli.main import app
from regrowth.errors import EngineNotInstalledError, ParameterError
from regrowth.io.tables import read_tsv
from regrowth.workflow.cluster import ClusterParameters, open_executor, slurm_cluster

# No brain here comes with a map of its regions, so that the template is not brought to it: other tests do that.
RIGID = regrowth.RunParameters(
    registration=regrowth.RegistrationParameters(kind="rigid", inverse_consistency=False),
    anatomy=regrowth.AnatomyParameters(parcellator="labelmap"),
)


def test_the_output_is_a_bids_derivatives_data_set(full_run):
    facts = json.loads((full_run / "dataset_description.json").read_text())
    assert facts["DatasetType"] == "derivative"
    assert facts["GeneratedBy"][0]["Name"] == "Regrowth"
    assert "*_xfm.*" in (full_run / ".bidsignore").read_text()


def test_the_class_of_the_recurrence_agrees_with_the_truth(full_run, small_cohort):
    rows = read_tsv(full_run / "group" / "migration.tsv")
    for label in ("01", "02"):
        truth = json.loads((small_cohort / "derivatives" / "truth" / f"sub-{label}" / f"sub-{label}_truth.json").read_text())
        found = {r["pattern"] for r in rows if r["participant_id"] == f"sub-{label}" and r["region"] == "CE_core"}
        assert found == {truth["recurrence"]["pattern"]}


def test_rigid_and_deformable_results_come_with_their_band(full_run):
    rows = [
        r
        for r in read_tsv(full_run / "group" / "migration.tsv")
        if r["region"] == "CE_core" and r["participant_id"] == "sub-01"
    ]
    value = {r["transform"]: float(r["outward_p95_mm"]) for r in rows}
    assert value["band"] == pytest.approx(abs(value["rigid"] - value["deformable"]), abs=1e-4)


def test_registration_quality_holds_every_figure_that_is_promised(full_run):
    rows = read_tsv(full_run / "group" / "registration.tsv")
    assert {r["stage"] for r in rows} == {"within exam", "rigid", "affine", "deformable"}
    for row in (r for r in rows if r["stage"] == "deformable"):
        for name in ("ncc_before", "mi_after", "mask_dice_after", "logjac_p01", "folded_share", "inverse_consistency_mean_mm"):
            assert np.isfinite(float(row[name])), name
        assert float(row["ncc_after"]) > float(row["ncc_before"])
        assert float(row["landmark_mean_mm"]) < 4.0


def test_volumes_are_those_of_the_true_segmentation_in_native_space(full_run, small_cohort):
    row = read_tsv(full_run / "sub-01" / "sub-01_volumes.tsv")[0]
    truth = json.loads((small_cohort / "derivatives" / "truth" / "sub-01" / "sub-01_truth.json").read_text())
    assert row["space"] == "native"
    assert float(row["CE_core_ml"]) == pytest.approx(truth["volumes"]["preop"]["CE_core_ml"], rel=1e-3)


def test_the_trend_is_not_claimed_across_surgery(full_run):
    rows = read_tsv(full_run / "group" / "migration.tsv")
    assert {r["trend"] for r in rows if r["transform"] == "rigid"} == {"unknown"}
    assert not any(r["verdict"] == "local regrowth" for r in rows)


def test_figures_lie_beside_the_page_and_say_synthetic(full_run):
    names = {p.name for p in (full_run / "sub-01" / "figures").iterdir()}
    assert {"timeline.svg", "segmentation_ses-preop.png", "recurrence_ses-progression.png"} <= names
    assert "Synthetic data" in (full_run / "sub-01.html").read_text()


def test_pages_load_nothing_from_outside(full_run):
    for page in full_run.glob("*.html"):
        text = page.read_text()
        assert 'src="http' not in text
        assert 'href="http' not in text


def test_a_second_run_does_nothing(full_run, small_cohort):
    again = regrowth.run(small_cohort, full_run, derivatives=["truth"])
    assert {o.status for o in again.outcomes.values()} == {"kept"}


def test_another_parameter_does_again_only_what_depends_on_it(full_run, small_cohort):
    changed = regrowth.RunParameters(recurrence=regrowth.RecurrenceParameters(distant_gap_mm=25.0))
    again = regrowth.run(small_cohort, full_run, derivatives=["truth"], parameters=changed)
    done = {o.job_id.rsplit("_", 1)[1] for o in again.outcomes.values() if o.status == "done"}
    assert {"recurrence", "report"} <= done
    assert not {"coregister", "brain", "tumour", "register", "measure"} & done


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(w) for w in words])
    return result.exit_code, result.output + str(result.exception or "")


def test_a_dry_run_prints_the_jobs_and_writes_nothing(small_cohort, tmp_path):
    code, text = command("run", small_cohort, tmp_path / "out", "participant", "group", "--derivatives", "truth", "--dry-run")
    assert code == 0
    assert "recurrence" in text
    assert not (tmp_path / "out").exists()


def test_masks_that_were_not_asked_for_are_pointed_out(small_cohort, tmp_path):
    code, text = command("run", small_cohort, tmp_path / "out", "participant", "--dry-run")
    words = " ".join(text.replace("│", " ").split())
    assert "pass --derivatives truth" in words
    assert code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("participant", "--derivatives", "nowhere"), "no such folder"),
        (("participant", "--participant-label", "99"), "no participant sub-99"),
        (("everything",), "unknown analysis level"),
        (("participant", "--kind", "elastic"), "elastic"),
    ],
)
def test_wrong_usage_is_said_before_any_work(small_cohort, tmp_path, words, message):
    code, text = command("run", small_cohort, tmp_path / "out", *words)
    assert code != 0
    assert message in text


def test_measure_and_register_work_on_plain_files(small_cohort, tmp_path):
    anat = {
        s: small_cohort / "sub-01" / f"ses-{s}" / "anat" / f"sub-01_ses-{s}_ce-gadolinium_T1w.nii.gz"
        for s in ("preop", "progression")
    }
    moved, xfm = tmp_path / "moved.nii.gz", tmp_path / "x.txt"
    code, text = command(
        "register", anat["preop"], anat["progression"], moved, "--kind", "rigid", "--transform", xfm, "--no-inverse-consistency"
    )
    assert code == 0, text
    assert moved.is_file()
    assert "AffineTransform" in xfm.read_text()

    truth = small_cohort / "derivatives" / "truth" / "sub-01" / "ses-preop" / "anat"
    primary = truth / "sub-01_ses-preop_space-T1wce_seg-tumour_dseg.nii.gz"
    recurrence = truth / "sub-01_ses-preop_space-T1wce_desc-recurrence_dseg.nii.gz"
    code, text = command("measure", primary, recurrence, "--label-scheme", "brats-2024-post", "--out", tmp_path / "m.tsv")
    assert code == 0, text
    rows = {r["region"]: r for r in read_tsv(tmp_path / "m.tsv")}
    told = json.loads((small_cohort / "derivatives" / "truth" / "sub-01" / "sub-01_truth.json").read_text())["recurrence"]
    assert float(rows["CE_core"]["outward_p95_mm"]) == pytest.approx(told["outward_p95_mm"], abs=0.01)

    code, text = command("measure", anat["preop"], recurrence, "--label-scheme", "brats-2024-post")
    assert code != 0
    assert "label values" in text


def test_report_writes_the_pages_again_and_computes_nothing_else(full_run, tmp_path):
    page = full_run / "sub-01.html"
    image = next(full_run.glob("sub-01/ses-progression/anat/*desc-deformable_T1w.nii.gz"))
    before = page.stat().st_mtime_ns, image.stat().st_mtime_ns
    code, text = command("report", full_run)
    assert code == 0, text
    assert page.stat().st_mtime_ns > before[0]
    assert image.stat().st_mtime_ns == before[1]

    code, text = command("report", tmp_path)
    assert code != 0
    assert "holds no results" in text
    (tmp_path / ".regrowth").mkdir()
    (tmp_path / ".regrowth" / "run.json").write_text("{}")
    code, text = command("report", tmp_path)
    assert code != 0
    assert "another version" in text


def test_a_running_scheduler_can_be_used(small_cohort, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster:
        result = regrowth.run(
            small_cohort,
            tmp_path / "out",
            derivatives=["truth"],
            participants=["01"],
            parameters=RIGID,
            cluster=ClusterParameters(scheduler=cluster.scheduler_address),
        )
    assert not result.failures


def test_a_scheduler_that_does_not_exist_is_told_apart_from_one_that_does_not_answer():
    with pytest.raises(ParameterError, match="use local, in-process, slurm"):
        open_executor(ClusterParameters(scheduler="moon"), 1)


def test_slurm_jobs_ask_for_what_the_parameters_say():
    pytest.importorskip("dask_jobqueue")
    parameters = ClusterParameters(scheduler="slurm", memory_gb=6, slurm_queue="brain", slurm_walltime="02:00:00")
    with slurm_cluster(parameters, threads=4) as cluster:
        script = cluster.job_script()
    for line in (
        "#SBATCH -p brain",
        "#SBATCH -t 02:00:00",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=6G",
        "export OMP_NUM_THREADS=4",
    ):
        assert line in script


def test_slurm_without_its_extra_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(EngineNotInstalledError, match=r"regrowth\[hpc\]"):
        slurm_cluster(ClusterParameters(), threads=1)


@pytest.mark.realdata
@pytest.mark.slow
def test_five_real_patients_get_their_pages(real_data, tmp_path):
    data, out = real_data / "brain-tumor-progression", tmp_path / "out"
    result = regrowth.run(data, out, derivatives=["manual"], parameters=RIGID)
    assert not result.failures
    assert len(list(out.glob("sub-*.html"))) == 5
    with (out / "group" / "registration.tsv").open() as file:
        quality = {r["participant_id"]: r for r in csv.DictReader(file, delimiter="\t")}
    assert len(quality) == 5
    for row in quality.values():
        assert float(row["ncc_after"]) > float(row["ncc_before"]) + 0.1
    rows = [r for r in read_tsv(out / "group" / "migration.tsv") if r["participant_id"] == "sub-10" and r["region"] == "GTV"]
    assert rows
    assert all("regrowth" not in r["verdict"] for r in rows)
    assert float(rows[0]["volume_change"]) < -0.4
    for page in [*out.glob("sub-*.html"), out / "group.html"]:
        assert "spacing of these images is nominal" in page.read_text()
    for row in read_tsv(out / "group" / "volumes.tsv"):
        assert row["spacing_is_nominal"] == "true"
