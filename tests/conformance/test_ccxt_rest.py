"""ccxt over REST, in its own words: markets, balances, orders, and its own exceptions."""

from decimal import Decimal

import ccxt
import pytest

from harness import CcxtSync, ccxt_at, until

S = "BTC/USDT"


@pytest.fixture(scope="module")
def exchange(simulator):
    exchange = ccxt_at(CcxtSync, simulator.address, *simulator.accounts["ccxt"])
    exchange.load_markets()
    return exchange


@pytest.fixture
def price(exchange):
    return exchange.fetch_ticker(S)["last"]


def at(exchange, price, factor):
    return float(exchange.price_to_precision(S, price * factor))


@pytest.mark.proves("ccxt", "markets, currencies, status")
def test_markets(exchange):
    market = exchange.market(S)
    assert market["spot"] and market["active"] and (market["base"], market["quote"]) == ("BTC", "USDT")
    assert market["precision"]["price"] == 0.01 and market["precision"]["amount"] > 0
    assert market["limits"]["cost"]["min"] > 0 and market["limits"]["amount"]["min"] > 0
    assert set(exchange.symbols) == {"BTC/USDT", "ETH/USDT", "ETH/BTC"}
    # By default ccxt asks SAPI for the currencies where it has a key.
    assert exchange.has["fetchCurrencies"] and exchange.options["fetchCurrencies"]
    assert exchange.currencies["BTC"]["code"] == "BTC" and "USDT" in exchange.fetch_currencies()
    assert exchange.fetch_status()["status"] == "ok"
    assert abs(exchange.fetch_time() - exchange.fetch_time()) < 60_000


@pytest.mark.proves("ccxt", "markets, currencies, status")
def test_without_a_key(simulator):
    public = ccxt_at(CcxtSync, simulator.address)
    assert S in public.load_markets() and public.fetch_ticker(S)["last"] > 0


@pytest.mark.proves("ccxt", "market data")
def test_market_data(exchange):
    ticker = exchange.fetch_ticker(S)
    assert ticker["low"] <= ticker["last"] <= ticker["high"] and ticker["bid"] < ticker["ask"]
    assert set(exchange.fetch_tickers()) == set(exchange.symbols)
    assert set(exchange.fetch_tickers([S, "ETH/BTC"])) == {S, "ETH/BTC"}
    assert exchange.fetch_bids_asks([S])[S]["bid"] > 0
    assert exchange.fetch_last_prices([S])[S]["price"] > 0
    book = exchange.fetch_order_book(S, 20)
    assert len(book["bids"]) == 20 and book["bids"][0][0] < book["asks"][0][0] and book["nonce"] > 0
    trades = exchange.fetch_trades(S, limit=5)
    assert len(trades) == 5 and all(trade["side"] in ("buy", "sell") and trade["cost"] > 0 for trade in trades)


@pytest.mark.proves("ccxt", "candles")
@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "30m", "1h", "4h", "1d"])
def test_candles(exchange, timeframe):
    span = exchange.parse_timeframe(timeframe) * 1000
    rows = exchange.fetch_ohlcv(S, timeframe, limit=5)
    assert [row[0] - rows[0][0] for row in rows] == [0, span, 2 * span, 3 * span, 4 * span]
    assert all(low <= min(o, c) and max(o, c) <= high and v >= 0 for _, o, high, low, c, v in rows)
    since = exchange.fetch_ohlcv(S, timeframe, since=rows[1][0], limit=2)
    assert [row[:5] for row in since] == [row[:5] for row in rows[1:3]]


@pytest.mark.proves("ccxt", "account")
def test_account(exchange):
    balance = exchange.fetch_balance()
    assert balance["BTC"]["total"] > 0 and balance["USDT"]["free"] > 0
    fee = exchange.fetch_trading_fee(S)
    assert fee["maker"] >= 0 and fee["taker"] > 0
    assert S in exchange.fetch_trading_fees()


@pytest.mark.proves("ccxt", "orders")
def test_limit_order(exchange, price):
    locked = exchange.fetch_balance()["USDT"]["used"]
    order = exchange.create_order(S, "limit", "buy", 0.01, at(exchange, price, 0.8), {"clientOrderId": "ccxt-1"})
    assert (order["status"], order["clientOrderId"], order["filled"]) == ("open", "ccxt-1", 0)
    used = exchange.fetch_balance()["USDT"]["used"] - locked
    assert abs(used - 0.01 * order["price"]) < 1e-6
    assert exchange.fetch_order(order["id"], S)["status"] == "open"
    assert order["id"] in [it["id"] for it in exchange.fetch_open_orders(S)]
    cancelled = exchange.cancel_order(order["id"], S)
    assert cancelled["status"] == "canceled"
    assert exchange.fetch_order(order["id"], S)["status"] == "canceled"
    assert exchange.fetch_balance()["USDT"]["used"] == locked
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order(order["id"], S)
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order("999999999", S)


@pytest.mark.proves("ccxt", "orders")
def test_market_orders(exchange):
    before = exchange.fetch_balance()
    bought = exchange.create_order(S, "market", "buy", 0.02)
    assert (bought["status"], bought["filled"]) == ("closed", 0.02) and bought["average"] > 0
    assert bought["fee"]["currency"] == "BTC"
    after = exchange.fetch_balance()
    paid = Decimal(str(before["USDT"]["total"])) - Decimal(str(after["USDT"]["total"]))
    assert abs(paid - Decimal(str(bought["cost"]))) < Decimal("0.000001")
    by_cost = exchange.create_market_buy_order_with_cost(S, 500)
    assert by_cost["status"] == "closed" and 400 < by_cost["cost"] <= 500
    sold = exchange.create_order(S, "market", "sell", 0.01)
    assert sold["fee"]["currency"] == "USDT"
    trades = exchange.fetch_my_trades(S, params={"orderId": sold["id"]})
    assert sum(trade["amount"] for trade in trades) == 0.01 and trades[0]["takerOrMaker"] == "taker"


@pytest.mark.proves("ccxt", "orders")
@pytest.mark.parametrize("kind,parameter,trigger,limit,expected", [
    ("market", "stopLossPrice", 0.8, None, "STOP_LOSS"),
    ("limit", "stopLossPrice", 0.8, 0.79, "STOP_LOSS_LIMIT"),
    ("market", "takeProfitPrice", 1.2, None, "TAKE_PROFIT"),
    ("limit", "takeProfitPrice", 1.2, 1.19, "TAKE_PROFIT_LIMIT"),
    ("limit", "triggerPrice", 0.8, 0.79, "STOP_LOSS_LIMIT"),
])
def test_stop_and_take_profit(exchange, price, kind, parameter, trigger, limit, expected):
    order = exchange.create_order(
        S, kind, "sell", 0.01, at(exchange, price, limit) if limit else None,
        {parameter: at(exchange, price, trigger)},
    )
    assert order["info"]["type"] == expected and order["status"] == "open"
    asked = exchange.fetch_order(order["id"], S)
    assert asked["triggerPrice"] == at(exchange, price, trigger)
    exchange.cancel_order(order["id"], S)


@pytest.mark.proves("ccxt", "orders")
def test_a_trailing_stop(exchange):
    order = exchange.create_order(
        S, "market", "sell", 0.01, None, {"trailingPercent": 5, "stopLossOrTakeProfit": "stopLoss"}
    )
    assert order["info"]["type"] == "STOP_LOSS" and int(order["info"]["trailingDelta"]) == 500
    exchange.cancel_order(order["id"], S)


@pytest.mark.proves("ccxt", "orders")
def test_post_only(exchange, price):
    order = exchange.create_order(S, "limit", "buy", 0.01, at(exchange, price, 0.8), {"postOnly": True})
    assert order["info"]["type"] == "LIMIT_MAKER" and order["postOnly"]
    exchange.cancel_order(order["id"], S)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        exchange.create_order(S, "limit", "buy", 0.01, at(exchange, price, 1.03), {"postOnly": True})


@pytest.mark.proves("ccxt", "orders")
def test_order_test(exchange, price):
    exchange.create_order(S, "limit", "buy", 0.01, at(exchange, price, 0.8), {"test": True})
    assert exchange.fetch_open_orders(S) == []


@pytest.mark.proves("ccxt", "orders")
def test_a_stop_triggers(simulator, exchange):
    """The market falls through a stop: it sells, at the market."""
    last = exchange.fetch_ticker("ETH/BTC")["last"]
    stop = float(exchange.price_to_precision("ETH/BTC", last * 0.97))
    order = exchange.create_order("ETH/BTC", "market", "sell", 2, None, {"stopLossPrice": stop})
    assert order["status"] == "open"
    simulator.admin("crash", {"symbol": "ETHBTC", "share": -0.04})
    done = until(
        lambda: (it := exchange.fetch_order(order["id"], "ETH/BTC"))["status"] == "closed" and it, "the stop is met"
    )
    assert done["filled"] == 2 and done["average"] < stop


@pytest.mark.proves("ccxt", "cancel and replace")
def test_cancel_all_and_edit(exchange, price):
    for factor in (0.7, 0.75):
        exchange.create_order(S, "limit", "buy", 0.01, at(exchange, price, factor))
    assert len(exchange.cancel_all_orders(S)) == 2 and exchange.fetch_open_orders(S) == []
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_all_orders(S)
    first = exchange.create_order(S, "limit", "buy", 0.01, at(exchange, price, 0.8))
    # ccxt edits by cancelReplace.
    second = exchange.edit_order(first["id"], S, "limit", "buy", 0.02, at(exchange, price, 0.81))
    assert second["id"] != first["id"] and second["amount"] == 0.02
    assert exchange.fetch_order(first["id"], S)["status"] == "canceled"
    assert [it["id"] for it in exchange.fetch_open_orders(S)] == [second["id"]]
    exchange.cancel_order(second["id"], S)


@pytest.mark.proves("ccxt", "order lists")
def test_oco(exchange, price):
    """ccxt has no word of its own for OCO: its generated methods send it."""
    placed = exchange.privatePostOrderListOco({
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "aboveType": "LIMIT_MAKER",
        "abovePrice": at(exchange, price, 1.2), "belowType": "STOP_LOSS", "belowStopPrice": at(exchange, price, 0.8),
    })
    assert placed["contingencyType"] == "OCO" and len(placed["orders"]) == 2
    legs = exchange.fetch_open_orders(S)
    assert sorted(leg["type"] for leg in legs) == ["limit", "market"] or len(legs) == 2
    # The quantity is locked once.
    assert exchange.fetch_balance()["BTC"]["used"] == 0.01
    exchange.privateDeleteOrderList({"symbol": "BTCUSDT", "orderListId": placed["orderListId"]})
    assert exchange.fetch_open_orders(S) == []


@pytest.mark.proves("ccxt", "history")
def test_history(exchange):
    order = exchange.create_order("ETH/USDT", "market", "buy", 0.1)
    assert order["id"] in [it["id"] for it in exchange.fetch_orders("ETH/USDT")]
    assert order["id"] in [it["id"] for it in exchange.fetch_closed_orders("ETH/USDT")]
    trades = exchange.fetch_my_trades("ETH/USDT")
    assert order["id"] in [trade["order"] for trade in trades]
    since = exchange.fetch_my_trades("ETH/USDT", since=trades[-1]["timestamp"])
    assert since[0]["timestamp"] >= trades[-1]["timestamp"]
    assert [it["id"] for it in exchange.fetch_order_trades(order["id"], "ETH/USDT")]
