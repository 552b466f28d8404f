"""What is said of an interrupted training."""

from ray.exceptions import RayActorError

from unetpp.training.ray.failures import describe_interruption


def test_dead_process_is_named_and_not_those_whose_connection_to_it_broke():
    errors = {0: RuntimeError("Connection closed by peer"), 1: RayActorError()}
    assert describe_interruption(errors) == "rank 1: its process or node died"


def test_error_is_told_by_its_last_line_without_secrets():
    error = RuntimeError("Traceback\n  somewhere\nOSError: aws_secret_access_key=abc123 refused\n")
    told = describe_interruption({1: error, 2: error})
    assert told.startswith("rank 1: OSError:")
    assert "abc123" not in told
