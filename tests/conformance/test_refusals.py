"""What the exchange refuses, by both clients: signatures, keys, windows, filters, balances, ids; and what it accepts."""

import time

import ccxt
import pytest
from binance_common.errors import BadRequestError, UnauthorizedError

from harness import CcxtSync, ccxt_at, sdk_rest
from strict import answer

S = "BTCUSDT"
NOW = object()


def sdk_code(call, kind=BadRequestError) -> tuple[int, str]:
    with pytest.raises(kind) as caught:
        call()
    return caught.value.status_code, caught.value.error_message


@pytest.fixture
def sdk(simulator, key_of):
    return sdk_rest(simulator.address, *key_of("refusals"))


@pytest.fixture
def exchange(simulator, key_of):
    exchange = ccxt_at(CcxtSync, simulator.address, *key_of("refusals"))
    exchange.load_markets()
    return exchange


@pytest.fixture
def price(exchange):
    return exchange.fetch_ticker("BTC/USDT")["last"]


@pytest.mark.proves("official SDK", "refusals: keys, signatures, time")
def test_sdk_keys(simulator, key_of):
    api_key, secret = key_of("refusals")
    rest = sdk_rest(simulator.address, api_key, "not the secret")
    assert sdk_code(rest.get_account) == (-1022, "Signature for this request is not valid.")
    rest = sdk_rest(simulator.address, "a" * 64, secret)
    assert sdk_code(rest.get_account, UnauthorizedError)[0] == -2015
    rest = sdk_rest(simulator.address, "not a key!", secret)
    assert sdk_code(rest.get_account, UnauthorizedError)[0] == -2014


@pytest.mark.proves("ccxt", "refusals: keys, signatures, time")
def test_ccxt_keys(simulator, key_of):
    api_key, secret = key_of("refusals")
    for key, other, code in [(api_key, "not the secret", "-1022"), ("a" * 64, secret, "-2015"), ("no!", secret, "-2014")]:
        exchange = ccxt_at(CcxtSync, simulator.address, key, other)
        with pytest.raises(ccxt.AuthenticationError) as caught:
            exchange.privateGetAccount()
        assert code in str(caught.value) or "Signature" in str(caught.value) or "API-key" in str(caught.value)


@pytest.mark.proves("official SDK", "refusals: keys, signatures, time")
@pytest.mark.parametrize("shift,text", [(-600_000_000, "outside of the recvWindow"), (60_000_000_000, "ahead of the server")])
def test_sdk_time(simulator, sdk, shift, text, monkeypatch):
    import binance_common.utils
    stamp = int(time.time() * 1000) + shift
    monkeypatch.setattr(binance_common.utils, "get_timestamp", lambda: stamp)
    code, message = sdk_code(sdk.get_account)
    assert code == -1021 and text in message


@pytest.mark.proves("ccxt", "refusals: keys, signatures, time")
def test_ccxt_time(exchange):
    exchange.nonce = lambda: exchange.milliseconds() - 600_000_000
    with pytest.raises(ccxt.InvalidNonce):
        exchange.fetch_balance()
    with pytest.raises(ccxt.ExchangeError):
        exchange.fetch_balance({"recvWindow": 60_001})


FILTERS = [
    ("LOT_SIZE", dict(quantity=0.000001, price=0.9)),
    ("PRICE_FILTER", dict(quantity=0.01, price=0.9, off=0.001)),
    ("NOTIONAL", dict(quantity=0.00001, price=0.9)),
    ("PERCENT_PRICE_BY_SIDE", dict(quantity=0.01, price=0.01)),
]


@pytest.mark.proves("official SDK", "refusals: filters, balances, ids")
@pytest.mark.parametrize("name,order", FILTERS)
def test_sdk_filters(sdk, price, name, order):
    level = round(price * order["price"], 2) + order.get("off", 0)
    arguments = dict(
        symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=f"{order['quantity']:.6f}",
        price=f"{level:.3f}" if "off" in order else f"{level:.2f}",
    )
    for call in (sdk.new_order, sdk.order_test):
        assert sdk_code(lambda call=call: call(**arguments)) == (-1013, f"Filter failure: {name}")


@pytest.mark.proves("ccxt", "refusals: filters, balances, ids")
@pytest.mark.parametrize("name,order", FILTERS)
def test_ccxt_filters(exchange, price, name, order):
    level = round(price * order["price"], 2) + order.get("off", 0)
    # The unified method would round first: the exchange's own refusal is wanted. ccxt has no word for NOTIONAL.
    kind = ccxt.BadRequest if name == "NOTIONAL" else ccxt.InvalidOrder
    with pytest.raises(kind) as caught:
        exchange.privatePostOrder({
            "symbol": S, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": f"{order['quantity']:.6f}",
            "price": f"{level:.3f}" if "off" in order else f"{level:.2f}",
        })
    assert name in str(caught.value)


@pytest.mark.proves("official SDK", "refusals: filters, balances, ids")
def test_sdk_balance_and_ids(simulator, key_of, sdk, price):
    poor = sdk_rest(simulator.address, *key_of("poor"))
    order = dict(symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=round(price * 0.9, 2))
    code, text = sdk_code(lambda: poor.new_order(**order))
    assert code == -2010 and "insufficient balance" in text
    answer(sdk.new_order(**order, new_client_order_id="twice"))
    code, text = sdk_code(lambda: sdk.new_order(**order, new_client_order_id="twice"))
    assert (code, text) == (-2010, "Duplicate order sent.")
    answer(sdk.delete_order(symbol=S, orig_client_order_id="twice"))
    again = answer(sdk.new_order(**order, new_client_order_id="twice"))
    answer(sdk.delete_order(symbol=S, order_id=again.order_id))
    assert sdk_code(lambda: sdk.new_order(**order, new_client_order_id="not allowed!"))[0] == -1100


@pytest.mark.proves("ccxt", "refusals: filters, balances, ids")
def test_ccxt_balance_and_ids(simulator, key_of, exchange, price):
    poor = ccxt_at(CcxtSync, simulator.address, *key_of("poor"))
    low = round(price * 0.9, 2)
    with pytest.raises(ccxt.InsufficientFunds):
        poor.create_order("BTC/USDT", "limit", "buy", 0.01, low)
    exchange.create_order("BTC/USDT", "limit", "buy", 0.01, low, {"clientOrderId": "again"})
    # ccxt knows this only by its code.
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        exchange.create_order("BTC/USDT", "limit", "buy", 0.01, low, {"clientOrderId": "again"})
    exchange.cancel_all_orders("BTC/USDT")


@pytest.mark.proves("official SDK", "refusals: parameters and triggers")
@pytest.mark.parametrize("code,arguments", [
    (-1102, dict(type="LIMIT", quantity=0.01, price=40000)),
    (-1116, dict(type="NONSENSE", quantity=0.01)),
    (-1111, dict(type="LIMIT", time_in_force="GTC", quantity="0.0100000001", price=40000)),
    (-1121, dict(symbol="NOPE", type="MARKET", quantity=0.01)),
    (-1117, dict(side="SIDEWAYS", type="MARKET", quantity=0.01)),
])
def test_sdk_parameters(sdk, code, arguments):
    assert sdk_code(lambda: sdk.new_order(**{"symbol": S, "side": "BUY", **arguments}))[0] == code


@pytest.mark.proves("official SDK", "refusals: parameters and triggers")
def test_sdk_triggers(sdk, price):
    stop = dict(symbol=S, side="SELL", type="STOP_LOSS", quantity=0.01, stop_price=round(price * 1.1, 2))
    assert sdk_code(lambda: sdk.new_order(**stop)) == (-2010, "Order would trigger immediately.")
    maker = dict(symbol=S, side="BUY", type="LIMIT_MAKER", quantity=0.01, price=round(price * 1.03, 2))
    assert sdk_code(lambda: sdk.new_order(**maker)) == (-2010, "Order would immediately match and take.")
    code, text = sdk_code(lambda: sdk.order_list_oco(
        symbol=S, side="SELL", quantity=0.01, above_type="LIMIT_MAKER", above_price=round(price * 0.9, 2),
        below_type="STOP_LOSS", below_stop_price=round(price * 0.8, 2),
    ))
    assert code == -2010 and "relationship of the prices" in text
