"""Classes of laws, one a port; every implementation inherits them."""

from pathlib import Path

import pytest

# Their asserts explain themselves, as those of test modules do.
pytest.register_assert_rewrite(
    *(f"{__name__}.{path.stem}" for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
)
