"""The harness itself: a suite that cannot fail proves nothing. One answer is broken on purpose, and it must be noticed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import strict
from breaking_proxy import BREAKS, BreakingProxy
from harness import sdk_rest

# What asks for each of the answers that can be broken.
ASK = {
    "/api/v3/account": lambda sdk: sdk.get_account(),
    "/api/v3/exchangeInfo": lambda sdk: sdk.exchange_info(),
    "/api/v3/time": lambda sdk: sdk.time(),
    "/api/v3/trades": lambda sdk: sdk.get_trades(symbol="BTCUSDT", limit=3),
}


def ask_through(simulator, key, name, path):
    proxy = BreakingProxy(simulator.address, name)
    try:
        return strict.answer(ASK[path](sdk_rest(proxy.address, *key)))
    finally:
        proxy.stop()


@pytest.mark.proves("harness", "a broken answer is noticed")
@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_answer_is_noticed(simulator, key_of, name):
    path, _ = BREAKS[name]
    # The proxy alone breaks nothing.
    assert ask_through(simulator, key_of("sdk"), None, path) is not None
    with pytest.raises(AssertionError):
        ask_through(simulator, key_of("sdk"), name, path)
    strict.WARNINGS.take()


@pytest.mark.proves("harness", "a broken answer is noticed")
@pytest.mark.skipif("CONFORMANCE_BREAK" in os.environ, reason="the suite that is to fail does not ask whether it fails")
def test_the_suite_fails_with_it():
    """As `make conformance` runs it, on one of its tests, with one field less."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", here / "pytest.ini", "--rootdir", here, here / "test_sdk_rest.py",
         "-k", "test_account"],
        env={**os.environ, "CONFORMANCE_BREAK": "drop-canTrade"}, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "canTrade is missing" in done.stdout


TRADE = {
    "e": "trade", "E": 1, "s": "BTCUSDT", "t": 1, "p": "1.0", "q": "1.0", "T": 1, "m": True, "M": True,
}
BALANCE = {"e": "balanceUpdate", "E": 1, "a": "USDT", "d": "5.0", "T": 1}


@pytest.mark.proves("harness", "a broken answer is noticed")
@pytest.mark.parametrize("field", TRADE)
def test_a_broken_stream_message_is_noticed(field):
    from binance_sdk_spot.websocket_streams.models import TradeResponse
    assert strict.event(TradeResponse.model_validate(TRADE)).p == "1.0"
    less = {name: value for name, value in TRADE.items() if name != field}
    with pytest.raises(AssertionError, match="missing"):
        strict.event(TradeResponse.model_validate(less))


@pytest.mark.proves("harness", "a broken answer is noticed")
@pytest.mark.parametrize("change", [{"d": 5}, {"E": "1"}, {"e": "somethingElse"}])
def test_a_broken_user_event_is_noticed(change):
    from binance_common.utils import parse_user_event
    from binance_sdk_spot.websocket_api.models import UserDataStreamEventsResponse as Events
    assert strict.event(parse_user_event(BALANCE, Events)).d == "5.0"
    with pytest.raises(AssertionError, match="complains"):
        strict.event(parse_user_event({**BALANCE, **change}, Events))
