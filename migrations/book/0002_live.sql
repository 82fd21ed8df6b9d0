-- What trading on a real account needs.

-- Protection may rest on the exchange: 'local' is watched by the service, 'resting' is an order. `sequence` is what is
-- under way with the resting orders (JSON), so that a restart goes on with it.
ALTER TABLE protections ADD COLUMN style TEXT NOT NULL DEFAULT 'local';
ALTER TABLE protections ADD COLUMN sequence TEXT;

-- Held on the account beside the books: found at the first start, configured, or moved by a transfer.
CREATE TABLE outside (
    asset      TEXT PRIMARY KEY,
    quantity   TEXT NOT NULL,
    -- What the configuration said last: it is applied again only when it says something else.
    configured TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX journal_promotions ON journal (sequence) WHERE kind = 'promoted';

-- Up to which trade of each symbol the book was compared with the account: no trade up to it can be missing.
CREATE TABLE trades_reconciled (
    symbol   TEXT PRIMARY KEY,
    trade_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
