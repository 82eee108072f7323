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
OPTIONAL = {"ES01", "SA01", "GL01", "SS05", "RT02"}
NEEDS_NO_EXAMPLE = {"EX01"}
METHODS = (FunctionType, classmethod, staticmethod, property, cached_property)


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
                is_error = issubclass(value, Exception)
                yield path, OPTIONAL | NEEDS_NO_EXAMPLE if is_error else OPTIONAL
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
