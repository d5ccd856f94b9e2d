"""Search over a Keras model on TensorFlow, kill it, and run it again.

    python examples/digits_keras.py

Nine candidates on three folds are 27 folds to fit: about a minute on two CPU
cores. While they run, kill the script from another terminal, as rudely as there
is,

    kill -9 <the process id that the script prints>

and start it again: the folds that were finished are not fitted again. Once the
search is complete, a further run is over in seconds. To start from nothing,
remove the folder .resumable_search.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow is quiet: no log messages but errors, no note on oneDNN.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from resumable_search import ResumableGridSearchCV
from resumable_search.keras import KerasClassifier


def build_model(meta, units=64, dropout=0.0, learning_rate=1e-3):
    # Imported here and not at the top, so that only the workers hold TensorFlow:
    # this process needs it at the end, when it fits the best candidate on all.
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input((meta["n_features_in_"],)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
    )
    return model


X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.25, stratify=y, random_state=0
)

param_grid = {
    "model__units": [32, 64, 128],
    "model__dropout": [0.0, 0.2, 0.4],
}

search = ResumableGridSearchCV(
    KerasClassifier(build_model, epochs=30, random_state=0),
    param_grid,
    cv=3,
    n_jobs=2,
    verbose=1,  # prints the progress below
)

print(f"To interrupt this, in another terminal: kill -9 {os.getpid()}", flush=True)
search.fit(X_train, y_train)

print()
print(f"best parameters      {search.best_params_}")
print(f"mean CV accuracy     {search.best_score_:.3f}")
print(f"held-out accuracy    {search.score(X_test, y_test):.3f}")
print(f"folds not run again  {search.resumption.n_resumed} of 27")
print(f"checkpoint           {search.resumption.checkpoint}")
