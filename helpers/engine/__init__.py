"""The engine: what the lesson computes, with the same numbers and faster. Nobody needs to open it to learn.

It knows nothing of the lesson. ``features`` is the seam: features of a picture, or their Gram
matrices, layer by layer, as the network's own ``forward`` gives them. Behind it stand ``convolution``,
``winograd``, ``strips`` and ``gram``; ``tiles`` gives the same of pictures larger than memory. ``choice``
finds out how a machine computes fastest, ``cores`` how many threads other programs leave room for,
``pace`` follows a run with both, and ``memory`` says what it needs.
"""

from helpers.engine.choice import PRECISIONS, choose
from helpers.engine.memory import check_memory, freed_memory_kept
from helpers.engine.pace import Pace
from helpers.engine.seam import Way
from helpers.engine.tiles import features, memory_needed

__all__ = [
    "PRECISIONS",
    "Pace",
    "Way",
    "check_memory",
    "choose",
    "features",
    "freed_memory_kept",
    "memory_needed",
]
