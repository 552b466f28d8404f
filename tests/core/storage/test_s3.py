import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from storage_promises import RANGES, check_range
from unetpp.core.errors import StorageError
from unetpp.core.storage import Storage, open_storage, preflight

pytestmark = pytest.mark.s3


@pytest.fixture
def storage(s3_env: Any) -> Storage:
    return open_storage(s3_env.new_bucket() + "/deep/root")


def test_s3_storage_round_trip_lists_reads_and_deletes(storage: Storage, tmp_path: Path) -> None:
    preflight(storage, write=True)
    assert storage.list() == []
    for path in ("step-1/a b#[1].bin", "step-1/b/c", "step-10/a"):
        storage.write(path, path.encode())
    assert storage.list() == ["step-1/a b#[1].bin", "step-1/b/c", "step-10/a"]
    assert storage.list("step-1/a") == ["step-1/a b#[1].bin"]
    assert storage.child("step-1").read("b/c") == b"step-1/b/c"
    assert [path for path in ("step-10", "step-10/a", "step-2") if storage.exists(path)] == [
        "step-10",
        "step-10/a",
    ]
    storage.delete("step-1")
    assert storage.list() == ["step-10/a"]
    (tmp_path / "in").write_bytes(b"abc")
    storage.put(tmp_path / "in", "up")
    storage.get("up", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"abc"
    with pytest.raises(FileNotFoundError, match="nothing"):
        storage.read("nothing")


@pytest.mark.parametrize(("start", "stop", "expected"), RANGES)
def test_s3_storage_range_ends_where_the_file_ends(
    storage: Storage, start: int, stop: int, expected: bytes
) -> None:
    check_range(storage, start, stop, expected)


def test_s3_storage_pickle_holds_no_secret(storage: Storage, s3_server: Any) -> None:
    storage.write("x", b"1")
    pickled = pickle.dumps(storage)
    assert s3_server.secret.encode() not in pickled
    assert pickle.loads(pickled).read("x") == b"1"


def test_s3_storage_that_ignores_conditions_is_found_out(storage: Storage) -> None:
    # rclone stores the second object; multi-writer packing must therefore be refused there.
    assert not storage.supports_conditional_write()
    assert storage.list() == []
    assert storage.write_if_absent("x", b"1")
    assert not storage.write_if_absent("x", b"2")
    assert storage.read("x") == b"1"


@pytest.mark.parametrize(
    ("variables", "uri", "said"),
    [
        ({}, "s3://no-such-bucket/x", "the bucket does not exist"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, None, "the credential was refused"),
        ({"AWS_ACCESS_KEY_ID": "wrong-key"}, None, "the credential was refused"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, None, "the endpoint is unreachable"),
    ],
)
def test_s3_preflight_names_the_cause(
    s3_env: Any, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], uri: str | None, said: str
) -> None:
    uri = uri or s3_env.new_bucket()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=said) as caught:
        preflight(Storage(uri, deadline_s=0.5), write=False)
    assert not any(secret in str(caught.value) for secret in (s3_env.secret, "wrong-secret"))


def test_s3_without_credentials_says_what_to_set(
    s3_env: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uri = s3_env.new_bucket()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StorageError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        preflight(open_storage(uri), write=False)


class FaultyS3(BaseHTTPRequestHandler):
    """Serves one object per path; each path fails in a way given by its name before it works."""

    protocol_version = "HTTP/1.1"  # answers the client's "Expect: 100-continue"
    objects: dict[str, bytes]
    failures: dict[str, list[int]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._fails():
            return
        if self.headers.get("If-None-Match") == "*" and self.path in self.objects:
            self._answer(412, _error("PreconditionFailed"))
            return
        self.objects[self.path] = body
        self._answer(200, b"", {"ETag": '"x"'})

    def do_GET(self) -> None:
        if self._fails():
            return
        if "list-type" in self.path:
            self._answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        elif self.path in self.objects:
            self._answer(200, self.objects[self.path])
        else:
            self._answer(404, _error("NoSuchKey"))

    def do_HEAD(self) -> None:
        self._answer(200 if self.path in self.objects else 404, b"")

    def do_DELETE(self) -> None:
        self.objects.pop(self.path, None)
        self._answer(204, b"")

    def log_message(self, *arguments: object) -> None:
        return

    def _fails(self) -> bool:
        pending = self.failures.get(self.path.partition("?")[0], [])
        if not pending:
            return False
        status = pending.pop(0)
        if status == 0:
            self.close_connection = True
            self.connection.close()
        else:
            self._answer(status, _error({403: "AccessDenied", 503: "SlowDown"}.get(status, "InternalError")))
        return True

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


@pytest.fixture
def faulty(s3_env: Any, monkeypatch: pytest.MonkeyPatch):
    handler = type("Handler", (FaultyS3,), {"objects": {}, "failures": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_s3_read_throttled_failing_and_cut_off_is_repeated(faulty: Any) -> None:
    faulty.objects["/bucket/x"] = b"payload"
    faulty.failures["/bucket/x"] = [503, 500, 0]
    assert open_storage("s3://bucket").read("x") == b"payload"
    assert faulty.failures["/bucket/x"] == []


def test_s3_read_denied_is_not_repeated(faulty: Any) -> None:
    faulty.failures["/bucket/x"] = [403, 403]
    with pytest.raises(StorageError, match="permission denied"):
        open_storage("s3://bucket").read("x")
    assert faulty.failures["/bucket/x"] == [403]


def test_s3_read_failing_beyond_the_deadline_says_so(faulty: Any) -> None:
    faulty.failures["/bucket/x"] = [503] * 1000
    with pytest.raises(StorageError, match=r"kept failing \(SlowDown\) until the retry deadline"):
        Storage("s3://bucket", deadline_s=0.3).read("x")


def test_s3_storage_that_honours_conditions_lets_one_writer_win(faulty: Any) -> None:
    storage = open_storage("s3://bucket")
    assert storage.supports_conditional_write()
    assert storage.write_if_absent("m", b"1")
    assert not storage.write_if_absent("m", b"2")
    assert faulty.objects == {"/bucket/m": b"1"}
