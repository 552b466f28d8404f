"""Selectors mean the nodes that Ray's own mean."""

import pytest

from unetpp.config import config_hash, dump_yaml, load_config
from unetpp.config.planning.node_labels import require_labelled_cluster, selects
from unetpp.core.errors import ConfigError

SPOT = {"ray.io/market-type": "spot", "kind": "gpu"}


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ({}, True),
        ({"kind": "gpu"}, True),
        ({"kind": "cpu"}, False),
        ({"kind": "!cpu"}, True),
        ({"kind": "!gpu"}, False),
        ({"kind": "in(cpu, gpu)"}, True),
        ({"kind": "!in(cpu,gpu)"}, False),
        ({"kind": "gpu", "ray.io/market-type": "on-demand"}, False),
        ({"zone": "a"}, False),
        ({"zone": "!a"}, True),
        ({"zone": "in(a, b)"}, False),
    ],
)
def test_selects_compares_every_label(selector, meant):
    assert selects(selector, SPOT) is meant


def test_labels_on_the_command_line_survive_the_stored_file_and_change_no_hash(tmp_path):
    config = load_config(None, ["scale.labels={ray.io/market-type: '!spot'}", "scale.address=auto"])
    assert config.scale.labels == {"ray.io/market-type": "!spot"}
    (tmp_path / "stored.yaml").write_text(dump_yaml(config))
    assert load_config(tmp_path / "stored.yaml") == config
    assert config_hash(config) == config_hash(load_config(None, ["scale.address=auto"]))


@pytest.mark.parametrize("field", ["scale.labels", "data.labels"])
def test_labels_without_a_cluster_are_refused(field):
    with pytest.raises(ConfigError, match=f"{field}=.*set scale.address"):
        require_labelled_cluster(load_config(None, [f"{field}={{kind: gpu}}"]))
    require_labelled_cluster(load_config(None, [f"{field}={{kind: gpu}}", "scale.address=auto"]))
