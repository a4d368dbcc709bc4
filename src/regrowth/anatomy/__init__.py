"""Where the head, the brain and its parts lie."""

from regrowth.anatomy.brain import BrainMask, brain_mask, head_mask, is_skull_stripped
from regrowth.anatomy.template import BrainTemplate, brain_template

__all__ = ["BrainMask", "BrainTemplate", "brain_mask", "brain_template", "head_mask", "is_skull_stripped"]
