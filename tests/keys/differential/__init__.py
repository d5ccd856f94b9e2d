"""A differential test of keys: pairs of programs, judged against scikit-learn.

A grammar (`grammar`, `special`) makes pairs of small programs from a seed: version A
runs on a new checkpoint, then version B on the same one, in another process. Version B
also runs with plain `GridSearchCV`. Where its scores differ, a score was wrongly used;
where B means what A means and folds run again, they ran for nothing.

``python -m tests.keys.differential`` runs all pairs and prints a table.
"""
