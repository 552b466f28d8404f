import pytest

from unetpp.config import load_config
from unetpp.core.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "data.batch_size=3 scale.workers=2",
            "data.batch_size=3 must be divisible by scale.workers=2; use 4",
        ),
        (
            "data.batch_size=10 scale.workers=(1,2) train.accumulate=2",
            "data.batch_size=10 must be divisible by scale.workers=2 * train.accumulate=2; use 12",
        ),
        ("data.batch_size=0", "data.batch_size=0 must be at least 1; use 1 or auto"),
        (
            "model.num_classes=3 loss.class_weights=[1,2]",
            "loss.class_weights must have one entry per class, 3 in all; it has 2",
        ),
        (
            "loss.distill=1 model.deep_supervision=false",
            "loss.distill=1 teaches shallower heads and needs model.deep_supervision=true, without which "
            "there is none; use loss.distill=0",
        ),
        ("data.foreground=1.5", "data.foreground=1.5 must be at most 1; use 1 or auto"),
        ("data.cache_bytes=-1", "data.cache_bytes=-1 must be at least 0; use 0 or auto"),
        (
            "model.depth=2 model.shared_dilations=[[1,1],[1,2]]",
            "model.shared_dilations must hold one entry per row 0..2 in each vector, 3 in all; they "
            "have [2]; make each 3 entries long",
        ),
        (
            "model.shared_dilations=[[1,1,1],[1,1]]",
            "model.shared_dilations must hold one entry per row 0..2 in each vector, 3 in all; they "
            "have [2, 3]; make each 3 entries long",
        ),
        (
            "model.shared_dilations=[[1,1,1],[1,2,2],[1,1,1]]",
            "model.shared_dilations must not hold a vector twice; leave the repetitions out",
        ),
        (
            "model.shared_dilations=[[1,2,2],[1,2,4]]",
            "model.dilation=[1, 1, 1] must be one of model.shared_dilations; use model.dilation=[1, 2, 2]",
        ),
        (
            "model.shared_dilations=[[1,1,1],[1,2,2]] model.norm=batch",
            "model.shared_dilations needs a norm without running statistics, which would be those of no one "
            "vector; model.norm=batch keeps some; use model.norm=group",
        ),
        (
            "model.shared_dilations=[[1,1,1],[1,2,2]] train.compile=true",
            "model.shared_dilations compiles anew for each vector; use train.compile=false",
        ),
        (
            "model.depth=6 data.crop=32",
            "model.depth=6 needs a crop of at least 64 px; data.crop=32; use model.depth<=5 or data.crop>=64",
        ),
        (
            "scale.gpus_per_worker=1.5",
            "scale.gpus_per_worker=1.5 must be a part of one GPU or whole GPUs; use 0.5, 1 or auto",
        ),
        (
            "scale.gpus_per_worker=0",
            "scale.gpus_per_worker=0 must be above 0 or auto",
        ),
        ("data.crop=0", "data.crop=0 must be at least 2; use 2 or auto"),
        (
            "model.depth=4 model.stem_stride=2 data.crop=16",
            "model.depth=4 needs a crop of at least 32 px; data.crop=16, model.stem_stride=2; "
            "use model.depth<=3 or data.crop>=32",
        ),
        (
            "model.depth=1 model.stem_stride=4 data.crop=4",
            "model.depth=1 needs a crop of at least 8 px; data.crop=4, model.stem_stride=4; use data.crop>=8",
        ),
        (
            "model.encoder=resnet18",
            "model.encoder=resnet18 must be none, lite0, lite1, lite2, or a path with / or .safetensors",
        ),
        (
            "model.encoder=lite0 model.stem_stride=2 model.depth=5",
            "model.encoder=lite0 ends at stride 32: model.depth=5 with model.stem_stride=2 needs 64; "
            "use model.depth=4",
        ),
        (
            "model.encoder=lite0 model.spatial_dims=3",
            "model.encoder=lite0 and model.stem_stride=1 are for pictures; for volumes use "
            "model.encoder=none and model.stem_stride=1",
        ),
        (
            "model.encoder=lite0 model.pool=[[1,2],[2,2]]",
            "model.encoder=lite0 halves both axes at every row; leave model.pool out",
        ),
        ("model.depth=7", "model.depth=7 must be at most 6; use 6 or auto"),
        ("model.depth=0", "model.depth=0 must be at least 1; use 1 or auto"),
        (
            "model.depth=3 model.widths=[8,16]",
            "model.widths must have one entry per row 0..3, 4 in all; it has 2; "
            "use model.depth=1 or 4 entries",
        ),
        (
            "model.dilation=[1,1,1] model.widths=[8,16]",
            "model.widths and model.dilation must have the same length, one entry per row; "
            "they have 2 and 3; make them equal",
        ),
        ("model.dilation=0", "model.dilation=0 must be at least 1; use 1"),
        ("model.dilation=[0,1]", "model.dilation=[0, 1] must be at least 1 in every entry; use 1"),
        ("model.widths=[8,0]", "model.widths=[8, 0] must be at least 1 in every entry; use 1"),
        ("model.num_classes=0", "model.num_classes=0 must be at least 1; use 1 or auto"),
        (
            "augment.scale=[2,1]",
            "augment.scale must satisfy low <= high; it is (2.0, 1.0); use (0.8, 1.25)",
        ),
        ("augment.scale=[0,1]", "augment.scale=[0, 1] must be above 0 in every entry"),
        (
            "scale.accelerator_type=A100 scale.gpu=false",
            "scale.accelerator_type=A100 needs scale.gpu=true; leave one of them out",
        ),
        ("scale.workers=0", "scale.workers=0 must be at least 1; use 1"),
        (
            "scale.workers=(3,1)",
            "scale.workers must be (min, max) with min <= max; it is (3, 1); use (1, 2)",
        ),
        ("scale.workers=(0,1)", "scale.workers=[0, 1] must be at least 1 in every entry; use 1"),
        (
            "train.sync_bn=true model.norm=group",
            "train.sync_bn needs model.norm=batch; it is group; use train.sync_bn=false",
        ),
        (
            "tune.objectives=[quality,params,quality]",
            "tune.objectives=[quality,params,quality] must not name one twice; use [quality,params]",
        ),
        (
            "tune.objectives=[params]",
            "tune.objectives=[params] alone is least for the smallest network; add quality",
        ),
        (
            "tune.objectives=[quality,macs] tune.sampler=cmaes",
            "tune.sampler=cmaes serves one objective; tune.objectives=[quality,macs]; use tune.sampler=nsga2",
        ),
        (
            "tune.objectives=[quality,macs] tune.scheduler=median",
            "tune.scheduler=median needs one objective; tune.objectives=[quality,macs]; "
            "use tune.scheduler=asha",
        ),
        ("tune.max_concurrent=0", "tune.max_concurrent=0 must be at least 1; use 1 or auto"),
        ("tune.objectives=[]", "tune.objectives=[] must be a list of at least 1"),
    ],
)
def test_config_broken_rule_states_rule_value_and_fix(overrides: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, overrides.split())
    assert str(caught.value) == message


def test_config_all_loss_weights_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="one loss weight must be above 0"):
        load_config(None, ["loss.ce=0", "loss.dice=0"])


def test_config_suggested_batch_size_is_accepted() -> None:
    assert load_config(None, ["data.batch_size=4", "scale.workers=2"]).data.batch_size == 4


def test_recomputing_batch_norm_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train.memory=recompute must not compute model.norm=batch twice"):
        load_config(None, ["train.memory=recompute", "model.norm=batch"])
