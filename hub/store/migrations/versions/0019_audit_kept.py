"""The audit is found by time, kind, target and key; the database itself refuses to change or delete its rows."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"

SQLITE = (
    "CREATE TRIGGER audit_kept_from_{change} BEFORE {change} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'rows of audit are never changed'); END"
)
POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'rows of audit are never changed'; END $$""",
    """CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
       FOR EACH STATEMENT EXECUTE FUNCTION audit_kept()""",
)


def upgrade() -> None:
    for columns in (["at"], ["what", "at"], ["target", "at"], ["key_id", "at"]):
        op.create_index("_".join(["ix_audit", *columns, "id"]), "audit", [*columns, "id"])
    sqlite = [SQLITE.format(change=change) for change in ("update", "delete")]
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else sqlite:
        op.execute(statement)
