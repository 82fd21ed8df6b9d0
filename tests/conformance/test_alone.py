"""The simulator alone, with what its command line offers: recorded data, scenarios of faults, a state that stays."""

import signal

import ccxt
import pytest
from binance_common.errors import BadRequestError, ServerError

import strict
from harness import CcxtSync, RICH, Simulator, ccxt_at, sdk_rest, until

S = "BTCUSDT"
# 2023-11-14T22:00:00Z, on the grid of an hour.
START = 1_699_999_200_000


@pytest.fixture
def begin():
    """Starts simulators that end with the test."""
    running = []

    def start(*arguments):
        running.append(Simulator(*arguments))
        return running[-1]

    yield start
    for simulator in running:
        if simulator.process.poll() is None:
            assert simulator.stop() == 0


@pytest.mark.proves("ccxt", "recorded market data")
def test_recorded_candles(begin, tmp_path):
    """The candles that are served are the rows of the file, in the exchange's public dump format."""
    rows = []
    for minute in range(180):
        opened, low = START + minute * 60_000, 37_000 + minute
        rows.append([opened, low + 1, low + 3, low, low + 2, 4, opened + 59_999, 4 * low, 4, 2, 2 * low, 0])
    (tmp_path / f"{S}-1m.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    simulator = begin("--data", str(tmp_path), "--speed", "3600")
    exchange = ccxt_at(CcxtSync, simulator.address)
    found = until(
        # The last one may still be open.
        lambda: len(got := exchange.fetch_ohlcv("BTC/USDT", "1m", since=START, limit=101)) == 101 and got[:100],
        "100 minutes have passed",
    )
    assert found == [[row[0], *map(float, row[1:6])] for row in rows[:100]]
    hour = exchange.fetch_ohlcv("BTC/USDT", "1h", since=START, limit=1)[0]
    assert hour == [START, 37_001.0, 37_062.0, 37_000.0, 37_061.0, 240.0]


@pytest.mark.proves("official SDK", "faults by a scenario file")
def test_a_scenario(begin, tmp_path):
    """An answer that is lost after the order was accepted: the client hears of an error, and the order is there."""
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(
        'seed = 7\n'
        '[[fault]]\nname = "lost answer"\nkind = "error_after"\nendpoint = "order"\nmethod = "POST"\nstatus = 503\n'
        'count = 1\n'
        '[[fault]]\nname = "no account"\nkind = "error_before"\nendpoint = "account"\nstatus = 500\ncount = 2\n'
    )
    simulator = begin("--seed", "7", "--symbol", f"{S}=50000", "--account", f"a:{RICH}", "--scenario", str(scenario))
    rest = sdk_rest(simulator.address, *simulator.accounts["a"])
    with pytest.raises(ServerError):
        rest.new_order(symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=40000,
                       new_client_order_id="lost")
    assert strict.answer(rest.get_order(symbol=S, orig_client_order_id="lost")).status == "NEW"
    with pytest.raises(ServerError):
        rest.get_account()
    exchange = ccxt_at(CcxtSync, simulator.address, *simulator.accounts["a"], fetchMargins=False)
    exchange.load_markets()
    with pytest.raises(ccxt.OperationFailed):
        exchange.fetch_balance()
    assert exchange.fetch_balance()["USDT"]["used"] == 400


@pytest.mark.proves("official SDK", "a state that stays")
@pytest.mark.parametrize("name", ["INT", "KILL"])
def test_state(begin, tmp_path, name):
    """Accounts, orders and time are there again, after Ctrl-C as after a kill."""
    arguments = ["--seed", "7", "--symbol", f"{S}=50000", "--account", f"a:{RICH}", "--state", str(tmp_path)]
    first = begin(*arguments)
    rest = sdk_rest(first.address, *first.accounts["a"])
    placed = strict.answer(rest.new_order(
        symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=40000
    ))
    before = strict.answer(rest.time()).server_time
    first.process.send_signal(getattr(signal, f"SIG{name}"))
    first.process.wait(timeout=20)
    second = begin(*arguments)
    assert second.accounts == first.accounts
    rest = sdk_rest(second.address, *second.accounts["a"])
    assert strict.answer(rest.time()).server_time >= before
    assert strict.answer(rest.get_order(symbol=S, order_id=placed.order_id)).status == "NEW"
    # An id is given once.
    again = strict.answer(rest.new_order(
        symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=40000
    ))
    assert again.order_id > placed.order_id


@pytest.mark.proves("official SDK", "halts")
def test_a_halt(begin):
    simulator = begin("--seed", "7", "--symbol", f"{S}=50000", "--account", f"a:{RICH}")
    rest = sdk_rest(simulator.address, *simulator.accounts["a"])
    order = dict(symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=40000)
    placed = strict.answer(rest.new_order(**order))
    simulator.admin("status", {"symbol": S, "status": "HALT"})
    assert strict.answer(rest.exchange_info(symbol=S)).symbols[0].status == "HALT"
    with pytest.raises(BadRequestError, match="Market is closed"):
        rest.new_order(**order)
    assert strict.answer(rest.delete_order(symbol=S, order_id=placed.order_id)).status == "CANCELED"
    simulator.admin("status", {"symbol": S, "status": "TRADING"})
    strict.answer(rest.new_order(**order))
