"""Lines of progress: a speed only once it can be told."""

from unetpp.api.progress import image_progress
from unetpp.api.progress.image_progress import ImageProgress


def test_image_progress_images_told_of_together_have_no_speed_yet(capsys, monkeypatch):
    monkeypatch.setattr(image_progress, "_LINE_EVERY_S", 0.0)
    now = [0.0]
    with ImageProgress("predicting", lambda: now[0]) as progress:
        for done in (1, 2, 3):
            now[0] += 1e-6
            progress(done, 100)
        assert "images/s" not in capsys.readouterr().err
        now[0] = 10.0
        progress(41, 100)
    assert "41 of 100 images, 4.0 images/s, 15 s left" in capsys.readouterr().err
