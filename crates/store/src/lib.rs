//! SQLite journal and projections, migrations, recovery of state.
