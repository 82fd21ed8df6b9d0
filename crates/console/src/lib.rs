//! What faces people: control socket, tables, live screen.
