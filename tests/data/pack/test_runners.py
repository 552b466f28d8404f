from unetpp.data.pack.runners import SwitchingRunner


class Clock:
    """Advances by a fixed time with each call."""

    def __init__(self, step_s: float) -> None:
        self.step_s, self.now_s = step_s, 0.0

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


class Parallel:
    def __init__(self) -> None:
        self.items: list[int] = []

    def __call__(self, function, items):
        self.items += items
        return map(function, items)


def run(step_s: float, count: int) -> tuple[list[int], Parallel, int]:
    parallel, starts = Parallel(), []

    def start():
        starts.append(1)
        return parallel

    runner = SwitchingRunner(start, Clock(step_s))
    results = list(runner(lambda x: x * x, range(count))) + list(runner(lambda x: x + 1, range(3)))
    return results, parallel, len(starts)


def test_switching_runner_stays_here_for_short_work():
    results, parallel, starts = run(0.01, 20)
    assert results == [x * x for x in range(20)] + [1, 2, 3]
    assert (parallel.items, starts) == ([], 0)


def test_switching_runner_hands_over_the_rest_of_long_work_in_order():
    results, parallel, starts = run(1.0, 100)
    assert results == [x * x for x in range(100)] + [1, 2, 3]
    assert parallel.items == [*range(2, 100), 0, 1, 2]
    assert starts == 1
