"""The package as a whole: light to import, complete where it says what it offers."""

import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import levylearn

ROOT = Path(__file__).parents[1]
EXTRAS = [
    "SALib",
    "arviz",
    "dask",
    "distributed",
    "emcee",
    "fastapi",
    "matplotlib",
    "plotly",
    "skops",
    "skorch",
    "torch",
    "xgboost",
    "zuko",
]


def public_modules():
    """Names of all modules that a user may import, in a fixed order."""
    names = ["levylearn"]
    for module in pkgutil.walk_packages(levylearn.__path__, "levylearn."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            names.append(module.name)
    return sorted(names)


def run(code):
    """Run code in a fresh interpreter and return what it prints, read as JSON."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_import_is_light():
    code = """if True:
        import json, sys, time
        start = time.perf_counter()
        import levylearn
        seconds = time.perf_counter() - start
        print(json.dumps([seconds, sorted(name for name in sys.modules if "." not in name)]))
    """
    seconds, modules = run(code)
    assert not set(modules) & {*EXTRAS, "pandas"}
    assert seconds < 1.0


def test_rooms_do_not_load_extras():
    code = f"""if True:
        import importlib, json, sys
        for name in {public_modules()}:
            importlib.import_module(name)
        print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
    """
    assert not set(run(code)) & set(EXTRAS)


def test_works_without_extras():
    """Every module can be imported where no optional package can be."""
    # pyarrow is among these, but not in the list: where it is installed, pandas loads it.
    # A finder that knows none of them, as in a bare environment. None in sys.modules would
    # stop imports, too, but array-api-compat looks there for what is already imported.
    code = f"""if True:
        import importlib, json, sys
        class Bare:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {[*EXTRAS, "pyarrow"]}:
                    raise ModuleNotFoundError(name, name=name)
        sys.meta_path.insert(0, Bare())
        for name in {public_modules()}:
            importlib.import_module(name)
        print(json.dumps("imported"))
    """
    assert run(code) == "imported"


@pytest.mark.parametrize("name", public_modules())
def test_public_names_exist(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names)), f"{name}.__all__ repeats a name"
    missing = [entry for entry in names if not hasattr(module, entry)]
    assert not missing, f"{name}.__all__ names what {name} does not have: {missing}"


@pytest.mark.parametrize("name", public_modules())
def test_public_names_are_in_the_reference(name):
    """A module with ``__all__`` has its page in doc/api/index.rst."""
    if not getattr(importlib.import_module(name), "__all__", None):
        return  # nothing to list
    listed = re.findall(r"^   (levylearn[\w.]*)$", (ROOT / "doc/api/index.rst").read_text(), re.M)
    assert name in listed


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", levylearn.__version__)


def test_floors_are_no_higher_than_the_tested_versions():
    """constraints.txt satisfies every requirement in pyproject.toml."""
    tested = dict(
        line.lower().split("==")
        for line in (ROOT / "constraints.txt").read_text().split()
        if "==" in line
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    for line in lines:
        requirement = Requirement(line)
        if requirement.name == "levylearn":
            continue
        assert requirement.specifier.contains(tested[requirement.name.lower()]), line
