"""Starts the simulator and points the clients at it.

It must never reach anything but 127.0.0.1: every address of a client is replaced, and one that is left is an error.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import ccxt
import ccxt.pro
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

# Where the market begins. At 60 x a minute takes a second, and each symbol trades four times in it.
SYMBOLS = {"BTCUSDT": "50000", "ETHUSDT": "3000", "ETHBTC": "0.06"}
SPEED = "60"
RICH = "USDT=1000000,BTC=100,ETH=1000,BNB=100"


class Keys:
    """Key pairs made for one run: nothing secret is kept in the repository."""

    def __init__(self, directory: Path):
        self.hmac = ("hmac-key-" + "a" * 24, "a secret for the simulator only")
        self.ed25519 = self._pair(directory, "ed25519", ed25519.Ed25519PrivateKey.generate())
        self.rsa = self._pair(directory, "rsa", rsa.generate_private_key(65537, 2048))

    @staticmethod
    def _pair(directory: Path, kind: str, private):
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        path = directory / f"{kind}-public.pem"
        path.write_bytes(public)
        return f"{kind}-key-" + "b" * 24, pem.decode(), path


class Simulator:
    """A running `vigia simulator`."""

    def __init__(self, *arguments: str):
        binary = os.environ["CONFORMANCE_BINARY"]
        self.process = subprocess.Popen(
            [binary, "simulator", "--port", "0", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.said = []
        while True:
            line = self.process.stdout.readline()
            self.said.append(line)
            if not line:
                raise RuntimeError("the simulator did not start:\n" + "".join(self.said))
            if "Ctrl-C" in line:
                break
        # What it says later must not fill the pipe.
        threading.Thread(target=self._drain, daemon=True).start()
        text = "".join(self.said)
        self.address = re.search(r"http://([\d.]+:\d+)/", text).group(1)
        # Accounts by name, with the test key that was made for each.
        found = re.findall(r"account (\S+?),? .*\n +api key +(\S+)\n +secret +(\S+) ", text)
        self.accounts = {name: (api_key, secret) for name, api_key, secret in found}

    def _drain(self):
        for line in self.process.stdout:
            self.said.append(line)

    def get(self, path: str):
        """A public request without any client."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.load(answer)

    def admin(self, request: str, body=None):
        """The administrator's side: `GET` without a body, else `POST`."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://{self.address}/admin/{request}"
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)


def sdk_rest(address: str, api_key=None, secret=None, private_key=None, **more) -> "Spot":
    """The official SDK's REST client. No retries: an answer is an answer."""
    configuration = ConfigurationRestAPI(
        api_key=api_key, api_secret=secret, private_key=private_key,
        base_path=f"http://{address}", timeout=10_000, retries=0, **more,
    )
    return Spot(config_rest_api=configuration).rest_api


class Recording:
    """The SDK's client, which remembers what was called, so that nothing of it is forgotten."""

    called: set[str] = set()

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        self.called.add(name)
        return getattr(self._client, name)


def sdk_ws_api(address: str, api_key=None, secret=None, private_key=None):
    configuration = ConfigurationWebSocketAPI(
        api_key=api_key, api_secret=secret, private_key=private_key, stream_url=f"ws://{address}/ws-api/v3",
    )
    return Spot(config_ws_api=configuration).websocket_api


def sdk_streams(address: str):
    configuration = ConfigurationWebSocketStreams(stream_url=f"ws://{address}")
    return Spot(config_ws_streams=configuration).websocket_streams


def _at(urls, address: str):
    """Replaces the host in every address, wherever it stands."""
    if isinstance(urls, dict):
        return {name: _at(value, address) for name, value in urls.items()}
    scheme, rest = urls.split("://", 1)
    path = rest.split("/", 1)[1] if "/" in rest else ""
    return f"{'ws' if scheme.startswith('ws') else 'http'}://{address}/{path}"


class _Local:
    """ccxt chooses its table of errors by the address; at another address it must be told which exchange this is."""

    def get_exceptions_by_url(self, url, exactOrBroad):
        return self.safe_dict(self.safe_dict(self.exceptions, "spot", {}), exactOrBroad, {})


class CcxtSync(_Local, ccxt.binance):
    """ccxt's REST client."""


class CcxtPro(_Local, ccxt.pro.binance):
    """ccxt's REST and WebSocket client."""

    def is_spot_url(self, client):
        # By default known by the name of the exchange's host.
        return True


def ccxt_at(kind, address: str, api_key=None, secret=None, **options):
    """ccxt as it is by default, but for the address and for `spot` being the only kind of market."""
    exchange = kind({
        "apiKey": api_key, "secret": secret, "enableRateLimit": False,
        "options": {"fetchMarkets": {"types": ["spot"]}, **options},
    })
    exchange.urls["api"] = _at(exchange.urls["api"], address)
    return exchange


def until(condition, what: str, seconds: float = 20.0):
    """Asks until it is so: the market goes on meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def run(coroutine, seconds: float = 60.0):
    """Runs a test of a WebSocket client; one that hangs fails."""
    return asyncio.run(asyncio.wait_for(coroutine, seconds))
