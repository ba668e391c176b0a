"""Whether the statements of a bus read their tables by an index."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, event, insert

from hub.store import Store
from hub.store.tables import lanes, messages

T = TypeVar("T")


def fill(connection: Connection) -> None:
    """Enough rows, and knowledge of them, that a planner would not read a whole table for convenience."""
    lane = {"tail": 9, "head": 0, "taken": 0, "stop": 0, "leased": False, "token": 0, "tries": 0}
    row = {"body": b"", "at": 0.0, "attempts": 0}
    numbers = [(n, f"agent:{n % 30}") for n in range(1, 3001)]
    connection.execute(
        insert(lanes), [{**lane, "id": n, "inbox": inbox, "lane": f"{n}", "ready_at": float(n)} for n, inbox in numbers]
    )
    connection.execute(
        insert(messages), [{**row, "lane_id": n % 300, "seq": n, "inbox": inbox, "mid": f"{n}"} for n, inbox in numbers]
    )
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('lanes', 'id'), 3000)")
    connection.exec_driver_sql("ANALYZE")


class Explained:
    """A store that keeps the plan of every statement that ran."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.plans: dict[str, list[str]] = {}

    async def write(self, unit: Callable[[Connection], T]) -> T:
        def explained(connection: Connection) -> T:
            seen: dict[str, Any] = {}

            def record(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
                if not statement.startswith("SET "):  # which has no plan
                    seen[statement] = parameters[0] if isinstance(parameters, list) else parameters

            event.listen(connection, "before_cursor_execute", record)
            result = unit(connection)
            event.remove(connection, "before_cursor_execute", record)
            explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
            for statement, parameters in seen.items():
                lines = connection.exec_driver_sql(explain + statement, parameters)
                self.plans[statement] = [line[-1] for line in lines]
            return result

        return await self._store.write(explained)

    async def read(self, unit: Callable[[Connection], T]) -> T:
        return await self.write(unit)

    async def close(self) -> None:
        await self._store.close()


def reads_all(line: str) -> bool:
    """A line of a plan that goes through a whole table."""
    return line.startswith(("SCAN lanes", "SCAN messages")) or "Seq Scan on lanes" in line or "Seq Scan on mess" in line
