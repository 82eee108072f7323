"""The command line: what it prints, and what it says to bad input."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.cli import main
from levylearn.datasets import SurfaceDataset, load_sp500_2002, make_surfaces
from levylearn.market import OptionGrid, black_greeks, black_price
from levylearn.models import list_models
from levylearn.pricing import ContourPricer

STRIKES, MATURITIES = [80, 90, 100, 110, 120], [0.25, 0.5, 1.0]
HESTON = [[0.04, 1.5, 0.05, 0.4, -0.6]]


@pytest.fixture
def run(capsys):
    """Run a command; return its status and what it wrote."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def quotes(tmp_path):
    """Write a file of quotes that a Heston model gives, with bids and asks."""
    grid = OptionGrid(STRIKES, MATURITIES, rate=0.03)
    prices = ContourPricer("heston", grid).fit(HESTON).transform(HESTON)[0]
    return write(
        tmp_path / "quotes.csv",
        "strike,maturity,type,bid,ask",
        *(
            f"{strike:g},{maturity:g},call,{price - 0.01:.10f},{price + 0.01:.10f}"
            for strike, maturity, price in zip(grid.strike, grid.maturity, prices, strict=True)
        ),
    )


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


MARKET = ("--spot", 100, "--rate", 0.03, "--dividend", 0)


def python(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "levylearn", *map(str, arguments)], capture_output=True, text=True
    )


# -- calibrate ----------------------------------------------------------------


def test_calibrates_bundled_quotes(run, tmp_path):
    picture = tmp_path / "fit.png"
    status, out, err = run(
        *("calibrate", "--data", "sp500-2002", "--model", "variance_gamma", "--loss", "price"),
        *("--plot", picture),
    )
    assert (status, err) == (0, "")
    assert "sp500-2002: 75 quotes (75 calls), 7 maturities" in out
    assert "sigma" in out
    assert "std. error" in out
    assert "APE 4.60 %" in out
    assert "RMSE 3.557 in price" in out
    assert "in implied-vol points" in out
    assert "converged: " in out
    assert "ranking" not in out
    assert f"picture: {picture}" in out
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_recovers_the_parameters_behind_a_file(run, quotes):
    command = ("calibrate", "--data", quotes, "--model", "heston", "--output", "json", *MARKET)
    status, out, _ = run(*command, "--weights", "spread")
    assert status == 0
    result = json.loads(out)
    assert result["data"]["n_quotes"] == 15
    assert result["data"]["left_out"] == []
    (fit,) = result["fits"]
    found = [entry["value"] for entry in fit["parameters"].values()]
    assert found == pytest.approx(HESTON[0], rel=1e-4)
    assert fit["converged"]
    assert fit["measures"]["rmse_implied_vol"] < 1e-6


def test_ranks_models_by_the_loss(run, quotes):
    status, out, _ = run(
        *("calibrate", "--data", quotes, "--model", "black_scholes", "--model", "heston", *MARKET)
    )
    assert status == 0
    ranking = out[out.index("ranking by loss (implied_vol)") :].splitlines()
    assert ranking[2].split()[:3] == ["1", "heston", "5"]
    assert ranking[3].split()[:3] == ["2", "black_scholes", "1"]


def test_all_models(run):
    # One start suffices: what is tested is the order.
    command = ("calibrate", "--data", "sp500-2002", "--model", "all", "--n-starts", 1)
    status, out, _ = run(*command, "--output", "json")
    assert status == 0
    fits = json.loads(out)["fits"]
    assert sorted(fit["model"] for fit in fits) == sorted(list_models())
    losses = [fit["loss"] for fit in fits]
    assert losses == sorted(losses)
    assert fits[-1]["model"] == "black_scholes"


def test_measures_are_those_of_the_literature(run):
    """The published fit of NIG, found again: APE, AAE, ARPE, RMSE on the same quotes."""
    command = ("calibrate", "--data", "sp500-2002", "--model", "nig", "--loss", "price")
    status, out, _ = run(*command, "--output", "json")
    assert status == 0
    fit = json.loads(out)["fits"][0]
    published = load_sp500_2002(as_frame=False).published_fits["nig"]
    for name, value in published["parameters"].items():
        assert fit["parameters"][name]["value"] == pytest.approx(value, rel=0.03)
    for mine, theirs in {"ape": "ape", "aae": "aae", "arpe": "arpe", "rmse_price": "rmse"}.items():
        assert fit["measures"][mine] == pytest.approx(published["errors_75"][theirs], rel=0.03)


def test_bounds_and_fixed_parameters(run, quotes):
    command = ("calibrate", "--data", quotes, "--model", "heston", "black_scholes", *MARKET)
    limits = ("--fix", "kappa=2,rho=-0.5", "--bounds", "theta=0.001:0.02")
    status, out, _ = run(*command, *limits, "--output", "json")
    assert status == 0
    parameters = json.loads(out)["fits"][0]["parameters"]
    assert parameters["kappa"] == {
        "value": 2.0,
        "standard_error": None,
        "at_bound": None,
        "fixed": True,
    }
    assert parameters["theta"]["value"] == pytest.approx(0.02)
    assert parameters["theta"]["at_bound"] == "upper"
    assert parameters["theta"]["standard_error"] is None
    _, out, _ = run(*command, *limits)
    assert "at its upper bound" in out
    assert "fixed" in out


def test_quotes_left_out_are_listed(run, tmp_path, quotes):
    lines = quotes.read_text(encoding="utf-8").splitlines()
    lines.insert(2, "# a note")
    file = write(tmp_path / "holes.csv", *lines, "130,1,call,3.0,2.9", "70,1,call,0,1")
    status, out, err = run("calibrate", "--data", file, "--model", "nig", *MARKET)
    assert status == 0
    assert "left out: line 18, crossed: bid 3 > ask 2.9" in out
    assert "left out: line 19, zero bid" in out
    assert (
        err == "levylearn: warning: 2 of 17 rows are no quotes of the chain: "
        "1 crossed, 1 zero bid.\n"
    )


def test_out_of_the_money_only(run, tmp_path):
    lines = ["K,T,cp,price"]
    for kind in ("call", "put"):
        prices = black_price(100.0, STRIKES, 0.5, 0.2, option_type=kind)
        lines += [f"{k},0.5,{kind},{p:.8f}" for k, p in zip(STRIKES, prices, strict=True)]
    file = write(tmp_path / "both.csv", *lines)
    command = ("calibrate", "--data", file, "--model", "black_scholes", "--otm")
    status, out, _ = run(*command, "--output", "json")
    assert status == 0
    result = json.loads(out)
    assert (result["data"]["n_calls"], result["data"]["n_puts"]) == (3, 2)
    assert result["fits"][0]["parameters"]["sigma"]["value"] == pytest.approx(0.2, abs=1e-6)


def test_quotes_without_time_value_are_counted(run, tmp_path):
    prices = black_price(100.0, STRIKES, 0.5, 0.2)
    prices[0] = 20.0  # the intrinsic value
    rows = [f"{k},0.5,call,{p:.8f},1,100" for k, p in zip(STRIKES, prices, strict=True)]
    file = write(tmp_path / "intrinsic.csv", "K,T,type,mid,discount,forward", *rows)
    status, out, _ = run("calibrate", "--data", file, "--model", "black_scholes")
    assert status == 0
    assert "1 quote without time value, and so without implied volatility, left out" in out
    status, out, _ = run("calibrate", "--data", file, "--model", "black_scholes", "--loss", "price")
    assert "without time value" not in out


def test_arbitrage_in_the_quotes_is_reported(run):
    status, out, _ = run("calibrate", "--data", "dax-2002", "--model", "black_scholes")
    assert status == 0
    assert "static arbitrage: " in out
    assert "of convexity, the largest 7.09" in out


def test_columns_of_other_names(run, tmp_path):
    prices = black_price(100.0, STRIKES, 0.5, 0.2)
    rows = [f"{k};0,5;{p:.8f}".replace(".", ",") for k, p in zip(STRIKES, prices, strict=True)]
    file = write(tmp_path / "german.csv", "Basispreis;Laufzeit;Preis", *rows)
    status, out, err = run(
        *("calibrate", "--data", file, "--model", "black_scholes", "--sep", ";", "--decimal", ","),
        *("--column", "strike=Basispreis", "maturity=Laufzeit", "--column", "price=Preis"),
        *("--option-type", "call", "--spot", 100, "--rate", 0, "--dividend", 0),
    )
    assert (status, err) == (0, "")
    assert "5 quotes (5 calls)" in out


def test_too_few_quotes_are_said_to_be(run, tmp_path):
    file = write(tmp_path / "few.csv", "K,T,type,mid", "100,0.5,call,6", "110,0.5,call,2")
    command = ("calibrate", "--data", file, "--model", "heston", "--model", "black_scholes")
    status, out, err = run(*command, *MARKET)
    assert status == 0  # Black and Scholes could
    assert "not calibrated: There are fewer quotes than free parameters." in out
    assert err.startswith("levylearn: warning: heston: ")
    assert err.count("\n") == 1
    status, _, _ = run(*command[:5], *MARKET)
    assert status == 1


def test_lists_models(run):
    status, out, _ = run("calibrate", "--list-models")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list_models()
    assert "v0, kappa, theta, sigma, rho" in out


# -- price --------------------------------------------------------------------


def test_prices_with_their_errors(run):
    status, out, err = run(
        *("price", "--model", "variance_gamma", "--params", "sigma=0.12,nu=0.2,theta=-0.14"),
        *("--strikes", "110,90,100", "--maturities", "1", "--rate", 0.1),
    )
    assert (status, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[2:]]
    assert [float(row[1]) for row in rows] == [90, 100, 110]
    assert float(rows[0][2]) == pytest.approx(19.099354724, abs=1e-9)
    assert all(0 <= float(row[3]) < 1e-9 for row in rows)


@pytest.mark.parametrize("kind", ["call", "put"])
def test_prices_as_json(run, kind):
    status, out, _ = run(
        *("price", "--model", "black_scholes", "--params", "sigma=0.2", "--strikes", "90,100"),
        *("--maturities", "0.5,1", "--output-unit", "implied_vol", "--output", "json"),
        *("--type", kind, "--spot", 95, "--dividend", 0.01, "--rate", -0.01),
    )
    assert status == 0
    result = json.loads(out)
    assert result["parameters"] == {"sigma": 0.2}
    assert [row["maturity"] for row in result["prices"]] == [0.5, 0.5, 1, 1]
    assert np.allclose([row["value"] for row in result["prices"]], 0.2, atol=1e-9)


def test_greeks(run):
    arguments = (
        *("greeks", "--model", "black_scholes", "--params", "sigma=0.2", "--strikes", "110,90"),
        *("--maturities", "0.5", "--type", "put", "--rate", 0.02),
    )
    status, out, err = run(*arguments)
    assert (status, err) == (0, "")
    title, header, *lines = out.splitlines()
    assert title == "black_scholes (sigma=0.2), puts, theta per year"
    names = "maturity strike price delta gamma theta rho vega_sigma".split()
    assert header.split() == names
    rows = json.loads(run(*arguments, "--output", "json")[1])["greeks"]
    assert [list(row) for row in rows] == [names, names]
    for line, row in zip(lines, rows, strict=True):
        assert [float(v) for v in line.split()] == pytest.approx(list(row.values()), rel=1e-6)
    forward = 100 * np.exp(0.01)
    expected = black_greeks(forward, 90.0, 0.5, 0.2, np.exp(-0.01), "put")
    assert rows[0]["vega_sigma"] == pytest.approx(expected.vega, rel=1e-10)
    assert rows[0]["delta"] == pytest.approx(expected.delta * np.exp(0.01), rel=1e-10)


# -- generate -----------------------------------------------------------------

GENERATE = ("generate", "--model", "nig", "--strikes", "110,90", "--maturities", "0.5,1")


def test_generates_surfaces(run, tmp_path):
    command = (
        *(*GENERATE, "--n-samples", 500, "--shard-size", 200, "--out", tmp_path, "--seed", 3),
        *("--ranges", "beta=-2:-1", "--distribution", "stressed", "--rate", 0.02),
        *("--output-unit", "implied_vol"),
    )
    status, out, err = run(*command)
    assert (status, err) == (0, "")
    assert out.startswith("500 surfaces of nig, 4 quotes each (implied_vol): 3 files, 0.0 MB, in ")
    X, y = SurfaceDataset(tmp_path).load()
    grid = OptionGrid([90, 110], [0.5, 1.0], rate=0.02)
    arguments = {"distribution": "stressed", "ranges": {"beta": (-2, -1)}, "random_state": 3}
    expected = make_surfaces("nig", grid, 500, output="implied_vol", **arguments)
    assert np.array_equal(y, expected[1])
    assert np.allclose(X, expected[0], atol=1e-12)
    # Again: nothing is missing. The result as JSON, and another set in its place.
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    result = json.loads(run(*command, "--output", "json")[1])
    assert result["n_files"] == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    status, out, err = run(*command, "--feller")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "'nig' has none" in err
    assert "n_samples is 500 there and 400 here" in run(*command, "--n-samples", 400)[2]


# -- bad input ----------------------------------------------------------------

PRICE = ("price", "--strikes", "90,100", "--maturities", "0.5", "--model")
CALIBRATE = ("calibrate", "--data", "sp500-2002", "--model")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "required: COMMAND"),
        (("hedge",), "invalid choice: 'hedge'"),
        (("calibrate",), "needs --data and --model"),
        ((*CALIBRATE, "hestn"), "unknown model 'hestn'; choose from black_scholes"),
        (("calibrate", "--data", "no.csv", "--model", "nig"), "no file 'no.csv'"),
        (("calibrate", "--data", ".", "--model", "nig"), "directory"),
        ((*CALIBRATE, "nig", "--fix", "mu=1"), "no parameter 'mu'; nig has alpha, beta, delta"),
        ((*CALIBRATE, "nig", "--bounds", "mu=1:2"), "no parameter 'mu'"),
        ((*CALIBRATE, "nig", "--fix", "delta=-1"), "delta=-1 is outside"),
        ((*CALIBRATE, "nig", "--fix", "delta=1", "delta=2"), "--fix gives delta twice"),
        ((*CALIBRATE, "nig", "--fix", "delta=x"), "'x' is not a number"),
        ((*CALIBRATE, "nig", "--fix", "delta"), "'delta' is not of the form name=value"),
        ((*CALIBRATE, "nig", "--bounds", "delta=1"), "delta=1 is not of the form name=low:high"),
        ((*CALIBRATE, "nig", "--bounds", "delta=2:1"), "delta must be an interval"),
        ((*CALIBRATE, "nig", "--n-starts", "0"), "n_starts"),
        ((*CALIBRATE, "nig", "--loss", "best"), "invalid choice: 'best'"),
        ((*CALIBRATE, "nig", "--weights", "spread"), "sp500-2002 has no bids and asks"),
        ((*CALIBRATE, "nig", "--spot", "100"), "--spot is for files"),
        ((*CALIBRATE, "nig", "--plot", "no/such/fit.png"), "no folder 'no/such'"),
        ((*CALIBRATE, "nig", "--plot", "fit.xyz"), "'fit.xyz' must end in one of"),
        ((*PRICE, "heston", "--params", "v0=0.04,kappa=1"), "also needs theta, sigma, rho"),
        ((*PRICE, "nig", "--params", "alpha=1,beta=2,mu=3"), "no parameter 'mu'"),
        ((*PRICE, "black_scholes", "--params", "sigma=-1"), "sigma=-1"),
        ((*PRICE, "black_scholes", "--params", "sigma=1,,"), "has an empty entry"),
        (
            ("price", "--model", "nig", "--params", "a=1", "--strikes", "1", "--maturities", "-1"),
            "maturities must be positive; entry 0 is -1",
        ),
        (("report",), "report needs --data and --model, or files"),
        (("report", "a.skops"), "report needs"),
        (("report", "a.skops", "b", "--model", "nig"), "report needs"),
        (("report", "no.skops", "b"), "no.skops: No such file"),
        (("report", "README.rst", "b"), "README.rst is no file of skops.io"),
        (("report", "a.skops", "b", "--out", "no/such.html"), "--out: there is no folder 'no'"),
        (("report", "a.skops", "b", "--n-samples", "0"), "--n-samples must be at least 1; got 0"),
        (("report", "--data", "sp500-2002", "--model", "all"), "unknown model 'all'"),
        (GENERATE, "required: --n-samples, --out"),
        ((*GENERATE, "--n-samples", "0", "--out", "no"), "'n_samples'"),
        ((*GENERATE, "--n-samples", "9", "--out", "no", "--ranges", "mu=0:1"), "parameter 'mu'"),
        ((*GENERATE, "--n-samples", "9", "--out", "no", "--ranges", "beta=1:0"), "low < high"),
        ((*GENERATE, "--n-samples", "9", "--out", "no", "--seed", "-1"), "'random_state'"),
        ((*GENERATE, "--n-samples", "9", "--out", "tests"), "is not empty, and holds no data set"),
    ],
)
def test_bad_arguments(run, arguments, words):
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert words in err
    assert err.startswith("levylearn: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "the chain is empty"),
        (["strike,maturity,type,mid"], "the chain is empty"),
        (["strike,maturity,mid", "90,1,12"], "--option-type 'call'"),
        (["maturity,type,mid", "1,call,12"], "no column for the strike"),
        (["strike,maturity,type", "90,1,call"], "--column mid=NAME"),
        (["strike,maturity,type,mid", "90,1,call,12", "95,1,call,x"], "line 3, column 'mid': x"),
        (["strike,maturity,type,mid", "90,1,cal,12"], "line 2, column 'type': cal"),
        (["strike,maturity,type,mid", "90,-1,call,12"], "no usable quote in the chain: 1 expired"),
        (["strike,maturity,type,mid", "90,1", "95,1,call,9,9,9"], "line 3"),
        (["strike,expiry,type,mid", "90,2002-01-01,call,12"], "pass --valuation-date,"),
        (
            ["strike,maturity,type,mid", "# note", "90,1,call,15", "100,1,call,120"],
            "line 4, call of strike 100 and maturity 1: price 120 is not in [",
        ),
    ],
)
def test_bad_files(run, tmp_path, lines, words):
    file = write(tmp_path / "quotes.csv", *lines)
    status, out, err = run("calibrate", "--data", file, "--model", "black_scholes", *MARKET)
    assert (status, out) == (2, "")
    assert words in err
    assert "quotes.csv" in err
    assert err.count("\n") == 1


def test_violations_can_be_left_out(run, tmp_path):
    lines = ["strike,maturity,type,mid", "90,1,call,15", "100,1,call,120", "110,1,call,4"]
    file = write(tmp_path / "quotes.csv", *lines)
    command = ("calibrate", "--data", file, "--model", "black_scholes", *MARKET)
    status, out, _ = run(*command, "--drop-violations")
    assert status == 0
    assert "2 quotes" in out
    assert "left out: line 3, price beyond its bounds" in out


def test_interruption_leaves_no_traceback(run, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("levylearn._commands._calibrate.calibrate", interrupted)
    assert run(*CALIBRATE, "nig") == (130, "", "levylearn: interrupted\n")


def test_picture_without_matplotlib(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, _, err = run(*CALIBRATE, "nig", "--plot", "fit.png")
    assert status == 2
    assert "--plot requires matplotlib: pip install 'levylearn[plot]'" in err


# -- report -------------------------------------------------------------------


def test_reports_on_bundled_quotes(run, tmp_path):
    out = tmp_path / "page.html"
    command = ("report", "--data", "sp500-2002", "--model", "variance_gamma", "--loss", "price")
    status, text, err = run(*command, "--fix", "nu=0.2", "--out", out)
    assert (status, err) == (0, "")
    assert f"{out}: LeastSquaresCalibrator on 1 surface, whose parameters are not known" in text
    html = out.read_text(encoding="utf-8")
    assert ">Smiles<" in html
    assert "<td>0.2</td>" in html  # nu, in the table of parameters
    _, same, _ = run("calibrate", *command[1:], "--fix", "nu=0.2", "--output", "json")
    sigma = json.loads(same)["fits"][0]["parameters"]["sigma"]["value"]
    assert f"<td>{sigma:.4g}</td>" in html


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A calibrator in a file, and a data set that it fits."""
    folder = tmp_path_factory.mktemp("report")
    grid = OptionGrid(STRIKES, MATURITIES, rate=0.03)
    dataset = SurfaceDataset.create(folder / "data", "black_scholes", grid, 30)
    pricer = ContourPricer("black_scholes", grid)
    frame = dataset.to_frame()
    skops.io.dump(LeastSquaresCalibrator(pricer).fit(dataset[:][0]), folder / "search.skops")
    line = LinearRegression().fit(frame[dataset.feature_names], frame[["sigma"]])
    skops.io.dump(line, folder / "line.skops")
    frame.to_csv(folder / "data.csv", index=False)
    frame.to_parquet(folder / "data.parquet")
    (folder / "page.html").touch()
    return folder


@pytest.mark.parametrize("surfaces", ["data", "data.csv", "data.parquet"])
def test_reports_on_files(run, saved, surfaces):
    out = saved / "page.html"
    command = ("report", saved / "search.skops", saved / surfaces, "--n-samples", 20)
    status, text, err = run(*command, "--out", out, "--output", "json")
    assert (status, err) == (0, "")
    result = json.loads(text)
    assert result["n_samples"] == 20
    assert result["parameters_known"]
    assert result["bytes"] == out.stat().st_size
    html = out.read_text(encoding="utf-8")
    assert "20 of 20 surfaces have an answer" in html
    assert "Residuals" in html


def test_data_sets_know_how_they_are_priced(run, saved):
    out = saved / "page.html"
    command = ("report", saved / "line.skops", saved / "data", "--out", out)
    assert run(*command)[::2] == (0, "")
    assert ">Smiles<" in out.read_text(encoding="utf-8")


def test_report_refuses_strange_classes(run, saved):
    skops.io.dump(Strange(), saved / "strange.skops")
    status, out, err = run("report", saved / "strange.skops", saved / "data")
    assert (status, out) == (2, "")
    assert "Strange, and only classes of levylearn and scikit-learn are read" in err


class Strange:
    pass


@pytest.mark.parametrize("package", ["plotly", "skops.io"])
def test_report_without_extras(run, monkeypatch, saved, package):
    monkeypatch.setitem(sys.modules, package, None)
    status, _, err = run("report", saved / "search.skops", saved / "data")
    assert status == 2
    assert f"requires {package.partition('.')[0]}: pip install 'levylearn[report]'" in err


# -- as a process -------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGINT to send")
def test_generation_can_be_interrupted(tmp_path):
    command = ["--n-samples", "100000", "--shard-size", "100", "--out", str(tmp_path / "data")]
    process = subprocess.Popen(
        [sys.executable, "-m", "levylearn", *GENERATE, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Jobs in the background of a shell ignore it, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list(tmp_path.glob("data/*.parquet")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "levylearn: interrupted\n")
    assert process.returncode == 130
    assert not list(tmp_path.glob("data/.*"))


def test_process_refuses_without_traceback():
    result = python("calibrate", "--data", "nowhere.csv", "--model", "heston")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "nowhere.csv" in result.stderr


def test_help_is_fast_and_loads_nothing():
    code = (
        "import sys; from levylearn.cli import main; status = main(['calibrate', '--help']); "
        "assert not {'numpy', 'pandas', 'sklearn'} & set(sys.modules); sys.exit(status)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--plot FILE" in result.stdout
