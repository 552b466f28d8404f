"""Image-level scores count labelled images once, whatever worker saw them."""

import torch

from unetpp.objective.image_labels import ImageLabelMetrics


def output(*predicted: int, num_labels: int = 3):
    logits = torch.nn.functional.one_hot(torch.tensor(predicted), num_labels).float()
    return (), logits


def test_image_labels_of_a_known_confusion_have_its_scores():
    metrics = ImageLabelMetrics(3)
    metrics.update(output(0, 0, 1, 1), torch.tensor([0, 1, 1, -1]))
    scores = metrics.compute(["a", "b", "c"])
    assert (scores["images"], scores["accuracy"]) == (3, 2 / 3)
    assert scores["classes"] == [
        {"name": "a", "images": 1, "precision": 0.5, "recall": 1.0},
        {"name": "b", "images": 2, "precision": 1.0, "recall": 0.5},
        {"name": "c", "images": 0, "precision": None, "recall": None},
    ]
    assert scores["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_image_labels_states_of_workers_add_up_and_padding_does_not_count():
    whole, parts = ImageLabelMetrics(3), [ImageLabelMetrics(3) for _ in range(2)]
    labels = torch.tensor([0, 2, 2, 1])
    whole.update(output(0, 2, 1, 1), labels)
    parts[0].update(output(0, 2), labels[:2], torch.tensor([True, True]))
    parts[1].update(output(1, 1, 0), torch.tensor([2, 1, 2]), torch.tensor([True, True, False]))
    total = ImageLabelMetrics(3)
    total.load_state(parts[0].state() + parts[1].state())
    assert torch.equal(total.confusion, whole.confusion)


def test_image_labels_without_head_or_labels_are_none():
    without_head, unlabelled = ImageLabelMetrics(3), ImageLabelMetrics(3)
    without_head.update(((), None), torch.tensor([0]))
    unlabelled.update(output(1), torch.tensor([-1]))
    assert without_head.compute(["a", "b", "c"]) is None
    assert unlabelled.compute(["a", "b", "c"]) is None
