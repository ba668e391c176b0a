"""What all tables share."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, Integer, MetaData, Text

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

Big = BigInteger().with_variant(Integer, "sqlite")
Time = Float(53)
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
"""A text in the order of its bytes, whatever the database's language is, so that an index finds how names begin."""


def only(rows: ColumnElement[bool]) -> dict[str, Any]:
    """What an index is given that holds some rows only."""
    return {"sqlite_where": rows, "postgresql_where": rows}
