"""What all tables share."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, Integer, MetaData

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

Big = BigInteger().with_variant(Integer, "sqlite")
Time = Float(53)


def only(rows: ColumnElement[bool]) -> dict[str, Any]:
    """What an index is given that holds some rows only."""
    return {"sqlite_where": rows, "postgresql_where": rows}
