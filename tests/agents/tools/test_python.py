"""A typed function with a docstring is a tool."""

import re
import sys
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, Field

from agents.tools import SETS, TOOLS, Unusable, make, names, python
from agents.tools.python import FunctionTool
from hub.agent import Turn
from hub.config import load
from hub.errors import ConfigError, RequestError
from tests.agents.fake_turn import FakeTurn

HERE = __name__


class Place(BaseModel):
    city: str
    country: str = "FR"


def weather(city: Annotated[str, Field(description="Its name.")], days: int = 1, unit: Literal["C", "F"] = "C") -> str:
    """Tell the weather of a city.

    Up to a week ahead.
    """
    return f"{city}, {days} day(s): 20 {unit}"


async def whoami(turn: Turn, loud: bool = False) -> dict[str, Any]:
    """Tell which chat this is."""
    return {"address": str(turn.address), "loud": loud}


def thread() -> str:
    """Tell which thread runs this."""
    return threading.current_thread().name


def visit(place: Place, *, tags: list[str] | None = None) -> list[str]:
    """Go somewhere."""
    return [place.city, place.country, *(tags or [])]


def message(text: str) -> str:
    """Has the name of a built-in tool."""
    return text


def undocumented(text: str) -> str:
    return text


def many(*texts: str) -> str:
    """Takes as many as there are."""
    return "".join(texts)


def callback(then: Callable[[], None]) -> str:
    """Takes what JSON cannot hold."""
    then()
    return ""


NO_FUNCTION = 3
exec('def untyped(text):\n    "Does not say what it takes."')


async def call(tool: str, turn: FakeTurn | None = None, **arguments: Any) -> str:
    return await make(f"{HERE}:{tool}").call(turn or FakeTurn(), "0", arguments)


def test_signature_and_docstring_are_what_the_model_is_told() -> None:
    tool = make(f"{HERE}:weather")
    assert (tool.name, tool.description) == ("weather", "Tell the weather of a city.\n\nUp to a week ahead.")
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "title": "City", "description": "Its name."},
            "days": {"type": "integer", "title": "Days"},
            "unit": {"type": "string", "title": "Unit", "enum": ["C", "F"]},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


async def test_what_is_not_given_is_the_functions_own_default() -> None:
    assert await call("weather", city="Lyon") == "Lyon, 1 day(s): 20 C"
    assert await call("weather", city="Lyon", days=3, unit="F") == "Lyon, 3 day(s): 20 F"


async def test_a_first_parameter_of_type_turn_gets_the_turn_and_is_hidden_from_the_model() -> None:
    assert msgspec.json.decode(await call("whoami", loud=True)) == {"address": "support:42:7", "loud": True}
    assert list(make(f"{HERE}:whoami").parameters["properties"]) == ["loud"]


async def test_a_function_that_is_not_async_runs_in_a_thread() -> None:
    assert await call("thread") != threading.current_thread().name


async def test_arguments_may_be_models_and_results_anything_json_can_hold() -> None:
    assert await call("visit", place={"city": "Lyon"}, tags=["a"]) == '["Lyon","FR","a"]'


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "city: Field required"),
        ({"city": "Lyon", "days": "many"}, "days: Input should be a valid integer"),
        ({"city": "Lyon", "unit": "K"}, "unit: Input should be 'C' or 'F'"),
        ({"city": "Lyon", "secret": "x"}, "secret: Extra inputs are not permitted"),
    ],
)
async def test_wrong_arguments_say_what_is_wrong(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(RequestError) as wrong:
        await call("weather", **arguments)
    assert str(wrong.value).startswith(f"The arguments of 'weather' are wrong: {problem}")


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        (f"{HERE}:undocumented", "no docstring"),
        (f"{HERE}:untyped", "does not say the type of 'text'"),
        (f"{HERE}:many", "'*texts: str', which a model cannot name"),
        (f"{HERE}:callback", "JSON cannot hold"),
        (f"{HERE}:NO_FUNCTION", "is no function"),
        (f"{HERE}:Place", "is no function"),
        (f"{HERE}:missing", "cannot be imported"),
        ("no_such_package:tool", "cannot be imported"),
        (f"{HERE}:message", "called 'message', as a tool that is built in"),
    ],
)
def test_what_is_no_tool_says_why(reference: str, problem: str) -> None:
    with pytest.raises(Unusable) as unusable:
        make(reference)
    assert problem in str(unusable.value)


def test_a_lambda_has_no_name() -> None:
    with pytest.raises(Unusable, match="no named function"):
        FunctionTool(lambda: None)


def test_packages_add_tools_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(name="forecast", value=f"{HERE}:weather", group=python.GROUP)
    ours = EntryPoint(name="fetch_url", value=f"{HERE}:weather", group=python.GROUP)
    python.added.cache_clear()

    def installed(*, group: str) -> EntryPoints:
        return EntryPoints([point, ours]).select(group=group)

    monkeypatch.setattr(python, "entry_points", installed)
    try:
        assert names() == [*TOOLS, *SETS, "forecast"]
        assert make("forecast").name == "weather"
        assert make("fetch_url").name == "fetch_url"
    finally:
        python.added.cache_clear()


async def test_the_package_of_the_documents_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = (Path(__file__).parents[3] / "docs/agents/tools.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    [settings] = re.findall(r"```yaml\n([^`]*my_package[^`]*)```", document)
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tools.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    path = tmp_path / "config.yaml"
    path.write_text(f"models: {{demo: {{provider: demo}}}}\n{settings}    model: demo\n")
    names = load(path, {}).agents["assistant"].tools
    _, weather, where = (make(name) for name in names)
    assert await weather.call(FakeTurn(), "0", {"city": "Lyon"}) == "20 degrees celsius, sunny"
    assert await where.call(FakeTurn(), "0", {}) == '{"address":"support:42:7"}'
    with pytest.raises(RequestError, match="no weather station"):
        await weather.call(FakeTurn(), "0", {"city": "Oz"})


def test_a_tool_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    head = "models: {demo: {provider: demo}}\nagents:\n  assistant:\n    model: demo\n"
    tools = f'[message, "{HERE}:undocumented", "no_such:tool", mesage, "{HERE}:weather", "{HERE}:weather"]'
    path.write_text(f"{head}    tools: {tools}\n")
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    [problem] = refused.value.problems
    assert problem.startswith(f"{path}:5: agents.assistant.tools: ")
    for part in ("has no docstring", "'no_such:tool' cannot be imported", "did you mean 'message'", "called 'weather'"):
        assert part in problem
