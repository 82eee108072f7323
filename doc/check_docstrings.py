"""Check the docstrings of all public objects; exit with 1 if one is wanting.

``numpydoc lint`` reads source text, so it can tell neither what is public nor what a
signature is. Here the modules are imported, and what ``__all__`` names must document
its parameters, results and errors in numpydoc's words, and show an example.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from functools import cached_property
from types import FunctionType

from numpydoc.validate import validate

import levylearn

# ES01 extended summary, SA01 See Also: welcome. GL01: the summary starts on the line of
# the quotes. SS05 takes nouns such as "Forwards" for verbs. RT02: results have names.
# PR04: parameters may be "as for" another method.
OPTIONAL = {"ES01", "SA01", "GL01", "SS05", "RT02", "PR04"}
NEEDS_NO_EXAMPLE = {"EX01"}
NOT_CONSTRUCTED = {"EX01", "PR01"}
METHODS = (FunctionType, classmethod, staticmethod, property, cached_property)


def constructed_by_users(value: type) -> bool:
    """Tell classes that users make from those they subclass, catch, or are given."""
    if issubclass(value, Exception) or inspect.isabstract(value):
        return False
    doc = value.__doc__ or ""
    is_result = "Attributes\n" in doc and "Parameters\n" not in doc and not hasattr(value, "fit")
    return not is_result


def public_objects() -> Iterator[tuple[str, set[str]]]:
    """Yield the path of each public object, and the checks it need not pass."""
    for module in pkgutil.walk_packages(levylearn.__path__, "levylearn."):
        if any(part.startswith("_") for part in module.name.split(".")):
            continue
        package = importlib.import_module(module.name)
        for name in getattr(package, "__all__", []):
            path, value = f"{module.name}.{name}", getattr(package, name)
            if inspect.isfunction(value):
                yield path, OPTIONAL
            elif inspect.isclass(value):
                yield path, OPTIONAL if constructed_by_users(value) else OPTIONAL | NOT_CONSTRUCTED
                for method, function in vars(value).items():
                    # One without a docstring repeats its parent's contract.
                    if method[0] != "_" and isinstance(function, METHODS) and function.__doc__:
                        yield f"{path}.{method}", OPTIONAL | NEEDS_NO_EXAMPLE


def main() -> int:
    """Print what is wrong, one line each."""
    n_objects = n_faults = 0
    for path, optional in public_objects():
        n_objects += 1
        for code, message in validate(path)["errors"]:
            if code not in optional:
                n_faults += 1
                print(f"{path}: {code} {message}")
    print(f"{n_objects} public objects, {n_faults} faults in their docstrings")
    return 1 if n_faults or not n_objects else 0


if __name__ == "__main__":
    sys.exit(main())
