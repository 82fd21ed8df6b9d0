"""What all tests share: the running simulators, the clients, and the table of what was proven."""

import os
import signal
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest

import harness
import strict
from breaking_proxy import BreakingProxy

strict.install()

# (client, area) -> [tests passed, tests failed, checks]
_PROVEN = defaultdict(lambda: [0, 0, 0])
_CHECKS = defaultdict(int)
_AREA = {}


def pytest_configure(config):
    # A run that is told to end takes its simulators along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.addinivalue_line("markers", "proves(client, area): what the test proves, for the table")


def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("proves")
        assert mark, f"{item.nodeid} does not say what it proves"
        _AREA[item.nodeid] = mark.args


def pytest_assertion_pass(item, lineno, orig, expl):
    _CHECKS[item.nodeid] += 1


def pytest_runtest_logreport(report):
    if report.when == "call" or report.failed:
        row = _PROVEN[_AREA[report.nodeid]]
        row[0 if report.passed else 1] += 1
        row[2] += _CHECKS.pop(report.nodeid, 0)


def pytest_terminal_summary(terminalreporter, config):
    write = terminalreporter.write_line
    write("")
    write(f"{'client':<14}{'area':<44}{'tests':>6}{'checks':>8}")
    for (client, area), (passed, failed, checks) in sorted(_PROVEN.items()):
        verdict = "" if not failed else f"  {failed} FAILED"
        write(f"{client:<14}{area:<44}{passed:>6}{checks:>8}{verdict}")
    total = sum(strict.COMPARED.values())
    write(f"{total} objects of {len(strict.COMPARED)} kinds were held against the official SDK's models, field by field")
    is_whole = not config.option.keyword and all("::" not in argument for argument in config.args)
    if is_whole and total > 900 and strict.unneeded():
        write(f"tests/conformance/strict.py excuses what nothing needed: {strict.unneeded()}")


@pytest.fixture(scope="session")
def keys():
    with tempfile.TemporaryDirectory() as directory:
        yield harness.Keys(Path(directory))


@pytest.fixture(scope="session")
def simulator(keys):
    """A made-up market at 60 x, with an account for each client and kind of key."""
    arguments = ["--seed", "7", "--speed", harness.SPEED]
    for symbol, price in harness.SYMBOLS.items():
        arguments += ["--symbol", f"{symbol}={price}"]
    for name in ["sdk", "sdkws", "ccxt", "ccxtpro", "refusals", "hmac", "ed25519", "rsa"]:
        arguments += ["--account", f"{name}:{harness.RICH}"]
    arguments += ["--account", "poor:USDT=10"]
    arguments += ["--key", f"hmac:hmac={keys.hmac[0]}:{keys.hmac[1]}"]
    for kind in ["ed25519", "rsa"]:
        api_key, _, path = getattr(keys, kind)
        arguments += ["--key", f"{kind}:{kind}={api_key}:{path}"]
    running = harness.Simulator(*arguments)
    # A market that has just begun has no trades yet.
    harness.until(lambda: len(running.get("/api/v3/trades?symbol=BTCUSDT")) >= 20, "the market trades")
    broken = os.environ.get("CONFORMANCE_BREAK")
    proxy = BreakingProxy(running.address, broken) if broken else None
    if proxy:
        running.address = proxy.address
    yield running
    if proxy:
        proxy.stop()
    assert running.stop() == 0, "the simulator did not end in order"


@pytest.fixture
def key_of(simulator):
    """API key and secret of an account's test key."""
    def find(name):
        return simulator.accounts[name]
    return find


@pytest.fixture
def sdk(simulator, key_of):
    return harness.Recording(harness.sdk_rest(simulator.address, *key_of("sdk")))


@pytest.fixture(autouse=True)
def no_complaints():
    """The SDK must not have complained about anything that a test did not look at."""
    strict.WARNINGS.take()
    yield
    complaints = strict.WARNINGS.take()
    assert not complaints, f"the SDK complains: {complaints}"
