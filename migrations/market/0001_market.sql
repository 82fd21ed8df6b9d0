-- Market data that can be fetched again: not part of the backups.

CREATE TABLE candles (
    symbol    TEXT    NOT NULL,
    interval  TEXT    NOT NULL,
    open_time INTEGER NOT NULL,
    open      TEXT    NOT NULL,
    high      TEXT    NOT NULL,
    low       TEXT    NOT NULL,
    close     TEXT    NOT NULL,
    volume    TEXT    NOT NULL,
    PRIMARY KEY (symbol, interval, open_time)
) STRICT, WITHOUT ROWID;
