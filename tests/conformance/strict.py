"""Holds an answer against the official SDK's own model of it: types exactly, and every field.

The SDK itself is lenient: an answer that does not fit is parsed with relaxed types, or handed over raw, and a warning is
logged. Here each of these is a failure. Its models also call every field optional, so a field that is missing would never
be noticed: here it is, unless CONDITIONAL says when the documentation lets it be absent.
"""

import inspect
import logging

import binance_common.utils
from pydantic import BaseModel

# What comes with a feature only, in every answer about an order. The SDK's models have these in some answers and not in
# others, so they may be missing and may be more than a model has.
WITH_A_FEATURE = {
    "stopPrice": "orders with a trigger",
    "icebergQty": "iceberg orders",
    "trailingDelta": "trailing orders",
    "trailingTime": "trailing orders that are active",
    "strategyId": "where the request had one",
    "strategyType": "where the request had one",
    "preventedMatchId": "after a prevented self-trade",
    "preventedQuantity": "after a prevented self-trade",
    "usedSor": "routed orders",
    "workingFloor": "routed orders",
    "pegPriceType": "pegged orders",
    "pegOffsetType": "pegged orders",
    "pegOffsetValue": "pegged orders",
    "peggedPrice": "pegged orders",
    "expiryReason": "expired orders, since 2026-03-26",
}

# A query tells these of every order, though, with or without the feature.
QUERIES = {
    "GetOrderResponse", "GetOpenOrdersResponseInner", "AllOrdersResponseInner", "OrderStatusResponseResult",
    "OpenOrdersStatusResponseResultInner", "AllOrdersResponseResultInner",
}
IN_QUERIES = {"stopPrice", "icebergQty"}

# Fields of a model that the documentation gives under a condition only, with the condition.
# Fields that an answer has and the SDK's model has not, although the documentation does.
SURPLUS = {
    ("DeleteOrderListResponseOrderReportsInner", "selfTradePreventionMode"): "as in DELETE order",
    ("OrderListCancelResponseResultOrderReportsInner", "origClientOrderId"): "as in order.cancel",
    ("OrderCancelReplaceResponseResultNewOrderResponse", "fills"): "as in order.place, kind FULL",
    ("OrderCancelReplaceResponseResultNewOrderResponse", "workingTime"): "as in order.place, kind FULL",
}

CONDITIONAL = {
    ("ExchangeInfoResponse", "sors"): "where the exchange offers smart order routing",
    ("*", "priceExponent"): "binary answers (SBE) instead of tickSize",
    ("*", "multiplierExponent"): "binary answers (SBE) instead of the multipliers",
    ("*", "qtyExponent"): "binary answers (SBE) instead of stepSize",
    # One model for all limits; exchangeInfo tells the limits without what is used of them.
    ("MyFiltersResponseRateLimitsInner", "count"): "not in exchangeInfo",
    ("RateLimits", "count"): "not in exchangeInfo",
    # One model for a cancelled order and for a cancelled list.
    **{(model, field): "where the order was one of a list"
       for model in ("OrderCancelResponseResult", "OpenOrdersCancelAllResponseResultInner")
       for field in ("contingencyType", "listStatusType", "listOrderStatus", "listClientOrderId", "transactionTime",
                     "orders", "orderReports")},
    ("MyFiltersResponse", "rateLimits"): "myFilters tells filters only; the model is shared with exchangeInfo",
    ("OrderAmendKeepPriorityResponse", "listStatus"): "orders of a list",
    ("OrderAmendKeepPriorityResponseResult", "listStatus"): "orders of a list",
}

# One letter is enough on the streams; these come with the feature only.
CONDITIONAL_EVENT = set("d D j J v A B u U Cs pl pL pY b a k uS gP gOT gOV gp eR W".split())


class Warnings(logging.Handler):
    """Collects what the SDK complains about."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.seen = []

    def emit(self, record):
        self.seen.append(record.getMessage())

    def take(self):
        seen, self.seen = self.seen, []
        return seen


WARNINGS = Warnings()
# Exceptions that were needed.
NEEDED: set = set()
# How many answers and fields were held against a model, by the model's name.
COMPARED: dict[str, int] = {}


def install():
    """Takes the leniency out of the SDK."""
    logging.getLogger().addHandler(WARNINGS)
    # The second attempt with relaxed types fails as the first one did.
    binance_common.utils.relax_model_strictness = lambda _: None


def answer(response):
    """The parsed answer; fails where the SDK's model does not take it exactly."""
    data = response.data()
    complaints = WARNINGS.take()
    assert not complaints, f"the SDK complains: {complaints}"
    names = inspect.getclosurevars(response._data_function).nonlocals
    model, raw = names.get("response_model"), names.get("parsed", names.get("ws_response"))
    if "ws_response" in names:
        # Every answer may tell the limits; some models leave them out.
        assert "rateLimits" in raw, "an answer of the WebSocket API without its rate limits"
        raw = {name: value for name, value in raw.items() if name != "rateLimits" or name in _wires(model)}
        limits = names["ws_response"]["rateLimits"]
        if model is not None and "result" not in _wires(model):
            # Here the SDK's model is that of the result alone, and finds nothing in the frame around it.
            if "actual_instance" in model.model_fields:
                # One of several models: the SDK never asks which, over the WebSocket API.
                data = model.from_dict({**raw, "rateLimits": limits})
                raw = {**raw, "rateLimits": limits}
            else:
                raw = raw["result"]
                data = model.model_validate(raw)
    if model is None:
        # The SDK has no model for arrays of arrays.
        return data
    problems = []
    _walk(data, raw, type(data).__name__, problems)
    assert not problems, f"{model.__name__}: " + "; ".join(sorted(set(problems)))
    return data


def raw(response):
    """A REST answer as it came."""
    return inspect.getclosurevars(response._data_function).nonlocals["parsed"]


def event(model):
    """The same for a message of a stream, whose raw text the SDK does not hand over."""
    complaints = WARNINGS.take()
    assert not complaints, f"the SDK complains: {complaints}"
    inner = getattr(model, "actual_instance", model)
    assert isinstance(inner, BaseModel), f"the SDK has no model for {inner}"
    problems = []
    _walk(inner, None, type(inner).__name__, problems)
    assert not problems, f"{type(inner).__name__}: " + "; ".join(sorted(set(problems)))
    return inner


def _excused(table: dict, model: str, field: str) -> bool:
    for key in ((model, field), ("*", field)):
        if key in table:
            NEEDED.add(key)
            return True
    return False


def unneeded() -> list:
    """Exceptions that no answer needed: they should go."""
    return sorted((set(CONDITIONAL) | set(SURPLUS)) - NEEDED)


def _wires(model) -> set:
    """The names of a model's fields on the wire."""
    return {field.alias or name for name, field in model.model_fields.items()} if model else set()


def _is_conditional(model: str, field: str) -> bool:
    if model in QUERIES and field in IN_QUERIES:
        return False
    return _excused(CONDITIONAL, model, field) or field in WITH_A_FEATURE


def _walk(value, raw, place: str, problems: list):
    if isinstance(value, BaseModel) and "actual_instance" in type(value).model_fields:
        value = value.actual_instance
    if isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, raw[index] if raw is not None else None, place, problems)
    elif isinstance(value, BaseModel):
        _fields(value, raw, place, problems)


def _fields(value: BaseModel, raw, place: str, problems: list):
    model = type(value).__name__
    COMPARED[model] = COMPARED.get(model, 0) + 1
    known = set()
    for name, field in type(value).model_fields.items():
        if name == "additional_properties":
            continue
        wire = field.alias or name
        known.add(wire)
        is_there = wire in raw if raw is not None else name in value.model_fields_set
        if not is_there:
            if not (_is_conditional(model, wire) or (raw is None and wire in CONDITIONAL_EVENT)):
                problems.append(f"{place}.{wire} is missing")
            continue
        inner = getattr(value, name)
        _walk(inner, raw[wire] if raw is not None else None, f"{place}.{wire}", problems)
    if raw is not None:
        for wire in set(raw) - known:
            if wire not in WITH_A_FEATURE and not _excused(SURPLUS, model, wire):
                problems.append(f"{place}.{wire} is not in the SDK's model")
