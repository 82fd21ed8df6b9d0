"""Limits, each on a simulator of its own: what both clients are told, and that it ends."""

import ccxt
import pytest
from binance_common.errors import RateLimitBanError, TooManyRequestsError

import strict
from harness import CcxtSync, RICH, Simulator, ccxt_at, run, sdk_rest, sdk_ws_api, until

S = "BTCUSDT"
ORDER = dict(symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=40000)


@pytest.fixture
def limited():
    """At real speed, so that no window ends by itself during a test."""
    simulator = Simulator(
        "--seed", "7", "--symbol", f"{S}=50000", "--account", f"a:{RICH}",
        "--limit", "request-weight=100", "--limit", "orders-10s=3",
    )
    yield simulator
    assert simulator.stop() == 0


def use_up(rest):
    """Asks until the exchange has enough: 20 of weight each."""
    with pytest.raises(TooManyRequestsError) as caught:
        for _ in range(6):
            rest.exchange_info()
    return caught.value


@pytest.mark.proves("official SDK", "limits: weight, bans, orders")
def test_sdk_weight_then_ban(limited):
    rest = sdk_rest(limited.address, *limited.accounts["a"])
    first = rest.exchange_info()
    assert [(limit.rateLimitType, limit.interval) for limit in first.rate_limits] == [("REQUEST_WEIGHT", "MINUTE")]
    assert 20 <= first.rate_limits[0].count <= 100
    enough = use_up(rest)
    assert enough.status_code == -1003 and 1 <= enough.retry_after <= 60
    # Whoever does not listen is banned.
    with pytest.raises(RateLimitBanError) as banned:
        for _ in range(20):
            try:
                rest.ping()
            except TooManyRequestsError:
                pass
    assert banned.value.status_code == -1003 and "banned until" in banned.value.error_message
    assert 60 < banned.value.retry_after <= 120
    # The ban ends with the exchange's time.
    limited.admin("speed", {"speed": 1000})

    def is_over():
        try:
            return rest.ping().status == 200
        except (RateLimitBanError, TooManyRequestsError):
            return False
    assert until(is_over, "the ban ends")


@pytest.mark.proves("ccxt", "limits: weight, bans, orders")
def test_ccxt_weight_then_ban(limited):
    exchange = ccxt_at(CcxtSync, limited.address)
    with pytest.raises(ccxt.DDoSProtection, match="429"):
        for _ in range(6):
            exchange.publicGetExchangeInfo()
    assert int(exchange.last_response_headers["Retry-After"]) >= 1
    assert int(exchange.last_response_headers["X-Mbx-Used-Weight-1m"]) > 100
    with pytest.raises(ccxt.DDoSProtection, match="418"):
        for _ in range(20):
            try:
                exchange.publicGetPing()
            except ccxt.DDoSProtection as refused:
                if "418" in str(refused):
                    raise


@pytest.mark.proves("official SDK", "limits: weight, bans, orders")
def test_sdk_orders(limited):
    rest = sdk_rest(limited.address, *limited.accounts["a"])
    for number in range(1, 4):
        placed = rest.new_order(**ORDER)
        counts = {limit.interval: limit.count for limit in placed.rate_limits if limit.rateLimitType == "ORDERS"}
        assert counts == {"SECOND": number, "DAY": number}
    with pytest.raises(TooManyRequestsError) as caught:
        rest.new_order(**ORDER)
    assert caught.value.status_code == -1015 and 1 <= caught.value.retry_after <= 10
    # Cancelling is always possible.
    assert len(strict.answer(rest.delete_open_orders(symbol=S))) == 3
    used = {limit.interval: limit.count for limit in strict.answer(rest.rate_limit_order())}
    assert used == {"SECOND": 3, "DAY": 3}


@pytest.mark.proves("ccxt", "limits: weight, bans, orders")
def test_ccxt_orders(limited):
    exchange = ccxt_at(CcxtSync, limited.address, *limited.accounts["a"], fetchCurrencies=False, fetchMargins=False)
    exchange.load_markets()
    with pytest.raises(ccxt.DDoSProtection, match="-1015"):
        for _ in range(4):
            exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 40000)
    assert len(exchange.cancel_all_orders("BTC/USDT")) == 3


@pytest.mark.proves("official SDK", "limits: weight, bans, orders")
def test_sdk_weight_over_the_websocket_api(limited):
    async def test():
        api = sdk_ws_api(limited.address, *limited.accounts["a"])
        await api.create_connection()
        try:
            answers = [(await api.exchange_info()).data() for _ in range(6)]
        finally:
            await api.close_connection()
        return answers[-1]
    refused = run(test())
    strict.WARNINGS.take()
    assert refused["error"]["code"] == -1003
    assert refused["error"]["data"]["retryAfter"] > refused["error"]["data"]["serverTime"]
