"""Jobs on a real head with token authentication, from the command line as users give it."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fakes import write_dataset
from unetpp.cli.main import run
from unetpp.core.rundir import RunDir
from unetpp.data.synthetic import make_cells
from unetpp.launch.submit.upload import checkout_root

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.s3, pytest.mark.timeout(900)]

SMALL = ("model.depth=2", "model.width=4", "data.batch_size=4", "scale.cpus_per_worker=1")
_TRAIN_RUNS = "/api/train/v2/runs/v1"
"""What the dashboard's page of training runs reads."""
EPOCHS = 1000
"""More than are trained before the run is stopped."""
_DEADLINE_S = 300
"""More than a worker group that does not start, and its second try: 120 s each."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("jobs-data")
    write_dataset(folder, {"train": 200, "val": 8, "test": 4}, rows_per_shard=50)
    return folder


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The code of this checkout, changed: the cluster has another version installed."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(checkout_root() / "distributed", folder / "distributed")
    init = folder / "distributed" / "unetpp" / "__init__.py"
    init.write_text(init.read_text().replace('__version__ = "', '__version__ = "9.9+'))
    return folder


def beside(head, *arguments: str, code: Path):
    """A command in a process of its own, with another code, that knows the head and its token."""
    known = {"PYTHONPATH": str(code / "distributed"), "RAY_API_SERVER_ADDRESS": head.url}
    return subprocess.run(
        [sys.executable, "-m", "unetpp", *arguments],
        env={**head.environment, **known},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )


@pytest.fixture
def unetpp(real_head, monkeypatch, capfd):
    """A command in this process, which knows the head and its token."""
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "PGPASSWORD", "WANDB_API_KEY")
    for name in names:
        monkeypatch.setenv(name, real_head.environment[name])
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", real_head.url)

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        capfd.readouterr()
        return subprocess.CompletedProcess(arguments, run(arguments), *capfd.readouterr())

    return call


def answer(url: str, *, method: str = "GET", token: str | None = None) -> int:
    request = urllib.request.Request(url, method=method, data=b"{}" if method == "POST" else None)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_head_and_agent_refuse_requests_without_the_token(real_head):
    agent = f"http://127.0.0.1:{real_head.agent_port}"
    for method, url in (
        ("GET", f"{real_head.url}/api/jobs/"),
        ("POST", f"{real_head.url}/api/jobs/"),
        ("GET", f"{real_head.url}/nodes?view=summary"),
        ("GET", f"{real_head.url}/api/v0/actors"),
        ("POST", f"{agent}/api/job_agent/jobs/"),
    ):
        assert answer(url, method=method) == 401, url
        assert answer(url, method=method, token="0" * 64) == 403, url
    assert answer(f"{real_head.url}/api/jobs/", token=real_head.token) == 200


def test_driver_that_joins_by_address_brings_its_code(real_head, copy, tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(
        "import ray, unetpp\n"
        "from unetpp.launch.connect import connected\n"
        "def where(): import unetpp; return unetpp.__version__, unetpp.__file__\n"
        f"with connected('127.0.0.1:{real_head.port}'):\n"
        "    print(*ray.get(ray.remote(num_cpus=0)(where).remote()))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**real_head.environment, "PYTHONPATH": str(copy / "distributed")},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version, file = done.stdout.split()[-2:]
    assert version.startswith("9.9+")
    assert file.startswith(str(real_head.folder))


@pytest.mark.nightly
def test_images_are_packed_and_swept_by_jobs(tmp_path, unetpp):
    make_cells(tmp_path / "cells", 24, 32, 0)
    cells, dataset, sweep = tmp_path / "cells", tmp_path / "dataset", tmp_path / "sweep"
    packed = unetpp(
        "submit", "data", "pack", "--images", f"{cells}/images", "--masks", f"{cells}/masks",
        "--out", str(dataset), "--json",
    )  # fmt: skip
    assert packed.returncode == 0, packed.stderr
    assert json.loads(packed.stdout.splitlines()[-1])["result"]["rows"] == 24
    space = tmp_path / "space.py"
    space.write_text('def space(trial):\n    return {"optim.lr": trial.suggest_float("lr", 1e-3, 1e-2)}\n')
    swept = unetpp(
        "submit", "tune", str(space), f"data.uri={dataset}", f"out={sweep}", "tune.trials=2",
        "train.epochs=1", "model.depth=1", "model.width=4", "data.batch_size=4", "--json",
    )  # fmt: skip
    assert swept.returncode == 0, swept.stderr
    assert json.loads(swept.stdout.splitlines()[-1])["result"]["trials"]["complete"] == 2


def test_large_upload_is_staged_in_the_bucket_and_unpacked_from_there(tmp_path, s3_env, unetpp):
    (tmp_path / "large.bin").write_bytes(os.urandom(101 * 2**20))
    arguments = ("evaluate", "/nonexistent", "--json")
    refused = unetpp("submit", "--working-dir", str(tmp_path), *arguments)
    assert refused.returncode == 2
    assert "--staging" in refused.stderr
    bucket = s3_env.new_bucket()
    staged = unetpp("submit", "--working-dir", str(tmp_path), "--staging", bucket, *arguments)
    # The submitted command ran, and its own mistake is the job's exit code.
    assert "no run at /nonexistent" in staged.stderr
    assert staged.returncode == 2
    assert json.loads(staged.stdout.splitlines()[-1])["status"] == "FAILED"


def test_stopped_job_goes_on_by_its_copy_on_a_restarted_head_and_shows_no_secret_anywhere(
    real_head, copy, data, tmp_path, unetpp
):
    trained = RunDir(f"{tmp_path}/run")
    job_id = submit_and_stop(real_head, copy, unetpp, f"data.uri={data}", f"out={trained.uri}")
    restart(real_head, unetpp, job_id)
    last = len(trained.read_metrics()) + 2
    resume = ("train", f"out={trained.uri}", "--resume", f"train.epochs={last}", "--json")
    done = beside(real_head, "submit", *resume, code=copy)
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout.splitlines()[-1])
    assert reply["status"] == "SUCCEEDED"
    assert reply["result"]["epochs"] == last
    assert [entry["epoch"] for entry in trained.read_metrics()] == list(range(1, last + 1))
    assert "first training step" in done.stderr
    assert f"{last}/{last}" in done.stderr

    provenance = json.loads(trained.storage.read("provenance.json"))
    assert provenance["version"].startswith("9.9+")
    assert str(real_head.folder) in provenance["package"]

    record = json.dumps(_record(real_head, reply["job_id"]))
    assert json.loads(record)["metadata"]["run"] == trained.uri
    (shown,) = json.loads(_text(f"{real_head.url}{_TRAIN_RUNS}", real_head.token))["train_runs"]
    assert (shown["name"], shown["status"]) == ("run", "FINISHED")
    reported = unetpp("report", trained.uri, "--out", f"{trained.uri}/report.html")
    assert reported.returncode == 0, reported.stderr
    written = [done.stdout, done.stderr, record, *_texts(tmp_path / "run"), *_texts(real_head.folder / "ray")]
    assert len(written) > 20
    written += [*_dashboard_replies(real_head), *_live_pages(real_head, tmp_path)]
    known = real_head.environment
    for secret in (known["PGPASSWORD"], known["AWS_SECRET_ACCESS_KEY"], real_head.token):
        assert not [text[:200] for text in written if secret in text]


def submit_and_stop(head, copy, unetpp, *places: str) -> str:
    """The id of a training's job that is stopped after its first epoch; its log says how to go on."""
    command = ("train", *places, *SMALL, f"train.epochs={EPOCHS}")
    started = beside(head, "submit", "--no-wait", "--json", *command, code=copy)
    assert started.returncode == 0, started.stderr
    job_id: str = json.loads(started.stdout)["job_id"]
    trained = RunDir(places[-1].removeprefix("out="))
    wait_for(lambda: len(trained.read_metrics()) >= 1)
    assert unetpp("jobs", "stop").returncode == 0
    followed = unetpp("jobs", "logs", "-f", job_id)
    assert followed.returncode in (2, 130)
    assert "--resume" in followed.stderr
    listed = json.loads(unetpp("jobs", "list", "--json").stdout)["jobs"]
    assert listed[0]["job_id"] == job_id
    assert 1 <= len(trained.read_metrics()) < EPOCHS
    return job_id


def restart(head, unetpp, job_id: str) -> None:
    """Kill the head and start another, which knows nothing of the job."""
    head.kill()
    gone = unetpp("jobs", "status", job_id)
    assert gone.returncode == 2
    assert "no Ray head answers" in gone.stderr
    head.start()
    forgotten = unetpp("jobs", "status", job_id)
    assert forgotten.returncode == 2
    assert "forgets its jobs" in forgotten.stderr


def _dashboard_replies(head) -> list[str]:
    """What Ray's dashboard tells whoever has the token."""
    listed = ("actors", "tasks", "workers", "runtime_envs")
    paths = ["/api/jobs/", "/nodes?view=summary", _TRAIN_RUNS]
    paths += [f"/api/v0/{name}?detail=1" for name in listed]
    return [_text(f"{head.url}{path}", head.token) for path in paths]


def _live_pages(head, folder: Path) -> list[str]:
    """What `unetpp dashboard` serves of a folder with one run."""
    command = [sys.executable, "-m", "unetpp", "dashboard", str(folder), "--address", head.url, "--json"]
    source = {"PYTHONPATH": str(checkout_root() / "distributed")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**head.environment, **source}
    ) as process:
        url = json.loads(process.stdout.readline())["url"].rstrip("/")
        paths = (
            "/",
            "/api/folder",
            "/api/cluster",
            "/run/run",
            "/api/run/run",
            "/api/samples/run",
            "/report/run",
        )
        pages = [_text(f"{url}{path}") for path in paths]
        process.terminate()
    return pages


def wait_for(condition) -> None:
    deadline_s = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _record(head, job_id: str) -> dict:
    return json.loads(_text(f"{head.url}/api/jobs/{job_id}", head.token))


def _text(url: str, token: str = "") -> str:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read().decode("latin-1")


def _texts(folder: Path) -> list[str]:
    """Every file as text: checkpoints, events, logs of all of Ray's processes."""
    return [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
