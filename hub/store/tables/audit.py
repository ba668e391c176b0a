"""Who changed what: a table whose rows are only ever added, by the database's own rule."""

from sqlalchemy import DDL, Column, Index, Integer, LargeBinary, Table, Text, event

from hub.store.tables.metadata import Big, Time, metadata

audit = Table(
    "audit",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("at", Time, nullable=False),
    Column("key_id", Integer),
    Column("by", Text, nullable=False),
    Column("ip", Text),
    Column("what", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("after", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
for _columns in (("at",), ("what", "at"), ("target", "at"), ("key_id", "at")):
    Index(None, *(audit.c[name] for name in (*_columns, "id")))

KEPT = {
    "sqlite": [
        f"CREATE TRIGGER audit_kept_from_{change} BEFORE {change} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'rows of audit are never changed'); END"
        for change in ("update", "delete")
    ],
    "postgresql": [
        """CREATE OR REPLACE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'rows of audit are never changed'; END $$""",
        """CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
           FOR EACH STATEMENT EXECUTE FUNCTION audit_kept()""",
    ],
}
for _dialect, _statements in KEPT.items():
    for _statement in _statements:
        event.listen(audit, "after_create", DDL(_statement).execute_if(dialect=_dialect))
