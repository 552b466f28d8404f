import pytest

from unetpp.core.errors import StorageError
from unetpp.core.storage import open_storage
from unetpp.core.storage.endpoint import check_endpoint


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("value", ["127.0.0.1:9000", "localhost:9000", "s3.example.org", "//s3.example.org"])
def test_storage_endpoint_without_scheme_names_variable_value_and_fix(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    host = value.lstrip("/")
    with pytest.raises(
        StorageError, match=rf"{name}={value} must start with .*set {name}=https://{host}, or"
    ):
        open_storage("s3://bucket/x").read("y")


@pytest.mark.parametrize("value", ["", "http://127.0.0.1:9000", "HTTPS://s3.example.org"])
def test_check_endpoint_takes_urls_and_none(value):
    check_endpoint({"AWS_ENDPOINT_URL": value})
    check_endpoint({})


def test_check_endpoint_shows_no_credential():
    with pytest.raises(StorageError) as raised:
        check_endpoint({"AWS_ENDPOINT_URL": "s3://key:hidden@host"})
    assert "hidden" not in str(raised.value)


def test_storage_of_another_kind_does_not_ask_for_the_endpoint(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    assert open_storage("memory://bucket/x").list() == []
