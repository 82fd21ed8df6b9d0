"""The official SDK's market streams: every stream of a symbol, each message held against the SDK's model."""

import asyncio
from decimal import Decimal

import pytest

import strict
from harness import run, sdk_rest, sdk_streams

S = "btcusdt"


def listen(simulator, open_stream, count=2, seconds=20):
    """The first messages of a stream."""
    async def whole():
        streams = sdk_streams(simulator.address)
        await streams.create_connection()
        try:
            queue = asyncio.Queue()
            handle = await open_stream(streams)
            handle.on("message", queue.put_nowait)
            return [await asyncio.wait_for(queue.get(), seconds) for _ in range(count)]
        finally:
            await streams.close_connection()
    return run(whole())


STREAMS = {
    "trade": lambda streams: streams.trade(symbol=S),
    "aggTrade": lambda streams: streams.agg_trade(symbol=S),
    "bookTicker": lambda streams: streams.book_ticker(symbol=S),
    "kline_1m": lambda streams: streams.kline(symbol=S, interval="1m"),
    "kline_5m": lambda streams: streams.kline(symbol=S, interval="5m"),
    "kline_1h": lambda streams: streams.kline(symbol=S, interval="1h"),
    "miniTicker": lambda streams: streams.mini_ticker(symbol=S),
    "ticker": lambda streams: streams.ticker(symbol=S),
    "avgPrice": lambda streams: streams.avg_price(symbol=S),
    "depth": lambda streams: streams.diff_book_depth(symbol=S),
    "depth@100ms": lambda streams: streams.diff_book_depth(symbol=S, update_speed="100ms"),
    "depth5": lambda streams: streams.partial_book_depth(symbol=S, levels="5"),
    "depth20@100ms": lambda streams: streams.partial_book_depth(symbol=S, levels="20", update_speed="100ms"),
}


@pytest.mark.proves("official SDK", "market streams")
@pytest.mark.parametrize("name", STREAMS)
def test_stream(simulator, name):
    for message in listen(simulator, STREAMS[name]):
        got = strict.event(message)
        symbol = getattr(got, "s", None)
        assert symbol in (None, "BTCUSDT")


@pytest.mark.proves("official SDK", "market streams")
def test_all_mini_tickers(simulator):
    for message in listen(simulator, lambda streams: streams.all_mini_ticker()):
        assert isinstance(message, list)
        for item in message:
            strict.event(item)


@pytest.mark.proves("official SDK", "market streams")
def test_candles_close_and_agree_with_rest(simulator, key_of):
    """Every closed candle of the stream is the candle that REST has."""
    closed = []
    for message in listen(simulator, STREAMS["kline_1m"], count=30, seconds=30):
        if strict.event(message).k.x:
            closed.append(message.k)
    assert len(closed) >= 2
    sdk = sdk_rest(simulator.address, *key_of("sdk"))
    for candle in closed:
        row = strict.answer(sdk.klines(symbol="BTCUSDT", interval="1m", start_time=candle.t, end_time=candle.t))[0]
        assert row[1:6] == [candle.o, candle.h, candle.l, candle.c, candle.v]
        assert row[6] == candle.T


@pytest.mark.proves("official SDK", "market streams")
def test_the_book_is_kept_by_the_documented_steps(simulator, key_of):
    """Snapshot and differences, as the documentation says; then it is the exchange's own book."""
    sdk = sdk_rest(simulator.address, *key_of("sdk"))

    async def whole():
        streams = sdk_streams(simulator.address)
        await streams.create_connection()
        try:
            queue = asyncio.Queue()
            handle = await streams.diff_book_depth(symbol=S, update_speed="100ms")
            handle.on("message", queue.put_nowait)
            first = await asyncio.wait_for(queue.get(), 20)
            while True:
                snapshot = await asyncio.to_thread(lambda: strict.answer(sdk.depth(symbol="BTCUSDT", limit=5000)))
                if snapshot.last_update_id >= first.U:
                    break
            book = {side: {Decimal(p): Decimal(q) for p, q in getattr(snapshot, side)} for side in ("bids", "asks")}
            last, applied, message = snapshot.last_update_id, 0, first
            while applied < 20:
                strict.event(message)
                if message.u > last:
                    assert message.U <= last + 1 <= message.u, "there is a gap between two messages"
                    for side, changes in (("bids", message.b), ("asks", message.a)):
                        for price, quantity in changes:
                            if Decimal(quantity) == 0:
                                book[side].pop(Decimal(price), None)
                            else:
                                book[side][Decimal(price)] = Decimal(quantity)
                    last, applied = message.u, applied + 1
                    assert max(book["bids"]) < min(book["asks"]), "the book is crossed"
                message = await asyncio.wait_for(queue.get(), 20)
            # The exchange's book may have gone on meanwhile: follow until both are at the same update.
            for _ in range(200):
                now = await asyncio.to_thread(lambda: strict.answer(sdk.depth(symbol="BTCUSDT", limit=20)))
                while last < now.last_update_id:
                    for side, changes in (("bids", message.b), ("asks", message.a)):
                        for price, quantity in changes:
                            if Decimal(quantity) == 0:
                                book[side].pop(Decimal(price), None)
                            else:
                                book[side][Decimal(price)] = Decimal(quantity)
                    last = max(last, message.u)
                    message = await asyncio.wait_for(queue.get(), 20)
                if last == now.last_update_id:
                    best = sorted(book["bids"].items(), reverse=True)[:20]
                    assert best == [(Decimal(p), Decimal(q)) for p, q in now.bids]
                    best = sorted(book["asks"].items())[:20]
                    assert best == [(Decimal(p), Decimal(q)) for p, q in now.asks]
                    return
            raise AssertionError("stream and snapshot never met")
        finally:
            await streams.close_connection()
    run(whole())
