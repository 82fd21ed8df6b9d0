"""ccxt.pro: market streams, the events of an account, and orders over the WebSocket API."""

import asyncio

import pytest

from harness import CcxtPro, ccxt_at, run

S = "BTC/USDT"


def with_pro(simulator, test, credentials=(), **options):
    async def whole():
        exchange = ccxt_at(CcxtPro, simulator.address, *credentials, **options)
        try:
            await exchange.load_markets()
            return await test(exchange)
        finally:
            await exchange.close()
    return run(whole())


@pytest.mark.proves("ccxt.pro", "market streams")
def test_trades_tickers_candles(simulator):
    async def test(exchange):
        trades = await exchange.watch_trades(S)
        assert trades[-1]["symbol"] == S and trades[-1]["price"] > 0
        ticker = await exchange.watch_ticker(S)
        assert ticker["symbol"] == S and ticker["last"] > 0
        both = {}
        while len(both) < 2:
            both.update(await exchange.watch_tickers([S, "ETH/USDT"]))
        assert set(both) == {S, "ETH/USDT"}
        best = await exchange.watch_bids_asks([S])
        assert best[S]["bid"] < best[S]["ask"]
        seen = set()
        while len(seen) < 3:
            seen.update(row[0] for row in await exchange.watch_ohlcv(S, "1m"))
        opened = sorted(seen)
        assert all(later - earlier == 60_000 for earlier, later in zip(opened, opened[1:]))
    with_pro(simulator, test)


@pytest.mark.proves("ccxt.pro", "order book synchronisation")
def test_order_book(simulator):
    async def test(exchange):
        last = 0
        for _ in range(40):
            book = await exchange.watch_order_book(S)
            assert book["bids"][0][0] < book["asks"][0][0], "the book is crossed"
            assert book["nonce"] >= last
            last = book["nonce"]
        snapshot = await exchange.fetch_order_book(S, 20)
        assert abs(snapshot["bids"][0][0] - book["bids"][0][0]) / book["bids"][0][0] < 0.05
    with_pro(simulator, test)


@pytest.mark.proves("ccxt.pro", "user data stream")
def test_orders_balances_and_trades(simulator, key_of):
    """ccxt subscribes by a signature on the WebSocket API; listen keys are gone."""
    async def test(exchange):
        price = (await exchange.fetch_ticker(S))["last"]
        orders = asyncio.ensure_future(exchange.watch_orders(S))
        balances = asyncio.ensure_future(exchange.watch_balance())
        trades = asyncio.ensure_future(exchange.watch_my_trades(S))
        await exchange.ensure_user_data_stream_ws_subscribe_signature("spot")
        low = float(exchange.price_to_precision(S, price * 0.8))
        placed = await exchange.create_order(S, "limit", "buy", 0.01, low)
        seen = (await asyncio.wait_for(orders, 20))[-1]
        assert (seen["id"], seen["status"]) == (placed["id"], "open")
        assert (await asyncio.wait_for(balances, 20))["USDT"]["used"] > 0
        cancelled = asyncio.ensure_future(exchange.watch_orders(S))
        await asyncio.sleep(0)
        await exchange.cancel_order(placed["id"], S)
        seen = (await asyncio.wait_for(cancelled, 20))[-1]
        assert (seen["id"], seen["status"], seen["clientOrderId"]) == (
            placed["id"], "canceled", placed["clientOrderId"]
        )
        bought = await exchange.create_order(S, "market", "buy", 0.01)
        trade = (await asyncio.wait_for(trades, 20))[-1]
        assert (trade["order"], trade["amount"], trade["fee"]["currency"]) == (bought["id"], 0.01, "BTC")
    with_pro(simulator, test, key_of("ccxtpro"))


@pytest.mark.proves("ccxt.pro", "orders over the WebSocket API")
def test_orders(simulator, key_of):
    async def test(exchange):
        price = (await exchange.fetch_ticker(S))["last"]
        low = float(exchange.price_to_precision(S, price * 0.8))
        assert len(await exchange.fetch_ohlcv_ws(S, "1m", limit=3)) == 3
        # ccxt 4.5.90 leaves its own table of a spot account empty here.
        assert (await exchange.fetch_balance_ws())["info"]["balances"]
        placed = await exchange.create_order_ws(S, "limit", "buy", 0.01, low)
        assert placed["status"] == "open"
        assert (await exchange.fetch_order_ws(placed["id"], S))["id"] == placed["id"]
        assert placed["id"] in [it["id"] for it in await exchange.fetch_open_orders_ws(S)]
        second = await exchange.edit_order_ws(placed["id"], S, "limit", "buy", 0.02, low + 1)
        assert second["amount"] == 0.02
        assert (await exchange.cancel_order_ws(second["id"], S))["status"] == "canceled"
        await exchange.create_order_ws(S, "limit", "buy", 0.01, low)
        assert len(await exchange.cancel_all_orders_ws(S)) == 1
        bought = await exchange.create_order_ws(S, "market", "buy", 0.01)
        assert bought["filled"] == 0.01
        assert bought["id"] in [it["id"] for it in await exchange.fetch_orders_ws(S)]
        assert bought["id"] in [it["order"] for it in await exchange.fetch_my_trades_ws(S)]
    with_pro(simulator, test, key_of("ccxtpro"))
