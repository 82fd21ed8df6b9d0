"""The official SDK over the WebSocket API: requests, sessions, and the events of an account."""

import asyncio
from decimal import Decimal

import pytest

import strict
from harness import Recording, run, sdk_ws_api
from strict import answer, event

S = "BTCUSDT"

# Methods of the SDK that the simulator does not serve.
NOT_SERVED = {
    "block_trades_historical", "execution_rules", "my_allocations", "order_amendments", "reference_price",
    "reference_price_calculation", "sor_order_place", "sor_order_test",
}


class Methods(Recording):
    """Of this interface."""

    called = set()


def with_api(simulator, credentials, test, **more):
    """Opens a connection, runs the test on it, and closes it whatever happens."""
    async def whole():
        api = Methods(sdk_ws_api(simulator.address, *credentials, **more))
        await api.create_connection()
        try:
            return await test(api)
        finally:
            await api.close_connection()
    return run(whole())


def refusal(response) -> dict:
    """The exchange's error, which the SDK hands over as plain data and complains about."""
    data = response.data()
    strict.WARNINGS.take()
    assert isinstance(data, dict) and "error" in data, f"not refused: {data}"
    return data["error"]


@pytest.mark.proves("official SDK", "WebSocket API: public")
def test_public_requests(simulator, key_of):
    async def test(api):
        answer(await api.ping())
        assert answer(await api.time()).result.server_time > 0
        assert len(answer(await api.exchange_info(symbol=S)).symbols) == 1
        assert len(answer(await api.depth(symbol=S, limit=5)).result.bids) == 5
        assert len(answer(await api.trades_recent(symbol=S, limit=2)).result) == 2
        assert len(answer(await api.trades_historical(symbol=S, limit=2)).result) == 2
        assert len(answer(await api.trades_aggregate(symbol=S, limit=2)).result) == 2
        assert len(answer(await api.klines(symbol=S, interval="1m", limit=3)).result) == 3
        assert len(answer(await api.ui_klines(symbol=S, interval="1m", limit=3)).result) == 3
        assert Decimal(answer(await api.avg_price(symbol=S)).result.price) > 0
        for method in [api.ticker24hr, api.ticker, api.ticker_price, api.ticker_book, api.ticker_trading_day]:
            response = answer(await method(symbol=S))
            result = getattr(response, "actual_instance", response).result
            assert getattr(result, "actual_instance", result).symbol == S
        assert refusal(await api.depth(symbol="NOPE"))["code"] == -1121
    with_api(simulator, key_of("sdkws"), test)


@pytest.mark.proves("official SDK", "WebSocket API: account")
def test_account_requests(simulator, key_of):
    async def test(api):
        balances = answer(await api.account_status()).result.balances
        assert {balance.asset for balance in balances} >= {"USDT", "BTC"}
        assert Decimal(answer(await api.account_commission(symbol=S)).result.standard_commission.taker) > 0
        assert len(answer(await api.account_rate_limits_orders()).result) == 2
        answer(await api.open_orders_status())
        answer(await api.all_orders(symbol=S))
        answer(await api.my_trades(symbol=S))
        answer(await api.all_order_lists())
        answer(await api.open_order_lists_status())
        answer(await api.my_filters(symbol=S))
        answer(await api.my_prevented_matches(symbol=S, order_id=1))
    with_api(simulator, key_of("sdkws"), test)


@pytest.mark.proves("official SDK", "WebSocket API: orders")
def test_orders(simulator, key_of):
    async def test(api):
        price = float(answer(await api.ticker_price(symbol=S)).actual_instance.result.price)
        order = dict(symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01)
        low = round(price * 0.8, 2)
        answer(await api.order_test(**order, price=low, compute_commission_rates=True))
        placed = answer(await api.order_place(**order, price=low)).result
        assert placed.status == "NEW"
        assert answer(await api.order_status(symbol=S, order_id=placed.order_id)).result.order_id == placed.order_id
        replaced = answer(await api.order_cancel_replace(
            **order, price=low + 1, cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=placed.order_id
        )).result
        assert replaced.new_order_result == "SUCCESS"
        second = replaced.new_order_response.order_id
        answer(await api.order_amend_keep_priority(symbol=S, order_id=second, new_qty=0.005))
        assert answer(await api.order_cancel(symbol=S, order_id=second)).result.status == "CANCELED"
        answer(await api.order_place(**order, price=low))
        assert len(answer(await api.open_orders_cancel_all(symbol=S)).result) == 1
        assert refusal(await api.order_cancel(symbol=S, order_id=second))["code"] == -2011
        filled = answer(await api.order_place(symbol=S, side="BUY", type="MARKET", quantity=0.01)).result
        assert filled.status == "FILLED"
    with_api(simulator, key_of("sdkws"), test)


@pytest.mark.proves("official SDK", "WebSocket API: order lists")
def test_order_lists(simulator, key_of):
    async def test(api):
        price = float(answer(await api.ticker_price(symbol=S)).actual_instance.result.price)
        high, low, lower = (round(price * factor, 2) for factor in (1.2, 0.8, 0.7))
        oco = answer(await api.order_list_place_oco(
            symbol=S, side="SELL", quantity=0.01, above_type="LIMIT_MAKER", above_price=high,
            below_type="STOP_LOSS", below_stop_price=low,
        )).result
        asked = answer(await api.order_list_status(order_list_id=oco.order_list_id)).result
        assert asked.list_client_order_id == oco.list_client_order_id
        assert answer(await api.order_list_cancel(symbol=S, order_list_id=oco.order_list_id)).result is not None
        working = dict(
            symbol=S, working_type="LIMIT", working_side="BUY", working_price=low, working_quantity=0.01,
            working_time_in_force="GTC", pending_side="SELL", pending_quantity=0.01,
        )
        oto = answer(await api.order_list_place_oto(
            **working, pending_type="STOP_LOSS", pending_stop_price=lower
        )).result
        otoco = answer(await api.order_list_place_otoco(
            **working, pending_above_type="LIMIT_MAKER", pending_above_price=high,
            pending_below_type="STOP_LOSS", pending_below_stop_price=lower,
        )).result
        assert (len(oto.orders), len(otoco.orders)) == (2, 3)
        del working["pending_quantity"]
        opo = answer(await api.order_list_place_opo(
            **working, pending_type="LIMIT", pending_price=high, pending_time_in_force="GTC"
        )).result
        opoco = answer(await api.order_list_place_opoco(
            **working, pending_above_type="LIMIT_MAKER", pending_above_price=high,
            pending_below_type="STOP_LOSS", pending_below_stop_price=lower,
        )).result
        assert (len(opo.orders), len(opoco.orders)) == (2, 3)
        older = answer(await api.order_list_place(
            symbol=S, side="SELL", quantity=0.01, price=high, stop_price=low
        )).result
        assert older.contingency_type == "OCO"
        for placed in (oto, otoco, opo, opoco, older):
            answer(await api.order_list_cancel(symbol=S, order_list_id=placed.order_list_id))
    with_api(simulator, key_of("sdkws"), test)


async def next_event(queue, kind, seconds=20):
    """The next event of that kind; all that come before it are held against their models too."""
    while True:
        got = event(await asyncio.wait_for(queue.get(), seconds))
        if type(got).__name__ == kind:
            return got


@pytest.mark.proves("official SDK", "WebSocket API: user data stream")
def test_user_events(simulator, key_of):
    async def test(api):
        price = float(answer(await api.ticker_price(symbol=S)).actual_instance.result.price)
        subscribed = await api.user_data_stream_subscribe_signature()
        answer(subscribed.response)
        queue = asyncio.Queue()
        subscribed.stream.on("message", queue.put_nowait)
        placed = answer(await api.order_place(
            symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=round(price * 0.8, 2)
        )).result
        new = await next_event(queue, "ExecutionReport")
        assert (new.x, new.X, new.i, new.w) == ("NEW", "NEW", placed.order_id, True)
        balances = await next_event(queue, "OutboundAccountPosition")
        assert "USDT" in {balance.a for balance in balances.B}
        answer(await api.order_cancel(symbol=S, order_id=placed.order_id))
        cancelled = await next_event(queue, "ExecutionReport")
        assert (cancelled.x, cancelled.C, cancelled.i) == ("CANCELED", placed.client_order_id, placed.order_id)
        assert cancelled.c != placed.client_order_id
        answer(await api.order_place(symbol=S, side="BUY", type="MARKET", quantity=0.01))
        assert (await next_event(queue, "ExecutionReport")).x == "NEW"
        filled = await next_event(queue, "ExecutionReport")
        assert (filled.x, filled.X, filled.N, filled.l) == ("TRADE", "FILLED", "BTC", "0.01000000")
        expired = answer(await api.order_place(
            symbol=S, side="BUY", type="LIMIT", time_in_force="IOC", quantity=0.01, price=round(price * 0.8, 2)
        )).result
        assert (await next_event(queue, "ExecutionReport")).x == "NEW"
        gone = await next_event(queue, "ExecutionReport")
        assert (gone.x, gone.i, gone.eR) == ("EXPIRED", expired.order_id, "UNFILLED_IOC_QUANTITY_EXPIRED")
        oco = answer(await api.order_list_place_oco(
            symbol=S, side="SELL", quantity=0.01, above_type="LIMIT_MAKER", above_price=round(price * 1.2, 2),
            below_type="STOP_LOSS", below_stop_price=round(price * 0.8, 2),
        )).result
        listed = await next_event(queue, "ListStatus")
        assert (listed.g, listed.c, listed.l, len(listed.O)) == (oco.order_list_id, "OCO", "EXEC_STARTED", 2)
        answer(await api.order_list_cancel(symbol=S, order_list_id=oco.order_list_id))
        assert (await next_event(queue, "ListStatus")).l == "ALL_DONE"
        simulator.admin("deposit", {"account": "sdkws", "asset": "USDT", "amount": "5"})
        assert Decimal((await next_event(queue, "BalanceUpdate")).d) == 5
        answer(await api.user_data_stream_unsubscribe())
    with_api(simulator, key_of("sdkws"), test)


@pytest.mark.proves("official SDK", "WebSocket API: session (Ed25519)")
def test_session(simulator, keys):
    api_key, private, _ = keys.ed25519

    async def test(api):
        assert answer(await api.session_logon()).result.api_key == api_key
        assert answer(await api.session_status()).result.api_key == api_key
        # Signed with the session alone.
        assert answer(await api.account_status()).result.account_type == "SPOT"
        subscribed = await api.user_data_stream_subscribe()
        answer(subscribed.response)
        assert len(answer(await api.session_subscriptions()).result) == 1
        queue = asyncio.Queue()
        subscribed.stream.on("message", queue.put_nowait)
        answer(await api.order_place(symbol=S, side="BUY", type="MARKET", quantity=0.01))
        assert (await next_event(queue, "ExecutionReport")).x == "NEW"
        answer(await api.session_logout())
        await next_event(queue, "EventStreamTerminated")
        assert answer(await api.session_status()).result.api_key is None
    with_api(simulator, (api_key, None, private), test)


@pytest.mark.proves("official SDK", "WebSocket API: session (Ed25519)")
def test_a_session_needs_ed25519(simulator, key_of):
    async def test(api):
        assert refusal(await api.session_logon())["code"] < 0
    with_api(simulator, key_of("sdkws"), test)


@pytest.mark.proves("official SDK", "WebSocket API: every method of the SDK")
def test_no_method_is_forgotten():
    """Every method of the SDK was called by the tests above, or is known not to be served."""
    from binance_sdk_spot.websocket_api.websocket_api import SpotWebSocketAPI
    methods = {name for name, value in vars(SpotWebSocketAPI).items() if callable(value) and not name.startswith("_")}
    methods -= {"send_message", "send_signed_message", "close_connection", "ping_server"}
    if len(Methods.called) < 10:
        pytest.skip("asks what all the other tests called, and they did not run")
    assert methods - Methods.called - NOT_SERVED == set()
    assert NOT_SERVED <= methods
