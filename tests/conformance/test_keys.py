"""Keys of every kind, by both clients, over REST and the WebSocket API."""

import pytest

import strict
from harness import CcxtPro, CcxtSync, ccxt_at, run, sdk_rest, sdk_ws_api

KINDS = ["hmac", "rsa", "ed25519"]


@pytest.mark.proves("official SDK", "keys: HMAC, RSA, Ed25519")
@pytest.mark.parametrize("kind", KINDS)
def test_sdk(simulator, keys, kind):
    key = getattr(keys, kind)
    signing = {"secret": key[1]} if kind == "hmac" else {"private_key": key[1]}
    rest = sdk_rest(simulator.address, key[0], **signing)
    assert strict.answer(rest.get_account()).can_trade
    # Names that must be encoded before they are signed.
    placed = strict.answer(rest.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01))
    assert placed.status == "FILLED"

    async def over_ws():
        api = sdk_ws_api(simulator.address, key[0], **signing)
        await api.create_connection()
        try:
            return strict.answer(await api.account_status()).result.can_trade
        finally:
            await api.close_connection()
    assert run(over_ws())


@pytest.mark.proves("ccxt", "keys: HMAC, RSA, Ed25519")
@pytest.mark.parametrize("kind", KINDS)
def test_ccxt(simulator, keys, kind):
    key = getattr(keys, kind)
    exchange = ccxt_at(CcxtSync, simulator.address, key[0], key[1])
    assert exchange.create_order("BTC/USDT", "market", "buy", 0.01)["status"] == "closed"


@pytest.mark.proves("ccxt.pro", "keys: HMAC, RSA, Ed25519")
@pytest.mark.parametrize("kind", KINDS)
def test_ccxt_pro(simulator, keys, kind):
    key = getattr(keys, kind)

    async def whole():
        exchange = ccxt_at(CcxtPro, simulator.address, key[0], key[1])
        try:
            await exchange.load_markets()
            return await exchange.fetch_balance_ws()
        finally:
            await exchange.close()
    # ccxt 4.5.90 leaves its own table of a spot account empty here; the answer itself is in `info`.
    assert run(whole())["info"]["balances"]
