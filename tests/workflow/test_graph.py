"""Jobs run in order, survive each other's failures, and are kept when nothing changed; shown with toy steps."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import pytest

from regrowth.errors import InputError, ParameterError
from regrowth.workflow import execute as execute_module
from regrowth.workflow import graph as graph_module
from regrowth.workflow.cluster import InProcess
from regrowth.workflow.execute import Place
from regrowth.workflow.graph import Graph, run_graph
from regrowth.workflow.job import Job, Step, Task


class Toy:
    """Steps that join the texts of their inputs, and remember what ran."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ran: list[str] = []
        self.broken: set[str] = set()
        self.version = 1

    def step(self, name: str) -> Step:
        return Step(name, self.version, "joins texts", lambda _s, _p: [], self.compute)

    def compute(self, task: Task) -> None:
        self.ran.append(task.job.id)
        if task.job.id in self.broken:
            raise InputError(f"{task.job.id} is broken; mend it")
        text = "+".join(p.read_text() for p in {**task.job.inputs, **task.job.optional}.values() if p.is_file())
        text += "".join(f"|{f['job']}:{f['status']}" for f in task.job.settings.get("failures", ()))
        for path in task.outputs.values():
            path.write_text(f"({task.job.step} {text} {task.job.settings.get('x', '')})")

    def jobs(self, participant: str, x: int = 0) -> list[Job]:
        raw, mid, end, page = (self.root / "out" / f"{participant}-{n}.txt" for n in ("raw", "mid", "end", "page"))
        source = self.root / "in" / f"{participant}.txt"
        return [
            Job("first", participant, inputs={"source": source}, outputs={"raw": raw}, settings={"x": x}),
            Job("second", participant, inputs={"raw": raw}, outputs={"mid": mid}),
            Job("third", participant, inputs={"mid": mid}, outputs={"end": end}),
            Job("page", participant, optional={"end": end, "raw": raw}, outputs={"page": page}, gathers=True),
        ]

    def run(self, jobs: list[Job], **options: object) -> dict[str, str]:
        self.ran.clear()
        place = Place(self.root / "in", self.root / "out", self.root / "work", "0", **options)
        outcomes = run_graph(Graph(jobs), place, lambda _n: InProcess())
        self.messages = {name: o.message for name, o in outcomes.items()}
        return {name: o.status for name, o in outcomes.items()}


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Toy:
    toy = Toy(tmp_path)
    (tmp_path / "in").mkdir()
    for p in ("a", "b"):
        (tmp_path / "in" / f"{p}.txt").write_text(f"data of {p}")
    monkeypatch.setattr(execute_module, "step_named", toy.step)
    monkeypatch.setattr(graph_module, "step_named", toy.step)
    return toy


def test_jobs_run_after_what_they_need(toy):
    jobs = toy.jobs("a")
    statuses = toy.run([jobs[2], jobs[3], jobs[1], jobs[0]])
    assert set(statuses.values()) == {"done"}
    assert toy.ran == ["sub-a_first", "sub-a_second", "sub-a_third", "sub-a_page"]


def test_a_second_run_does_nothing(toy):
    toy.run(toy.jobs("a"))
    assert set(toy.run(toy.jobs("a")).values()) == {"kept"}
    assert toy.ran == []


def test_force_does_everything_again(toy):
    toy.run(toy.jobs("a"))
    assert set(toy.run(toy.jobs("a"), force=True).values()) == {"done"}


def test_a_changed_input_runs_only_what_depends_on_it(toy):
    toy.run(toy.jobs("a") + toy.jobs("b"))
    (toy.root / "in" / "a.txt").write_text("new data of a")
    statuses = toy.run(toy.jobs("a") + toy.jobs("b"))
    assert {name for name, s in statuses.items() if s == "done"} == {f"sub-a_{s}" for s in ("first", "second", "third", "page")}


def test_a_changed_setting_or_step_version_makes_results_again(toy):
    toy.run(toy.jobs("a"))
    assert toy.run(toy.jobs("a", x=1))["sub-a_first"] == "done"
    toy.version = 2
    assert set(toy.run(toy.jobs("a", x=1)).values()) == {"done"}


def test_touching_a_file_without_changing_it_runs_nothing(toy):
    toy.run(toy.jobs("a"))
    (toy.root / "in" / "a.txt").write_text("data of a")
    assert set(toy.run(toy.jobs("a")).values()) == {"kept"}
    assert toy.ran == []


@pytest.mark.parametrize("damage", ["delete", "alter"])
def test_an_output_that_was_deleted_or_altered_is_made_again(toy, damage):
    toy.run(toy.jobs("a"))
    path = toy.root / "out" / "a-mid.txt"
    good = path.read_text()
    path.unlink() if damage == "delete" else path.write_text("tampered")
    statuses = toy.run(toy.jobs("a"))
    assert statuses["sub-a_second"] == "done"
    assert statuses["sub-a_first"] == "kept"
    assert path.read_text() == good


def test_a_failure_blocks_what_needs_it_and_nothing_else(toy):
    toy.broken = {"sub-a_second"}
    statuses = toy.run(toy.jobs("a") + toy.jobs("b"))
    assert statuses["sub-a_first"] == "done"
    assert statuses["sub-a_second"] == "failed"
    assert statuses["sub-a_third"] == "blocked"
    assert statuses["sub-a_page"] == "done"
    assert all(statuses[f"sub-b_{s}"] == "done" for s in ("first", "second", "third", "page"))
    assert toy.messages["sub-a_second"] == "sub-a_second is broken; mend it"
    page = (toy.root / "out" / "a-page.txt").read_text()
    assert "sub-a_second:failed" in page
    assert "sub-a_third:blocked" in page


def test_a_mended_failure_runs_the_rest_and_changes_the_page(toy):
    toy.broken = {"sub-a_second"}
    toy.run(toy.jobs("a"))
    toy.broken = set()
    statuses = toy.run(toy.jobs("a"))
    assert statuses == {"sub-a_first": "kept", "sub-a_second": "done", "sub-a_third": "done", "sub-a_page": "done"}
    assert "failed" not in (toy.root / "out" / "a-page.txt").read_text()


def test_results_of_an_earlier_run_are_not_used_once_their_step_fails(toy):
    toy.run(toy.jobs("a"))
    toy.broken = {"sub-a_first"}
    (toy.root / "in" / "a.txt").write_text("new data")
    toy.run(toy.jobs("a"))
    assert "data of a" not in (toy.root / "out" / "a-page.txt").read_text()


def test_a_missing_raw_file_fails_its_job_by_name(toy):
    (toy.root / "in" / "a.txt").unlink()
    toy.run(toy.jobs("a"))
    assert toy.messages["sub-a_first"].endswith("a.txt: no such file")


def test_a_job_that_forgets_an_output_has_failed_and_leaves_nothing(toy, monkeypatch):
    monkeypatch.setattr(toy, "compute", lambda task: None)
    jobs = toy.jobs("a")[:1]
    assert toy.run(jobs) == {"sub-a_first": "failed"}
    assert not (toy.root / "out" / "a-raw.txt").exists()
    assert not any((toy.root / "work").iterdir())


def test_outputs_of_one_job_may_share_their_file_name(toy, monkeypatch):
    outputs = {name: toy.root / "out" / name / "section.json" for name in ("a", "b", "c")}

    def compute(task: Task) -> None:
        for role, path in task.outputs.items():
            path.write_text(role)

    monkeypatch.setattr(toy, "compute", compute)
    assert set(toy.run([Job("spread", "group", outputs=outputs)]).values()) == {"done"}
    assert {name: path.read_text() for name, path in outputs.items()} == {name: name for name in outputs}


def test_a_full_disk_is_told_as_such(toy, monkeypatch):
    def full(_task: Task) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(toy, "compute", full)
    toy.run(toy.jobs("a")[:1])
    assert "no space is left" in toy.messages["sub-a_first"]


def test_temporary_files_of_engines_lie_in_the_folder_of_the_job(toy, monkeypatch):
    places = []
    before = tempfile.gettempdir()

    def compute(task: Task) -> None:
        places.append(Path(tempfile.mkdtemp()))
        task.outputs["raw"].write_text("x")

    monkeypatch.setattr(toy, "compute", compute)
    toy.run(toy.jobs("a")[:1])
    assert places[0].is_relative_to(toy.root / "work")
    assert not places[0].exists()
    assert tempfile.gettempdir() == before


def test_two_jobs_that_write_one_file_are_refused(toy):
    job = toy.jobs("a")[0]
    with pytest.raises(ParameterError, match="would both write"):
        Graph([job, dataclasses.replace(job, step="other")])


def test_jobs_that_wait_for_each_other_are_refused(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    with pytest.raises(ParameterError, match="wait for each other"):
        Graph([Job("x", "1", inputs={"a": a}, outputs={"b": b}), Job("y", "1", inputs={"b": b}, outputs={"a": a})])
