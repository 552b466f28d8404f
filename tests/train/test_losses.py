"""What is said of lost workers."""

from ray.exceptions import RayActorError

from unetpp.train.losses import describe_loss


def test_dead_process_is_named_and_not_those_whose_connection_to_it_broke():
    text = describe_loss({0: RuntimeError("Connection closed by peer"), 1: RayActorError()})
    assert text.startswith("lost rank 1:")


def test_ranks_that_fail_by_themselves_are_all_named():
    assert describe_loss({1: ValueError("x"), 0: ValueError("x")}).startswith("rank 0, 1 failed")
