-- The book: an append-only journal, and the projections that an operator wants to query. Both change in one transaction.
-- Amounts are exact decimals as TEXT; times are milliseconds since the Unix epoch, UTC.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- hash = SHA-256(hash of the previous row, sequence, time, kind, actor, correlation_id, payload); see store::chain.
CREATE TABLE journal (
    sequence       INTEGER PRIMARY KEY,
    time           INTEGER NOT NULL,
    kind           TEXT    NOT NULL,
    actor          TEXT    NOT NULL,
    correlation_id INTEGER NOT NULL,
    payload        TEXT    NOT NULL,
    hash           BLOB    NOT NULL
) STRICT;
CREATE INDEX journal_correlation ON journal (correlation_id) WHERE correlation_id != 0;
CREATE INDEX journal_starts ON journal (sequence) WHERE kind = 'started';

CREATE TRIGGER journal_is_append_only_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_append_only_delete BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY,
    instance        TEXT    NOT NULL,
    symbol          TEXT    NOT NULL,
    side            TEXT    NOT NULL,
    order_type      TEXT    NOT NULL,
    purpose         TEXT    NOT NULL,
    quantity        TEXT    NOT NULL,
    price           TEXT,
    executed        TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    intended_at     INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    done            INTEGER NOT NULL,
    correlation_id  INTEGER NOT NULL,
    body            TEXT    NOT NULL
) STRICT;
CREATE INDEX orders_open ON orders (done) WHERE done = 0;
CREATE INDEX orders_intended ON orders (intended_at);

CREATE TABLE fills (
    symbol           TEXT    NOT NULL,
    trade_id         INTEGER NOT NULL,
    client_order_id  TEXT    NOT NULL,
    instance         TEXT    NOT NULL,
    side             TEXT    NOT NULL,
    price            TEXT    NOT NULL,
    quantity         TEXT    NOT NULL,
    commission       TEXT    NOT NULL,
    commission_asset TEXT    NOT NULL,
    is_maker         INTEGER NOT NULL,
    time             INTEGER NOT NULL,
    result           TEXT,
    PRIMARY KEY (symbol, trade_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX fills_time ON fills (time);

CREATE TABLE instances (
    instance TEXT PRIMARY KEY,
    family   TEXT NOT NULL,
    body     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    instance      TEXT NOT NULL,
    symbol        TEXT NOT NULL,
    quantity      TEXT NOT NULL,
    cost          TEXT NOT NULL,
    average_price TEXT,
    realized      TEXT NOT NULL,
    fees          TEXT NOT NULL,
    opened_at     INTEGER,
    PRIMARY KEY (instance, symbol)
) STRICT, WITHOUT ROWID;

-- Peaks and bases of the portfolio ('portfolio') and the families ('family <id>').
CREATE TABLE trackers (
    scope TEXT PRIMARY KEY,
    body  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE equity (
    time   INTEGER NOT NULL,
    scope  TEXT    NOT NULL,
    equity TEXT    NOT NULL,
    PRIMARY KEY (time, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE marks (
    symbol TEXT PRIMARY KEY,
    price  TEXT    NOT NULL,
    time   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE restrictions (
    scope      TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    permission TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (scope, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE protections (
    instance    TEXT NOT NULL,
    symbol      TEXT NOT NULL,
    stop        TEXT NOT NULL,
    take_profit TEXT,
    PRIMARY KEY (instance, symbol)
) STRICT, WITHOUT ROWID;

CREATE TABLE strategy_states (
    instance TEXT    NOT NULL,
    symbol   TEXT    NOT NULL,
    through  INTEGER NOT NULL,
    state    TEXT    NOT NULL,
    PRIMARY KEY (instance, symbol)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    sequence       INTEGER PRIMARY KEY,
    time           INTEGER NOT NULL,
    severity       TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    scope          TEXT    NOT NULL,
    text           TEXT    NOT NULL,
    correlation_id INTEGER NOT NULL
) STRICT;

-- One row for each alert and channel; it stays until the channel has taken the alert.
CREATE TABLE alert_outbox (
    sequence INTEGER NOT NULL REFERENCES alerts (sequence),
    channel  TEXT    NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sequence, channel)
) STRICT, WITHOUT ROWID;

-- The paper account is an exchange of its own; its state is written before anybody is told of a change.
CREATE TABLE paper_account (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT NOT NULL
) STRICT;
