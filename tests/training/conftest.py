"""Fixtures of the training tests."""

import pytest

from fakes import write_dataset
from unetpp.core.manifest import Manifest


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Manifest]:
    """URI and manifest of 18 training and 5 validation rows in shards of five."""
    folder = tmp_path_factory.mktemp("dataset")
    return str(folder), write_dataset(folder, {"train": 18, "val": 5})
