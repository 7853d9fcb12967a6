"""What training minimises: the answers' loss, and objectives that exist in training only.

``answers`` is what the model is for. The others make it learn in hours instead of days:
``pointer``, ``attention`` and ``coordinates`` connect questions to places; ``characters`` and
``elements`` make the vision tower read. ``weights`` says how much each counts; ``objectives`` adds
them up.
"""

from training.objectives.batch import Batch, PatchLabels
from training.objectives.measures import Measures
from training.objectives.objectives import Objectives, forward_batch
from training.objectives.weights import ObjectiveWeights

__all__ = ["Batch", "Measures", "ObjectiveWeights", "Objectives", "PatchLabels", "forward_batch"]
