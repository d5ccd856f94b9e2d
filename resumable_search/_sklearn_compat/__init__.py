"""Every private name of scikit-learn and joblib that the package needs.

Checked against scikit-learn 1.4.2, 1.6.1, 1.8.0 and 1.9.1 and against joblib
1.3.2 and 1.6.0. What is used, and for what:

- ``sklearn.model_selection._validation._fit_and_score``: the function that
  `BaseSearchCV.fit` hands to joblib for each fold, with these keyword
  arguments (``caller`` and ``callback_ctx`` since 1.9).
- ``_warn_or_raise_about_fit_failures`` (there): what is said when all fits failed.
- ``BaseSearchCV._format_results``: makes ``cv_results_`` of the results of folds;
  the searches give it complete candidates only.
- ``sklearn.utils.parallel._FuncWrapper``: carries the caller's scikit-learn
  configuration (and, since 1.7, its warning filters) to the worker.
- ``sklearn.metrics._scorer``: scorers by name, and the scorer that stands for
  the estimator's own ``score``.
- ``sklearn.callback`` (since 1.9): the context that a fold begins and ends.
- ``_metadata_request`` and ``_sklearn_output_config`` of estimators and
  ``_requests`` of what the former holds: what a clone keeps beside parameters.
- ``BaseEstimator._validate_data`` (until 1.5): today's ``validate_data``.
- ``joblib.parallel.BatchedCalls.items``: the calls in a batch.
- ``ParallelBackendBase._prepare_worker_env``: joblib's limits for the thread
  pools of child processes.
"""
