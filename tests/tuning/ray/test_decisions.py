"""What trials are told, on the board itself."""

from unetpp.tuning.ray.decisions import DecisionBoard


def test_board_a_trial_that_begins_again_is_stopped_again_only_if_it_is_decided_again():
    board = DecisionBoard()
    for number in (1, 2):
        board.stop(number, 3)
    board.begin(1)
    assert not board.is_stopped(1, 3)
    assert board.is_stopped(2, 3)
    board.stop(1, 3)
    assert board.is_stopped(1, 3)
