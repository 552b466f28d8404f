import pytest

from fakes import write_dataset
from unetpp.core.manifest import Manifest


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Manifest]:
    """URI and manifest of 12 training and 4 validation rows."""
    folder = tmp_path_factory.mktemp("dataset")
    return str(folder), write_dataset(folder, {"train": 12, "val": 4})
