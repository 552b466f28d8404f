"""A job's command and record: complete, quoted, and free of credentials."""

import shlex

import pytest

from unetpp.core.errors import UserError
from unetpp.launch.submit.submission import JOB_MARK, entrypoint, job_metadata, new_job_id


def test_entrypoint_survives_the_shell_whatever_it_holds():
    arguments = ["data.uri=/a b/$(rm x)", "name='; exit"]
    command = entrypoint("/opt/my python", ("train",), arguments)
    words = shlex.split(command)
    assert words[words.index("/opt/my python") :] == ["/opt/my python", "-m", "unetpp", "train", *arguments]


@pytest.mark.parametrize(
    "argument",
    [
        "tune.storage=postgresql://me:hunter2@db/studies",
        "out=s3://AKIAIOSFODNN7EXAMPLE:hunter2@bucket/x",
        "name=password=hunter2",
    ],
)
def test_entrypoint_credential_is_refused_and_not_repeated(argument):
    with pytest.raises(UserError, match="credential") as caught:
        entrypoint("python", ("tune",), [argument])
    assert "hunter2" not in str(caught.value)


def test_metadata_says_who_what_and_which_code():
    record = job_metadata(("data", "pack"), "s3://b/d", "abc", {"git_sha": "1f" * 20, "git_dirty": True})
    assert record["verb"] == "data pack"
    assert record["run"] == "s3://b/d"
    assert record["git_sha"] == "1f" * 20 + "+changes"
    assert record["user"]
    assert JOB_MARK in record
    assert all(isinstance(value, str) for value in record.values())


def test_new_job_ids_differ_within_a_second():
    assert new_job_id(("train",)) != new_job_id(("train",))
