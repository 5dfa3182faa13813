"""YAML in, one clear line for each mistake."""

import pytest

from rayqc.config import differences, dump_config, load_config, make_config, parse_config
from rayqc.errors import ConfigError

BUNDLED = "references: {kind: bundled}\n"


def test_every_key_has_a_default_but_references():
    config = parse_config(BUNDLED)
    assert config.encoder.width == 0.125
    assert config.classify.arms == ["real", "all", "random", "accepted", "rejected"]
    with pytest.raises(ConfigError, match="setting `references` is missing"):
        parse_config("seed: 1")


def test_what_is_dumped_reads_back_the_same():
    text = BUNDLED + "pool: [{kind: augment, policy: strong}, {path: my/gan, name: gan}]\n"
    config = parse_config(text, ["encoder.steps=7", "pool.0.per_reference=3"])
    assert config.encoder.steps == 7
    assert config.pool_names() == ["augment", "gan"]
    assert parse_config(dump_config(config)) == config


def test_sections_may_be_merged_and_overridden():
    text = (
        "references: {kind: bundled}\n"
        "classify: &quick {steps: 20, seeds: 2}\n"
        "pool:\n"
        "  - &weak {kind: augment, policy: mild, name: a}\n"
        "  - &more {<<: *weak, name: b, per_reference: 3}\n"
        "  - {<<: *more, name: c}\n"
    )
    config = parse_config(text)
    assert config.pool_names() == ["a", "b", "c"]
    assert [entry.policy for entry in config.pool] == ["mild"] * 3
    assert config.pool[2].per_reference == 3


def test_settings_are_frozen():
    with pytest.raises(Exception, match="frozen"):
        parse_config(BUNDLED).seed = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            BUNDLED + "encoder: {stepz: 4}",
            "unknown setting `encoder.stepz`; did you mean `encoder.steps`",
        ),
        (BUNDLED + "pools: []", "unknown setting `pools`; did you mean `pool`"),
        (
            BUNDLED + "steps: 5",
            "unknown setting `steps`; did you mean `encoder.steps` or `classify.steps`",
        ),
        (BUNDLED + "quux: 5", "unknown setting `quux`$"),
        (BUNDLED + "encoder: {width: -1}", "`encoder.width`: .* found -1"),
        (BUNDLED + "pool: [{kind: augmen, path: x}]", "`pool.0.kind`: .* found 'augmen'"),
        (BUNDLED + "pool: [{kind: augment, policy: odd}]", "`pool.0.policy`: .* found 'odd'"),
        (BUNDLED + "pool: []", "pool is empty"),
        (BUNDLED + "resources: {train_workers: [4, 1]}", "the fewest first, then the most"),
        (BUNDLED + "resources: {train_workers: [1, 900]}", r"train_workers \(900\) may be at most"),
        (BUNDLED + "resources: {train_workers: 0}", "`resources.train_workers`: .* found 0"),
        (
            BUNDLED + "resources: {train_workers: [0, 2]}",
            "`resources.train_workers`: .*; `resources.train_workers.0`: .* found 0",
        ),
        (BUNDLED + "resources: {use_gpu: maybe}", "`resources.use_gpu`: .* found 'maybe'"),
        (BUNDLED + "filter: {actors: few}", "`filter.actors`: .* found 'few'"),
        (BUNDLED + "image: {size: 30}", "multiple of 4 .* found 30"),
        (BUNDLED + "filter: {keep_rejected: none}", "need the rejected images"),
        (BUNDLED + "pool: [{path: a, name: x}, {path: b, name: x}]", "different names"),
        (BUNDLED + "classify: {arms: [real, real]}", "each arm may stand once"),
        (BUNDLED + "filter: {keep_pool: accepted}", "does not keep; keep them"),
        (BUNDLED + "pool: [{kind: gan, name: ../x}]", "`pool.0.name`: .* found '../x'"),
        (BUNDLED + "pool: [{kind: gan, augment: true}]", "`pool.0.augment`: .* found True"),
        (BUNDLED + "pool: [{path: a, name: b/c}]", "name`: .* found 'b/c'"),
        (BUNDLED + "pool: [{kind: vae}]\nencoder: {kind: contrastive}", "needs encoder.kind: vae"),
        (BUNDLED + "pool: [{kind: exported, path: x}]", "noise_dim` is missing"),
        ("references: {}", "path is missing"),
        ("references: {kind: bundled, path: x}", "takes no path"),
        ("- a\n- b", "expected settings as `key: value`, found list"),
        ("a: [", "is not valid YAML"),
        (
            BUNDLED + "filter: {limit: 2}\nseed: 1\nfilter: {shard_mb: 7}",
            "`filter` stands twice, in lines 2 and 4",
        ),
        (BUNDLED + "filter: {limit: 2, limit: 3}", "`limit` stands twice, in lines 2 and 2"),
        (BUNDLED + "encoder: {width: .inf}", "`encoder.width`: .* found inf"),
        (BUNDLED + "encoder: {learning_rate: .nan}", "`encoder.learning_rate`: .* found nan"),
        (BUNDLED + "pool: [{kind: vae, spread: .inf}]", "`pool.0.spread`: .* found inf"),
        (BUNDLED + "image: {range: [0, .inf]}", "`image.range.*found inf"),
        (BUNDLED + "seed: 99999999999999999999", "`seed`: .* found 99999999999999999999"),
        (BUNDLED + "encoder: {steps: yes}", "`encoder.steps`: .*whole number.* found True"),
        (BUNDLED + "encoder: {latent_dim: 1000000000000}", "`encoder.latent_dim`: .* found 1000"),
        (BUNDLED + "image: {size: 100000000}", "`image.size`: .* found 100000000"),
        (BUNDLED + "image: {formats: []}", "`image.formats`: .* at least 1"),
    ],
)
def test_a_mistake_is_one_line(text: str, message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_config(text, origin="my.yaml")
    assert str(caught.value).startswith("my.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", "expected a.b=value"),
        ("pool.4.name=x", "expected an entry 0 to 0, found '4'"),
        ("seed.a=1", "holds a plain value"),
        ("seed=[", "not valid YAML"),
    ],
)
def test_a_wrong_override_says_so(override: str, message: str):
    text = BUNDLED + "seed: 1\npool: [{kind: augment}]"
    with pytest.raises(ConfigError, match=message):
        parse_config(text, [override])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*no\.yaml"):
        load_config(str(tmp_path / "no.yaml"))


def test_differences_name_paths_and_values():
    old = make_config({"references": {"kind": "bundled"}}).model_dump()
    new = make_config({"references": {"kind": "bundled"}, "encoder": {"steps": 5}}).model_dump()
    assert differences(old, new) == ["encoder.steps: None -> 5"]
