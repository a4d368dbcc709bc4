"""What most users need from Python; the same functions stand behind the command line, and everything takes plain paths."""

from regrowth.api.images import locate, measure, parcellate, register
from regrowth.api.pipeline import run
from regrowth.api.tables import analyse, respond, simulate, transitions

__all__ = ["analyse", "locate", "measure", "parcellate", "register", "respond", "run", "simulate", "transitions"]
