"""What a script defines arrives in workers, and can be pickled by name there."""

import functools
import pickle
import sys

from resumable_search._engine.pickling import dumps, forget_classes, loads


def a_class_of_main(name):
    return type(name, (), {"__module__": "__main__", "value": 1})


def test_a_generic_function_arrives():
    """A function of singledispatch keeps its implementations, name and attributes."""

    @functools.singledispatch
    def size(value):
        """Return the size."""
        return -1

    @size.register
    def _(value: list):
        return sum(map(size, value))

    size.register(str, len)
    size.note = "kept"
    size([""])  # fills the cache
    loaded = loads(dumps(size))
    assert loaded is not size
    assert loaded([["ab"], "c"]) == 3
    assert loaded(None) == -1
    assert (loaded.__name__, loaded.__doc__) == ("size", "Return the size.")
    assert loaded.note == "kept"
    loaded.register(int, lambda value: value)
    assert (loaded(7), size(7)) == (7, -1)


def test_a_generic_function_of_a_module_goes_by_name():
    """What can be imported is not carried."""
    import pkgutil

    assert loads(dumps(pkgutil.get_importer)) is pkgutil.get_importer
    generic = pkgutil.iter_importer_modules
    assert loads(dumps(generic)) is generic


def test_a_class_of_the_script_can_be_pickled_by_name():
    """Where it has arrived, others can pickle it as in the script."""
    loaded = loads(dumps(a_class_of_main("OfTheScript")()))
    try:
        assert type(pickle.loads(pickle.dumps(loaded))) is type(loaded)
    finally:
        forget_classes()


def test_names_in_main_end_with_the_fold():
    """What is forgotten has no name any more; what else has the name keeps it."""
    main = sys.modules["__main__"]
    for name in ("OfTheScript", "OfTheWorker"):
        loads(dumps(a_class_of_main(name)))
    main.OfTheWorker = mine = object()
    try:
        forget_classes()
        assert not hasattr(main, "OfTheScript")
        assert main.OfTheWorker is mine
    finally:
        del main.OfTheWorker
