"""What the shell sees: 0 all went well, 1 something failed, 2 wrong usage; one line says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "regrowth", *map(str, words)], capture_output=True, text=True, check=False)


def test_the_version_is_told():
    from regrowth import __version__

    done = call("--version")
    assert done.returncode == 0
    assert done.stdout.strip() == f"regrowth {__version__}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "nowhere", "out", "participant"), "no such folder"),
        (("measure", "a.nii.gz", "b.nii.gz", "--label-scheme", "brats-1066"), "no label scheme is called"),
        (("measure", "a.nii.gz", "b.nii.gz", "--label-scheme", "brats-2023"), "a.nii.gz: no such file"),
        (("report", "nowhere"), "holds no results"),
        (("run", "nowhere"), "Missing argument"),
        (("phantom", "out", "--spacing-mm", "0"), "spacing_mm is 0"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(words, message, tmp_path):
    done = call(*words)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_help_is_quick_and_loads_no_engine():
    code = "import sys; sys.argv = ['regrowth', 'run', '--help']\n"
    code += "from regrowth.cli.main import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    code += "heavy = ('torch', 'SimpleITK', 'ants', 'picsl_greedy', 'nilearn', 'matplotlib', 'distributed')\n"
    code += "print([m for m in heavy if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
