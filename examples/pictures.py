"""Draw how a search went and what its parameters do.

    pip install '.[plots]'
    python examples/pictures.py

98 candidates on three folds are 294 folds to fit: about half a minute on two CPU
cores. The pictures are written to the current directory.
"""

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from resumable_search import (
    CandidateComparisonDisplay,
    ResumableGridSearchCV,
    SearchProgressDisplay,
)

X, y = load_digits(return_X_y=True)
param_grid = {
    "pca__n_components": [8, 32],
    "svc__C": [0.01, 0.1, 1, 10, 100, 1000, 10000],
    "svc__gamma": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1],
}
estimator = make_pipeline(PCA(random_state=0), SVC())
search = ResumableGridSearchCV(
    estimator, param_grid, cv=3, n_jobs=2, checkpoint="pictures.sqlite"
)
search.fit(X, y)

pictures = {
    "progress": SearchProgressDisplay.from_search(search),
    "workers": SearchProgressDisplay.from_search(
        search, kind="workers", color_by="split"
    ),
    "one-parameter": CandidateComparisonDisplay.from_search(
        search, parameters="svc__gamma"
    ),
    "two-parameters": CandidateComparisonDisplay.from_search(
        search, parameters=["svc__C", "svc__gamma"]
    ),
}
for name, picture in pictures.items():
    picture.figure_.savefig(f"{name}.png", dpi=90)
    print(f"{name}.png")
