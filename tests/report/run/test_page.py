"""The page of a run: what it says, from a finished run to one that never began."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from html_page import HtmlPage
from unetpp.core.errors import InputError
from unetpp.core.manifest import SplitInfo
from unetpp.core.storage import open_storage
from unetpp.inference.evaluate import evaluate
from unetpp.report.run.data import load_run_data
from unetpp.report.run.page import render_run_report, write_run_report
from unetpp.report.run.sections import class_rows, dataset_facts, next_commands, smallest_good_level
from untrained_run import write_untrained_run


@pytest.mark.slow
def test_report_of_evaluated_run_shows_test_scores_levels_and_examples(write_run):
    run = write_run(dice=[0.9, 0.7, 0.8])
    page = HtmlPage(render_run_report(load_run_data(run)))
    assert page.open == []
    assert "0.800" in page.text
    assert "test split, 3 images" in page.text
    assert "s1, Dice 0.700" in page.text
    assert "the crop is 32 px" in page.text
    assert "0 B fetched, 5 MiB saved; 100.0 % of the shards hit in the last epoch" in page.text
    assert "finished" in page.text
    assert f"unetpp predict {run}" in page.text


@pytest.mark.slow
def test_report_of_an_evaluation_on_trained_images_says_how_many(write_run):
    data = load_run_data(write_run(dice=[0.9, 0.7, 0.8]))
    evaluation = {**data.evaluations["test"], "overlap": 2}
    page = HtmlPage(render_run_report(replace(data, evaluations={"test": evaluation})))
    assert "test split, 3 images, of which 2 were trained on" in page.text


@pytest.mark.slow
def test_report_loads_nothing_and_escapes_names(write_run):
    page = HtmlPage(render_run_report(load_run_data(write_run(dice=[0.9, 0.7]))))
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert "script" not in page.tags
    assert "b" in page.tags  # the cards' numbers
    assert "<b>cell</b>" in page.text


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_report_of_interrupted_run_says_so_and_how_to_continue(write_run, epochs):
    run = write_run(epochs=epochs, finished=False)
    page = HtmlPage(render_run_report(load_run_data(run)))
    assert "unfinished" in page.text
    assert f"unetpp train out={run} --resume" in page.text
    assert ("No epoch has finished yet" in page.text) == (epochs == 0)


@pytest.mark.slow
def test_report_is_written_into_the_run_or_where_asked(write_run, tmp_path: Path):
    run = write_run()
    assert write_run_report(run) == f"{run}/report.html"
    assert Path(write_run_report(run, tmp_path / "new" / "page.html")) == tmp_path / "new" / "page.html"
    assert (tmp_path / "new" / "page.html").read_text() == (Path(run) / "report.html").read_text()


def test_report_without_run_is_input_error(tmp_path):
    with pytest.raises(InputError, match="no run at"):
        write_run_report(str(tmp_path))


def test_next_commands_ask_for_missing_evaluations_and_export_the_small_level(write_run):
    commands = [command for _, command in next_commands(load_run_data(write_run(dice=[0.9, 0.7])))]
    assert not any("--split test" in command for command in commands)
    assert any("--split val" in command for command in commands)
    # Level 1 is 0.006 below the best, level 2 0.003.
    assert any(re.search(r"export .* --level 2$", command) for command in commands)


def test_class_rows_give_share_of_train_pixels(write_run):
    (row,) = class_rows(load_run_data(write_run()))
    assert row["share"] == "25.0 %"
    assert row["colour"] == "#e63c3c"


def test_facts_of_a_fold_count_the_shards_that_its_splits_share_once(write_run):
    data = load_run_data(write_run())
    (shard,) = data.manifest.splits["train"].shards
    parts = {
        split: SplitInfo(
            rows=len(rows), shards=(shard.model_copy(update={"rows": len(rows), "selected": rows}),)
        )
        for split, rows in {"train": (0, 1, 2, 3, 4, 5, 6, 7), "val": (8, 9)}.items()
    }
    fold = data.manifest.model_copy(update={"splits": parts, "class_pixels": (2000,)})
    found = dict(dataset_facts(replace(data, manifest=fold)))
    assert found["Classes"].endswith("25.0 %")
    assert found["Bytes"] == "4.88 KiB"


@pytest.mark.parametrize(("dice", "level"), [([0.5, 0.9], 2), ([0.896, 0.9], 1), ([0.9, 0.5], 1), ([], None)])
def test_smallest_good_level_is_within_half_a_point_of_the_best(dice, level):
    levels = {str(number): {"dice": value} for number, value in enumerate(dice, start=1)}
    assert smallest_good_level(levels) == level


@pytest.mark.s3
def test_report_and_evaluation_of_a_run_in_a_bucket_stay_there(tmp_path, s3_env):
    local = write_untrained_run(tmp_path)
    uri = f"{s3_env.new_bucket()}/runs/a"
    bucket = open_storage(uri)
    for path in open_storage(local).list():
        bucket.write(path, open_storage(local).read(path))
    assert evaluate(uri)["rows"] == 4
    assert write_run_report(uri) == f"{uri}/report.html"
    page = HtmlPage(bucket.read("report.html").decode())
    assert "test split, 4 images" in page.text
    assert f"unetpp predict {uri}" in page.text
