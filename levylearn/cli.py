"""The command line: ``levylearn calibrate``, ``report``, ``price``, ``greeks`` and ``generate``.

Only arguments are read here, and results printed; the work is done, and what it needs is
imported, once a command runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from levylearn import __version__
from levylearn._commands._arguments import assignments, intervals, number, numbers, renamings

_BAD_INPUT = 2
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments; None means those of the process.

    Returns
    -------
    status : int
        0 if all went well, 1 if nothing could be calibrated, 2 for bad input (with one
        line on standard error), 130 if interrupted.
    """
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as end:  # --help, or arguments that cannot be read
        return int(end.code or 0)
    try:
        with _warnings_in_one_line():
            status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        _complain("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _complain(f"error: {error.filename}: {error.strerror}" if error.filename else error)
        return _BAD_INPUT
    except (ValueError, ImportError) as error:
        _complain(f"error: {_as_typed(error)}")
        return _BAD_INPUT


def _calibrate(arguments: argparse.Namespace) -> int:
    if arguments.list_models:
        return _list_models()
    if not (arguments.data and arguments.model):
        raise ValueError("calibrate needs --data and --model (--list-models lists the models).")
    from levylearn._commands._calibrate import calibrate
    from levylearn._commands._report import calibration_report

    result = calibrate(arguments)
    _show(result, calibration_report(result), arguments.output)
    return 0 if any(fit["loss"] is not None for fit in result["fits"]) else 1


def _report(arguments: argparse.Namespace) -> int:
    of_quotes = (arguments.data, arguments.model)
    of_files = (arguments.calibrator, arguments.surfaces)
    if not ((all(of_quotes) and not any(of_files)) or (all(of_files) and not any(of_quotes))):
        raise ValueError("report needs --data and --model, or files: CALIBRATOR and SURFACES.")
    from levylearn._commands._page import report
    from levylearn._commands._report import page_report

    result = report(arguments)
    _show(result, page_report(result), arguments.output)
    return 0


def _price(arguments: argparse.Namespace) -> int:
    from levylearn._commands._price import price
    from levylearn._commands._report import price_report

    result = price(arguments)
    _show(result, price_report(result), arguments.output)
    return 0


def _greeks(arguments: argparse.Namespace) -> int:
    from levylearn._commands._price import greeks
    from levylearn._commands._report import greeks_report

    result = greeks(arguments)
    _show(result, greeks_report(result), arguments.output)
    return 0


def _generate(arguments: argparse.Namespace) -> int:
    from levylearn._commands._generate import generate
    from levylearn._commands._report import dataset_report

    result = generate(arguments)
    _show(result, dataset_report(result), arguments.output)
    return 0


def _list_models() -> int:
    from levylearn._commands._report import models_report
    from levylearn.models import get_model, list_models

    names = {name: get_model(name).parameter_names for name in list_models()}
    _print_lines(models_report(names))
    return 0


def _show(result: dict[str, Any], lines: Iterable[str], output: str) -> None:
    if output == "json":
        print(json.dumps(result, indent=2, default=str))
    else:
        _print_lines(lines)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _complain(message: object) -> None:
    print(f"levylearn: {' '.join(str(message).split())}", file=sys.stderr)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        _complain(f"warning: {_as_typed(message)}")

    with warnings.catch_warnings():
        warnings.filterwarnings("always", module="levylearn")
        warnings.showwarning = show
        yield


_PYTHON_OPTION = re.compile(r"\b(spot|rate|dividend|valuation_date|option_type|sep|decimal)=")
_PYTHON_COLUMN = re.compile(r"columns=\{'(\w+)': [^}]*\}")


def _as_typed(message: object) -> str:
    """Say the names of arguments as they are typed here, not as they are in Python."""
    text = str(message).replace(" See its attribute 'dropped'.", "")
    text = _PYTHON_OPTION.sub(lambda name: f"--{name[1].replace('_', '-')} ", text)
    return _PYTHON_COLUMN.sub(r"--column \1=NAME", text).replace(" ,", ",")


# -- arguments ----------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_BAD_INPUT, f"levylearn: error: {message} ({self.prog} --help tells more)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="levylearn",
        description="Levy and stochastic-volatility models: from option quotes to parameters, "
        "and from parameters to prices.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"levylearn {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_calibrate(commands)
    _add_report(commands)
    _add_price(commands)
    _add_greeks(commands)
    _add_generate(commands)
    return parser


def _add_calibrate(commands: Any) -> None:
    command = commands.add_parser(
        "calibrate",
        help="fit models to quotes",
        description="Fit models to option quotes by least squares, and show parameters, their "
        "standard errors and how good the fit is; of several models, ranked.",
        epilog="example: levylearn calibrate --data sp500-2002 --model heston --plot fit.png",
        allow_abbrev=False,
    )
    command.set_defaults(run=_calibrate)
    command.add_argument(
        "--data", help="sp500-2002, dax-2002, or a CSV file (strike, maturity, type, prices)"
    )
    command.add_argument(
        "--model",
        action="extend",
        nargs="+",
        metavar="MODEL",
        help="model to fit, may be repeated; 'all' for every one",
    )
    command.add_argument("--list-models", action="store_true", help="list the models and leave")
    _add_fit_options(command.add_argument_group("fit"))
    _add_file_options(command.add_argument_group("quotes"))
    output = command.add_argument_group("results")
    output.add_argument("--plot", metavar="FILE", help="draw market against model (png, pdf, svg)")
    _add_output(output)


def _add_report(commands: Any) -> None:
    command = commands.add_parser(
        "report",
        help="write a page about a calibrator, with interactive pictures",
        description="Write one HTML page about a calibrator on some surfaces: what it is, its "
        "errors, smiles, intervals and time, with pictures to zoom into. Either fit a model to "
        "quotes (--data and --model), or read a calibrator, as skops.io writes it, and surfaces.",
        epilog="examples: levylearn report --data sp500-2002 --model heston; "
        "levylearn report network.skops surfaces --out network.html",
        allow_abbrev=False,
    )
    command.set_defaults(run=_report)
    command.add_argument("calibrator", nargs="?", metavar="CALIBRATOR", help="a .skops file")
    command.add_argument(
        "surfaces",
        nargs="?",
        metavar="SURFACES",
        help="a folder of levylearn generate, or a .parquet or .csv file with a column for each "
        "quote and, if they are known, each parameter",
    )
    command.add_argument(
        "--n-samples",
        type=int,
        default=1000,
        metavar="N",
        help="surfaces to take, at most (default: %(default)s)",
    )
    command.add_argument("--data", help="sp500-2002, dax-2002, or a CSV file of quotes")
    command.add_argument("--model", help="model to fit to them")
    _add_fit_options(command.add_argument_group("fit"))
    _add_file_options(command.add_argument_group("quotes"))
    output = command.add_argument_group("results")
    output.add_argument(
        "--out", default="report.html", metavar="FILE", help="the page (default: %(default)s)"
    )
    _add_output(output)


def _add_fit_options(group: Any) -> None:
    group.add_argument(
        "--loss",
        default="implied_vol",
        choices=["implied_vol", "price", "vega_price", "relative_price"],
        help="what errors are differences of (default: %(default)s)",
    )
    group.add_argument(
        "--weights",
        default="equal",
        choices=["equal", "spread"],
        help="weigh quotes equally, or by how narrow bid and ask are (default: %(default)s)",
    )
    group.add_argument(
        "--bounds",
        action="extend",
        nargs="+",
        type=intervals,
        metavar="NAME=LOW:HIGH",
        help="range of a parameter, in every model that has it",
    )
    group.add_argument(
        "--fix",
        action="extend",
        nargs="+",
        type=assignments,
        metavar="NAME=VALUE",
        help="hold a parameter fixed, in every model that has it",
    )
    group.add_argument("--n-starts", type=int, metavar="N", help="starting points of the search")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the starting points")


def _add_file_options(group: Any) -> None:
    group.add_argument("--otm", action="store_true", help="use out-of-the-money quotes only")
    group.add_argument(
        "--drop-violations",
        action="store_true",
        help="leave out prices beyond their no-arbitrage bounds instead of refusing them",
    )
    group.add_argument("--spot", type=number, help="price of the underlying")
    group.add_argument("--rate", type=number, help="continuous interest rate, 0.05 for 5 %%")
    group.add_argument("--dividend", type=number, help="continuous dividend yield")
    group.add_argument("--valuation-date", metavar="DATE", help="day of the quotes, 2024-04-12")
    group.add_argument("--option-type", choices=["call", "put"], help="if no column tells")
    group.add_argument(
        "--column",
        action="extend",
        nargs="+",
        type=renamings,
        metavar="MEANING=NAME",
        help="column that would not be found, as strike=Basispreis",
    )
    group.add_argument("--sep", help="what separates the cells of the file, if not a comma")
    group.add_argument("--decimal", help="decimal mark of the file, if not a point")


def _add_price(commands: Any) -> None:
    command = commands.add_parser(
        "price",
        help="price options under a model",
        description="Price European options under a model, each with an estimate of its error.",
        epilog="example: levylearn price --model variance_gamma "
        "--params sigma=0.12,nu=0.2,theta=-0.14 --strikes 90,100,110 --maturities 0.5,1",
        allow_abbrev=False,
    )
    command.set_defaults(run=_price)
    _add_options(command)
    _add_unit(command)
    _add_output(command)


def _add_greeks(commands: Any) -> None:
    command = commands.add_parser(
        "greeks",
        help="sensitivities of option prices under a model",
        description="Price European options under a model, with delta, gamma, theta (per year), "
        "rho, and the derivative by each parameter of the model.",
        epilog="example: levylearn greeks --model heston "
        "--params v0=0.04,kappa=1.5,theta=0.05,sigma=0.5,rho=-0.7 --strikes 90,100 --maturities 1",
        allow_abbrev=False,
    )
    command.set_defaults(run=_greeks)
    _add_options(command)
    _add_output(command)


def _add_generate(commands: Any) -> None:
    command = commands.add_parser(
        "generate",
        help="make surfaces of random parameters",
        description="Price surfaces of random parameters of a model, and write them into a folder "
        "of Parquet files. What was interrupted is finished by the same command.",
        epilog="example: levylearn generate --model heston --strikes 90,100,110 "
        "--maturities 0.25,0.5,1 --n-samples 100000 --n-jobs 2 --out surfaces",
        allow_abbrev=False,
    )
    command.set_defaults(run=_generate)
    _add_market(command)
    command.add_argument("--n-samples", required=True, type=int, metavar="N")
    command.add_argument("--out", required=True, metavar="FOLDER")
    parameters = command.add_argument_group("parameters")
    parameters.add_argument(
        "--distribution",
        default="market",
        choices=["market", "prior", "calm", "normal", "stressed"],
        help="where they come from: market ranges, priors, or a regime (default: %(default)s)",
    )
    parameters.add_argument(
        "--ranges",
        action="extend",
        nargs="+",
        type=intervals,
        metavar="NAME=LOW:HIGH",
        help="where single parameters come from instead",
    )
    parameters.add_argument(
        "--feller", action="store_true", help="keep variances from reaching zero"
    )
    parameters.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    files = command.add_argument_group("files")
    _add_unit(files)
    files.add_argument(
        "--shard-size",
        type=int,
        default=16384,
        metavar="N",
        help="surfaces in a file (default: %(default)s)",
    )
    files.add_argument("--n-jobs", type=int, metavar="N", help="processes; -1 for all processors")
    _add_output(command)


def _add_options(command: Any) -> None:
    _add_market(command)
    command.add_argument(
        "--params",
        required=True,
        action="extend",
        nargs="+",
        type=assignments,
        metavar="NAME=VALUE",
        help="its parameters, separated by commas",
    )


def _add_market(command: Any) -> None:
    command.add_argument("--model", required=True, help="one model")
    command.add_argument("--strikes", required=True, type=numbers, metavar="K,K,...")
    command.add_argument("--maturities", required=True, type=numbers, metavar="T,T,...")
    command.add_argument("--spot", type=number, default=100.0, help="default: %(default)s")
    command.add_argument("--rate", type=number, default=0.0, help="default: %(default)s")
    command.add_argument("--dividend", type=number, default=0.0, help="default: %(default)s")
    command.add_argument("--type", choices=["call", "put"], default="call")


def _add_unit(group: Any) -> None:
    group.add_argument(
        "--output-unit",
        choices=["price", "forward_price", "implied_vol"],
        default="price",
        help="default: %(default)s",
    )


def _add_output(group: Any) -> None:
    group.add_argument(
        "--output", choices=["text", "json"], default="text", help="default: %(default)s"
    )
