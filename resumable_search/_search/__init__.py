"""The search classes: scikit-learn's, over a checkpointing pool of workers."""

from .grid import ResumableGridSearchCV
from .randomized import ResumableRandomizedSearchCV

__all__ = ["ResumableGridSearchCV", "ResumableRandomizedSearchCV"]
